import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { describe, it, type TestContext } from "node:test";
import { ClientProcess, runClient } from "../../scripts/clients/client-process.ts";
import { echo } from "../../scripts/clients/echo.ts";
import { parseEvents } from "../../scripts/clients/events.ts";
import { toEndpoint } from "../../runtime/drill/connection.ts";
import { eventually } from "../helpers/eventually.ts";

describe("echo()", { timeout: 180_000 }, () => {
  const sizeBytes = 5_000_001; // More than one block, and no multiple of anything.

  it("reads the body back while it is sent", async (t) => {
    const url = await serve(t, (request, response) => void request.pipe(response));
    const report = await echo({ url, sizeBytes });
    assert.equal(report.count, sizeBytes / 1024 ** 2);
    assert.ok(report.rate > 0);
  });

  const wrong: readonly (readonly [string, RequestListener, RegExp])[] = [
    ["a status other than 200", refuseAll, /status 413, expected 200/],
    ["a byte that was changed", changeOneByte, /other bytes than were sent, after byte/],
    ["an answer that ends early", endEarly, /1000 bytes came back, 5000001 were sent/],
  ];
  for (const [title, listener, message] of wrong) {
    it(`fails at ${title}`, async (t) => {
      const url = await serve(t, listener);
      await assert.rejects(echo({ url, sizeBytes }), { message });
    });
  }
});

describe("runClient()", { timeout: 180_000 }, () => {
  it("reports an echo from another process, errors too", async (t) => {
    const url = await serve(t, (request, response) => void request.pipe(response));
    const { count } = await runClient("echo", { url, sizeBytes: 1024 ** 2 }, {});
    assert.equal(count, 1);
    const refusing = await serve(t, refuseAll);
    await assert.rejects(runClient("echo", { url: refusing, sizeBytes: 1024 }, {}), {
      message: "the client of echo failed: status 413, expected 200",
    });
  });

  it("reads the events of every connection and counts the lost ones", async (t) => {
    let connections = 0;
    const url = await serve(t, (_request, response) => {
      connections++;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`:\n\ndata: ${process.hrtime.bigint()}\n\n`);
      if (connections === 3) {
        response.end();
        return;
      }
      const emit = (): boolean => response.write(`data: ${process.hrtime.bigint()}\n\n`);
      const timer = setInterval(emit, 20);
      response.once("close", () => clearInterval(timer));
    });
    const report = await runClient("events", { url, clients: 3, warmUpSeconds: 0, seconds: 1 }, {});
    assert.equal(connections, 3);
    assert.equal(report.socketErrors, 1);
    assert.ok(report.rate > 0 && report.count > report.rate / 2);
    assert.ok((report.p50Us ?? NaN) > 0 && (report.p99Us ?? NaN) >= (report.p50Us ?? NaN));
  });
});

describe("parseEvents()", () => {
  const wire = ":\n\ndata: 12\n\n: still here\n\ndata: 34\n\n";

  it("finds the same times wherever the text is split, and leaves comments out", () => {
    for (let at = 0; at <= wire.length; at++) {
      const first = parseEvents(wire.slice(0, at));
      const second = parseEvents(first.rest + wire.slice(at));
      assert.deepEqual([...first.times, ...second.times], [12n, 34n]);
      assert.equal(second.rest, "");
    }
  });

  it("refuses text that is no event", () => {
    assert.throws(() => parseEvents("<html>\n\n"), /not an event: "<html>"/);
  });
});

describe("ClientProcess", { timeout: 180_000 }, () => {
  it("holds idle connections that have had an answer, and knows which of them were closed", async (t) => {
    const server = createServer((_request, response) => response.end("ok"));
    let accepted = 0;
    server.on("connection", () => accepted++);
    const url = await listen(t, server);
    const idle = new ClientProcess("idle", { url, connections: 7 });
    t.after(() => idle.kill());
    assert.deepEqual([await idle.report(), accepted], [7, 7]);
    assert.equal(await idle.report("report"), 7);
    server.closeAllConnections();
    await eventually(t, async () => (await idle.report("report")) === 0);
    assert.equal(await idle.report("stop"), 0);
    await idle.ended();
  });

  it("fails when the client does", async (t) => {
    const url = await serve(t, refuseAll);
    const idle = new ClientProcess("idle", { url, connections: 2 });
    await assert.rejects(idle.report(), {
      message: "the client of idle failed: status 413, expected 200",
    });
    await idle.ended();
  });

  it("fails when it is killed", async (t) => {
    const url = await serve(t, (_request, response) => response.end("ok"));
    const idle = new ClientProcess("idle", { url, connections: 1 });
    await idle.report();
    idle.kill();
    await assert.rejects(idle.report("report"), /it ended without a report/);
  });

  it("sends traffic on kept and new connections, and tells answers that are wrong", async (t) => {
    const url = await serve(t, (request, response) => {
      if (request.method === "POST") request.pipe(response);
      else response.end(request.headers.host === "localhost" ? "hello" : "");
    });
    const endpoint = toEndpoint(url);
    const wrong = toEndpoint(await serve(t, (_request, response) => response.end("other")));
    const way = { endpoint, fresh: false, ready: 2, most: 2 };
    const ways = [way, { ...way, fresh: true }, { ...way, endpoint: wrong }] as const;
    const traffic = new ClientProcess("traffic", { ways, perSecond: 300 });
    t.after(() => traffic.kill());
    await traffic.report();
    const counts = [0, 0, 0];
    const losses = new Set<string>();
    await eventually(t, async () => {
      const report = await traffic.report("report");
      report.latenciesMs.forEach(
        (each, index) => (counts[index] = (counts[index] ?? 0) + each.length),
      );
      report.losses.forEach((loss) => losses.add(loss));
      return (counts[0] ?? 0) > 20 && (counts[1] ?? 0) > 20;
    });
    await traffic.report("stop");
    assert.equal(counts[2], 0);
    assert.deepEqual([...losses], ["another answer than it must be"]);
  });
});

function refuseAll(...[request, response]: Parameters<RequestListener>): void {
  response.statusCode = 413;
  request.resume();
  response.end();
}

function changeOneByte(...[request, response]: Parameters<RequestListener>): void {
  let received = 0;
  request.on("data", (chunk: Buffer) => {
    const place = 4_500_000 - received;
    if (place >= 0 && place < chunk.length)
      chunk.writeUInt8((chunk.readUInt8(place) + 1) % 256, place);
    received += chunk.length;
    response.write(chunk);
  });
  request.once("end", () => response.end());
}

function endEarly(...[request, response]: Parameters<RequestListener>): void {
  request.once("data", (chunk: Buffer) => response.end(chunk.subarray(0, 1000)));
  request.once("data", () => request.resume());
}

function serve(t: TestContext, listener: RequestListener): Promise<string> {
  return listen(t, createServer(listener));
}

async function listen(t: TestContext, server: ReturnType<typeof createServer>): Promise<string> {
  // Longer than any pause of a slow machine: idle connections stay until the test closes them.
  server.keepAliveTimeout = 600_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  return `http://127.0.0.1:${address.port}/`;
}
