import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { describe, it, type TestContext } from "node:test";
import { formatHead, statusOf, type Endpoint } from "../../runtime/drill/connection.ts";
import { OpenLoop, type OpenLoopOptions, type Sample } from "../../runtime/drill/open-loop.ts";

interface Opened {
  readonly server: Server;
  readonly endpoint: Endpoint;
  /** Connections that the server accepted so far. */
  readonly accepted: () => number;
}

async function open(t: TestContext, listener: RequestListener): Promise<Opened> {
  const server = createServer(listener);
  let accepted = 0;
  server.on("connection", () => accepted++);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  return { server, endpoint: { port: address.port, secure: false }, accepted: () => accepted };
}

/** Runs a loop until it has so many samples. */
async function run(
  count: number,
  options: Omit<OpenLoopOptions, "onSample" | "request">,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const events = new EventEmitter();
  const loop = await OpenLoop.start({
    ...options,
    request: (number) => formatHead("GET", `/${number}`),
    onSample: (sample) => {
      samples.push(sample);
      events.emit("sample");
    },
  });
  while (samples.length < count) await once(events, "sample");
  await loop.stop();
  return samples;
}

function answerUrl(...[request, response]: Parameters<RequestListener>): void {
  response.end(request.url);
}

const KEPT = { fresh: false, ready: 2, most: 2 };
const FRESH = { fresh: true, ready: 0, most: Infinity };

describe("OpenLoop", { timeout: 600_000 }, () => {
  it("keeps connections alive, or opens one for each request", async (t) => {
    const [kept, fresh] = [await open(t, answerUrl), await open(t, answerUrl)];
    const ways = [
      { ...KEPT, endpoint: kept.endpoint },
      { ...FRESH, endpoint: fresh.endpoint },
    ] as const;
    const samples = await run(20, { ways, perSecond: 200 });
    const numbers = samples.map(({ answer }) => Number(String(answer?.body).slice(1)));
    assert.equal(new Set(numbers).size, samples.length);
    // The ways take requests by turns.
    const ofFresh = numbers.filter((number) => number % 2 === 1);
    assert.deepEqual([kept.accepted(), fresh.accepted()], [2, ofFresh.length]);
  });

  it("sends on while no answer comes, and counts the wait for a connection", async (t) => {
    let isHeld = true;
    const held: (() => void)[] = [];
    const { endpoint } = await open(t, (_, response) => {
      if (isHeld) held.push(() => response.end());
      else response.end();
      if (held.length < 2 || !isHeld) return;
      isHeld = false;
      setTimeout(() => held.forEach((release) => release()), 200);
    });
    const samples = await run(10, { ways: [{ ...KEPT, endpoint }], perSecond: 100 });
    const waited = samples.filter(({ durationMs }) => durationMs > 100);
    // Two were with the server. Those that were due during the first half of the wait had no connection.
    assert.ok(waited.length > 5, `${waited.length} waited`);
  });

  it("leaves requests out while as many as it may send are unanswered", async (t) => {
    const held = new Set<() => void>();
    let most = 0;
    const { endpoint } = await open(t, (_, response) => {
      held.add(() => response.end());
      most = Math.max(most, held.size);
      // Meanwhile many more are due.
      if (held.size === 3) setTimeout(release, 30);
    });
    const release = (): void => {
      for (const answer of held) {
        held.delete(answer);
        answer();
      }
    };
    const ways = [{ ...FRESH, endpoint }] as const;
    await run(12, { ways, perSecond: 1_000, mostUnanswered: 3 });
    assert.equal(most, 3);
  });

  it("drops requests that wait for a connection when it is stopped", async (t) => {
    const { endpoint, accepted } = await open(t, (request, response) => {
      // The loop is stopped at the first sample: the others of that time wait.
      if (request.url === "/0") setTimeout(() => response.end(), 300);
      else response.end();
    });
    const way = { fresh: false, ready: 1, most: 1, endpoint };
    const samples = await run(1, { ways: [way], perSecond: 100 });
    assert.ok(samples.length < 10, `${samples.length} samples`);
    assert.equal(accepted(), 1);
  });

  it("grows to as many connections as it needs", async (t) => {
    const { endpoint, accepted } = await open(t, (_, response) => {
      setTimeout(() => response.end(), 100);
    });
    const way = { fresh: false, ready: 0, most: 50, endpoint };
    await run(50, { ways: [way], perSecond: 200 });
    assert.ok(accepted() > 10 && accepted() <= 50, `${accepted()} connections`);
  });

  it("reports kept connections that the server closes, and opens others", async (t) => {
    const { server, endpoint, accepted } = await open(t, (request, response) => {
      if (request.url === "/5") server.closeAllConnections();
      else response.end();
    });
    const lost: string[] = [];
    const options = { ways: [{ ...KEPT, endpoint }] as const, perSecond: 100 };
    await run(20, { ...options, onLost: (reason) => lost.push(reason) });
    assert.deepEqual(lost, Array(2).fill("the server closed a connection"));
    assert.equal(accepted(), 4);
  });

  it("fails requests without an answer, and those without a connection", async (t) => {
    const { server, endpoint } = await open(t, (request) => request.socket.destroy());
    const cut = await run(3, { ways: [{ ...FRESH, endpoint }], perSecond: 100 });
    assert.deepEqual(
      cut.map((sample) => sample.answer ?? sample.failure),
      Array(cut.length).fill("the connection ended without an answer"),
    );
    server.close();
    await once(server, "close");
    const refused = await run(3, { ways: [{ ...FRESH, endpoint }], perSecond: 100 });
    for (const sample of refused) {
      assert.match(sample.answer === null ? sample.failure : "", /ECONNREFUSED/);
    }
  });
});

describe("statusOf()", { timeout: 60_000 }, () => {
  it("is 0 without an answer", async (t) => {
    const { endpoint } = await open(t, (request, response) => {
      if (request.url === "/ends") request.socket.destroy();
      else response.writeHead(404).end();
    });
    assert.deepEqual([await statusOf(endpoint, "/"), await statusOf(endpoint, "/ends")], [404, 0]);
  });
});
