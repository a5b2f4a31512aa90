import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { Channel } from "../../runtime/channel/channel.ts";
import {
  BODY_FOLLOWS,
  Kind,
  type RequestMessage,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { BlockPool } from "../../runtime/dispatch/block-pool.ts";
import { ByteBudget } from "../../runtime/dispatch/byte-budget.ts";
import { Dispatcher, type DispatcherOptions } from "../../runtime/dispatch/dispatcher.ts";
import type { Lane } from "../../runtime/dispatch/lane.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { TurnClock } from "../../runtime/turn-clock.ts";
import { FakeClient } from "./fake-client.ts";
import { NO_SPOOL } from "./spooling.ts";

const CRASHED = { code: "ERR_WORKER_EXITED", ownDoing: true } as const;
const KILLED = { code: "ERR_WORKER_EXITED", ownDoing: false } as const;

const TIMEOUT_MS = 5_000;
const QUEUE_TIMEOUT_MS = 3_000;
const PATIENCE_MS = 1_000;
/** So long others wait for suspects, with what a sweep is late. */
const LONGEST_WAIT_MS = 500;
const BUFFERING = {
  bodyBufferBytes: 100,
  bodyOverflow: "stream",
  responseOverflow: "wait",
} as const;

interface LogLine {
  msg: string;
  code?: string;
  [field: string]: unknown;
}

/** A dispatcher whose workers are their lanes, and whose time is told. */
class Trial {
  readonly dispatcher: Dispatcher;
  readonly logs: LogLine[] = [];
  /** What was sent to each worker. */
  readonly sent = new Map<Lane, ToWorker[]>();
  readonly #t: TestContext;
  #nowMs = 1_000;
  #clientIds = 0;
  #workerIds = 0;

  constructor(t: TestContext, options: Partial<DispatcherOptions> = {}) {
    this.#t = t;
    // A test may have two, one after the other.
    t.mock.reset();
    t.mock.timers.enable({ apis: ["setInterval"] });
    t.mock.method(performance, "now", () => this.#nowMs);
    const clock = new TurnClock();
    clock.now = () => this.#nowMs;
    const write = (line: string): void => void this.logs.push(JSON.parse(line) as LogLine);
    this.dispatcher = new Dispatcher({
      log: pino({ level: "debug" }, { write }),
      clock,
      bodyBudget: new ByteBudget(2 ** 28),
      blocks: new BlockPool(),
      spool: NO_SPOOL,
      queueDelayMs: 0,
      maxRequests: null,
      counters: new Counters(),
      responseCreditBytes: 1_000,
      workerConcurrency: 10,
      queueLimit: 5,
      queueTimeoutMs: QUEUE_TIMEOUT_MS,
      quarantineMs: 60_000,
      routes: {
        mayReplay: () => null,
        describe: ({ route, client, url }) => ({
          route: `/route/${route}`,
          method: client.head.method,
          path: new URL(url).pathname,
        }),
      },
      ...options,
    });
    t.after(() => this.dispatcher.close("ERR_DRAINING"));
  }

  attach(): Lane {
    const channel = new Channel<ToPrimary, ToWorker>(new Socket(), {
      maxFrameBytes: 1024,
      parse: parseToPrimary,
      onMessage: () => {},
      onClose: () => {},
    });
    const sent: ToWorker[] = [];
    channel.send = (message) => void sent.push(message);
    const lane = this.dispatcher.attach(++this.#workerIds as WorkerId, channel);
    this.sent.set(lane, sent);
    return lane;
  }

  admit(
    method: string,
    path: string,
    options: { body?: string; fields?: string; timeoutMs?: number } = {},
  ): FakeClient {
    const { body, fields, timeoutMs = TIMEOUT_MS } = options;
    const bodyBytes = body === undefined ? 0 : body.length;
    const client = new FakeClient(++this.#clientIds, { method, bodyBytes });
    if (fields !== undefined) client.head.fields = fields;
    const url = `http://localhost${path}`;
    const limits = { bodyLimitBytes: 1_000, timeoutMs, buffering: BUFFERING };
    this.dispatcher.admit(client, { route: 7, params: null, url, ...limits });
    if (body !== undefined) client.sendBody(Buffer.from(body));
    return client;
  }

  answer(lane: Lane, client: FakeClient): void {
    this.dispatcher.receive(lane, [Kind.response, client.id, 200, "", "", ""]);
  }

  /** The requests that a worker was sent, by their clients' ids. */
  requestsTo(lane: Lane): number[] {
    return this.messagesTo(lane).map(([, id]) => id);
  }

  messagesTo(lane: Lane): RequestMessage[] {
    return (this.sent.get(lane) ?? []).flatMap((message) =>
      message[0] === Kind.request ? [message] : [],
    );
  }

  tick(ms: number): void {
    this.#nowMs += ms;
    this.#t.mock.timers.tick(ms);
  }
}

function kindsOf(...clients: readonly FakeClient[]): string[] {
  return clients.map(({ outcomes }) =>
    outcomes
      .map((outcome) => (outcome.kind === "refused" ? String(outcome.status) : outcome.kind))
      .join("+"),
  );
}

describe("an exchange whose worker was killed", () => {
  it("goes to another worker at once, as it was, before what waits", (t) => {
    const trial = new Trial(t, { workerConcurrency: 1 });
    const first = trial.attach();
    const client = trial.admit("PUT", "/a", { body: "whole", fields: "host\na" });
    const waiting = trial.admit("GET", "/b");
    const loss = trial.dispatcher.detach(first, KILLED);
    assert.deepEqual(loss, { failed: 0, replayed: 1, firstFailed: null });
    const second = trial.attach();
    assert.deepEqual(trial.requestsTo(second), [client.id]);
    assert.deepEqual(trial.messagesTo(second), trial.messagesTo(first));
    assert.equal(client.workerId, 2);
    trial.answer(second, client);
    assert.deepEqual(trial.requestsTo(second), [client.id, waiting.id]);
    assert.deepEqual(kindsOf(client, waiting), ["answered", ""]);
  });

  it("is given up after ten more workers", (t) => {
    const trial = new Trial(t, { quarantineMs: 0 });
    const client = trial.admit("GET", "/a");
    for (let lost = 0; lost < 11; lost++) {
      assert.deepEqual(kindsOf(client), [""]);
      trial.dispatcher.detach(trial.attach(), KILLED);
    }
    assert.deepEqual(kindsOf(client), ["502"]);
  });

  it("runs alone after three more workers: those that were lost together are not any longer", (t) => {
    const trial = new Trial(t);
    const clients = [trial.admit("GET", "/a"), trial.admit("GET", "/b")];
    const ids = clients.map(({ id }) => id);
    for (let lost = 0; lost < 4; lost++) {
      const lane = trial.attach();
      assert.deepEqual(trial.requestsTo(lane), ids);
      trial.dispatcher.detach(lane, KILLED);
    }
    const lanes = [trial.attach(), trial.attach()];
    const sent = (): number[] => lanes.flatMap((lane) => trial.requestsTo(lane));
    assert.deepEqual(sent(), [ids[0]]);
    const [busy] = lanes.filter((lane) => lane.inFlight.size > 0);
    const [first] = clients;
    assert.ok(busy !== undefined && first !== undefined);
    trial.answer(busy, first);
    assert.deepEqual(sent(), ids);
  });

  it("runs among others still, when too many wait to run alone", (t) => {
    const trial = new Trial(t, { queueLimit: 1 });
    const lanes = [trial.attach()];
    const clients = ["/a", "/b", "/c"].map((path) => trial.admit("GET", path));
    for (let lost = 0; lost < 4; lost++) {
      for (const lane of lanes.splice(0)) trial.dispatcher.detach(lane, KILLED);
      lanes.push(trial.attach());
    }
    assert.deepEqual(kindsOf(...clients), ["", "", ""]);
    const [lane] = lanes;
    assert.ok(lane !== undefined);
    assert.deepEqual(
      trial.requestsTo(lane),
      clients.slice(1).map(({ id }) => id),
    );
  });

  it("fails at once when it may not run twice", (t) => {
    const trial = new Trial(t, {
      routes: {
        mayReplay: (_, method) => (method === "PUT" ? false : null),
        describe: ({ route }) => ({ route }),
      },
    });
    const lane = trial.attach();
    trial.attach();
    const post = trial.admit("POST", "/a", { body: "whole" });
    trial.dispatcher.receive(lane, [Kind.requestCredit, post.id, 1]);
    const clients = [
      post,
      trial.admit("PATCH", "/a"),
      trial.admit("PUT", "/a"),
      trial.admit("POST", "/a", { fields: "idempotency-key\nk" }),
      // Its body is half-way to the worker.
      trial.admit("GET", "/a", { body: "x".repeat(101) }),
    ];
    // The rest went to the other worker.
    const [other] = [...trial.sent.keys()].slice(1);
    assert.ok(other !== undefined);
    trial.dispatcher.detach(lane, KILLED);
    trial.dispatcher.detach(other, KILLED);
    assert.deepEqual(kindsOf(...clients), ["502", "502", "502", "", "502"]);
    assert.deepEqual(trial.requestsTo(trial.attach()), [clients[3]?.id]);
  });

  it("is not sent again once its answer has begun", (t) => {
    const trial = new Trial(t);
    const lane = trial.attach();
    const client = trial.admit("GET", "/a");
    trial.dispatcher.receive(lane, [Kind.response, client.id, 200, "", "", BODY_FOLLOWS]);
    const { failed, replayed, firstFailed } = trial.dispatcher.detach(lane, KILLED);
    assert.deepEqual([failed, replayed, firstFailed?.id], [1, 0, client.id]);
    assert.equal(client.streamed.end, "broken");
    assert.deepEqual(trial.requestsTo(trial.attach()), []);
  });

  it("has what is left of its time, not its time once more", (t) => {
    const trial = new Trial(t);
    const [first, second] = [trial.attach(), trial.attach()];
    const client = trial.admit("GET", "/a");
    const patient = trial.admit("GET", "/b", { timeoutMs: 0 });
    trial.tick(2_000);
    trial.dispatcher.detach(first, KILLED);
    trial.dispatcher.detach(second, KILLED);
    trial.tick(1_000);
    const third = trial.attach();
    const left = trial.messagesTo(third).map(([, id, , , , , , , timeoutMs]) => [id, timeoutMs]);
    assert.deepEqual(left, [
      [client.id, 2_000],
      [patient.id, 0],
    ]);
    trial.tick(2_000);
    assert.deepEqual(kindsOf(client, patient), ["", ""]);
    trial.tick(250);
    assert.deepEqual(kindsOf(client, patient), ["504", ""]);
    trial.answer(third, patient);
  });

  it("waits for a worker no longer than others do, nor than its own time", (t) => {
    const trial = new Trial(t);
    const lane = trial.attach();
    const [client, hasty] = [
      trial.admit("GET", "/a"),
      trial.admit("GET", "/b", { timeoutMs: 1_000 }),
    ];
    trial.tick(500);
    trial.dispatcher.detach(lane, KILLED);
    trial.tick(500);
    assert.deepEqual(kindsOf(client, hasty), ["", ""]);
    trial.tick(250);
    assert.deepEqual(kindsOf(client, hasty), ["", "504"]);
    trial.tick(2_250);
    assert.deepEqual(kindsOf(client), [""]);
    trial.tick(250);
    assert.deepEqual(kindsOf(client), ["503"]);
    assert.deepEqual(trial.dispatcher.load, { queued: 0, inFlight: 0 });
  });

  it("ends with its client, and with the dispatcher", async (t) => {
    const trial = new Trial(t);
    const lane = trial.attach();
    const [leaver, other] = [trial.admit("GET", "/a"), trial.admit("GET", "/b")];
    trial.dispatcher.detach(lane, KILLED);
    leaver.leave();
    assert.deepEqual(trial.dispatcher.load, { queued: 1, inFlight: 0 });
    const idle = trial.dispatcher.idle();
    trial.dispatcher.close("ERR_DRAINING");
    await idle;
    assert.deepEqual(kindsOf(leaver, other), ["left", "503"]);
    const late = new Trial(t);
    const served = late.admit("GET", "/a");
    const gone = late.attach();
    late.dispatcher.close("ERR_DRAINING");
    assert.deepEqual(late.dispatcher.detach(gone, KILLED), {
      failed: 0,
      replayed: 0,
      firstFailed: null,
    });
    assert.deepEqual(kindsOf(served), ["503"]);
  });

  it("does not count what its old worker has said late", (t) => {
    const trial = new Trial(t);
    const lane = trial.attach();
    const client = trial.admit("GET", "/a");
    trial.dispatcher.detach(lane, KILLED);
    const next = trial.attach();
    trial.answer(lane, client);
    assert.deepEqual(kindsOf(client), [""]);
    trial.answer(next, client);
    assert.deepEqual(kindsOf(client), ["answered"]);
  });
});

describe("an exchange whose worker crashed", () => {
  it("runs alone on a worker that has nothing to do, while others work on", (t) => {
    const trial = new Trial(t);
    const lanes = [trial.attach(), trial.attach(), trial.attach()] as const;
    const clients = ["/a", "/b", "/c"].map((path) => trial.admit("GET", path));
    const [a, b, c] = clients as [FakeClient, FakeClient, FakeClient];
    const also = trial.admit("GET", "/d");
    trial.dispatcher.detach(lanes[0], CRASHED);
    // Both others are busy.
    assert.equal(trial.dispatcher.load.queued, 2);
    trial.answer(lanes[2], c);
    assert.deepEqual(trial.requestsTo(lanes[2]), [c.id, a.id]);
    const new1 = trial.admit("GET", "/e");
    assert.equal(new1.workerId, 2);
    trial.answer(lanes[2], a);
    assert.deepEqual(trial.requestsTo(lanes[2]), [c.id, a.id, also.id]);
    trial.answer(lanes[2], also);
    // It takes new work again.
    assert.equal(trial.admit("GET", "/f").workerId, 3);
    trial.answer(lanes[1], b);
    assert.deepEqual(kindsOf(a, b, c, also), ["answered", "answered", "answered", "answered"]);
  });

  it("leaves its worker to others when it fails there", (t) => {
    const trial = new Trial(t);
    const [lost, next] = [trial.attach(), trial.attach()];
    const suspect = trial.admit("GET", "/a");
    trial.dispatcher.detach(lost, CRASHED);
    trial.tick(PATIENCE_MS);
    assert.deepEqual(trial.requestsTo(next), [suspect.id]);
    trial.dispatcher.receive(next, [Kind.responseAbort, suspect.id]);
    assert.deepEqual(kindsOf(suspect), ["500"]);
    assert.deepEqual(
      ["/a", "/b"].map((path) => trial.admit("GET", path).workerId),
      [2, 2],
    );
  });

  it("empties a worker for it when none is idle for long", (t) => {
    const trial = new Trial(t);
    const [lost, first, second] = [trial.attach(), trial.attach(), trial.attach()];
    const [suspect, slow, busy] = [
      trial.admit("GET", "/a"),
      trial.admit("GET", "/b"),
      trial.admit("GET", "/c"),
    ];
    trial.dispatcher.detach(lost, CRASHED);
    trial.tick(PATIENCE_MS);
    // The first of the two takes nothing new now.
    for (let count = 0; count < 5; count++) assert.equal(trial.admit("GET", "/x").workerId, 3);
    trial.answer(first, slow);
    assert.deepEqual(trial.requestsTo(first).at(-1), suspect.id);
    trial.answer(first, suspect);
    assert.equal(trial.admit("GET", "/y").workerId, 2);
    trial.answer(second, busy);
  });

  it("takes a worker that has become idle before the one that is being emptied", (t) => {
    const trial = new Trial(t);
    const [lost, first, second] = [trial.attach(), trial.attach(), trial.attach()];
    const [suspect, slow, quick] = [
      trial.admit("GET", "/a"),
      trial.admit("GET", "/b"),
      trial.admit("GET", "/c"),
    ];
    trial.dispatcher.detach(lost, CRASHED);
    trial.tick(PATIENCE_MS);
    trial.answer(second, quick);
    assert.deepEqual(trial.requestsTo(second).at(-1), suspect.id);
    assert.equal(trial.admit("GET", "/x").workerId, 2);
    trial.answer(first, slow);
  });

  it("takes the only worker after a while, and others wait for a turn meanwhile", (t) => {
    const trial = new Trial(t);
    const suspect = trial.admit("GET", "/a");
    trial.dispatcher.detach(trial.attach(), CRASHED);
    const lane = trial.attach();
    assert.deepEqual(trial.requestsTo(lane), []);
    trial.tick(PATIENCE_MS);
    assert.deepEqual(trial.requestsTo(lane), [suspect.id]);
    const other = trial.admit("GET", "/b");
    assert.deepEqual(kindsOf(other), [""]);
    assert.deepEqual(trial.requestsTo(lane), [suspect.id]);
    trial.answer(lane, suspect);
    assert.deepEqual(trial.requestsTo(lane), [suspect.id, other.id]);
  });

  it("goes on among others when they have waited for long and its worker lives", (t) => {
    const trial = new Trial(t);
    const [slow, next] = [trial.admit("GET", "/a"), trial.admit("GET", "/b")];
    trial.dispatcher.detach(trial.attach(), CRASHED);
    const lane = trial.attach();
    trial.tick(PATIENCE_MS);
    const other = trial.admit("GET", "/c");
    trial.tick(LONGEST_WAIT_MS);
    // A blocked worker would only take others down with it.
    assert.deepEqual(trial.requestsTo(lane), [slow.id]);
    assert.deepEqual(trial.sent.get(lane)?.at(-1), [Kind.probe, slow.id]);
    trial.dispatcher.receive(lane, [Kind.probed, slow.id]);
    assert.deepEqual(trial.requestsTo(lane), [slow.id, other.id]);
    // They have as long as it had.
    trial.answer(lane, other);
    assert.deepEqual(trial.requestsTo(lane), [slow.id, other.id]);
    trial.tick(LONGEST_WAIT_MS);
    const late = trial.admit("GET", "/d");
    assert.deepEqual(kindsOf(slow, next, late), ["", "", ""]);
    assert.deepEqual(trial.requestsTo(lane), [slow.id, other.id]);
    // The next one does not wait for its end for ever.
    trial.tick(LONGEST_WAIT_MS);
    assert.deepEqual(trial.requestsTo(lane), [slow.id, other.id, next.id]);
    trial.answer(lane, next);
    assert.deepEqual(trial.requestsTo(lane).at(-1), late.id);
    for (const client of [slow, late]) trial.answer(lane, client);
    assert.deepEqual(kindsOf(slow, next, other, late), Array(4).fill("answered"));
  });

  it("gives its worker back before the queue is full", (t) => {
    const trial = new Trial(t, { queueLimit: 8 });
    const suspect = trial.admit("GET", "/a");
    trial.dispatcher.detach(trial.attach(), CRASHED);
    const lane = trial.attach();
    trial.tick(PATIENCE_MS);
    const others = ["/1", "/2", "/3", "/4", "/5"].map((path) => trial.admit("GET", path));
    trial.dispatcher.receive(lane, [Kind.probed, suspect.id]);
    const ids = others.map(({ id }) => id);
    assert.deepEqual(trial.requestsTo(lane), [suspect.id, ...ids]);
  });

  it("comes after others once one like it has taken the only worker down", (t) => {
    const trial = new Trial(t);
    const [poison, innocent] = [trial.admit("GET", "/p"), trial.admit("GET", "/a")];
    trial.dispatcher.detach(trial.attach(), CRASHED);
    const first = trial.attach();
    trial.tick(PATIENCE_MS);
    assert.deepEqual(trial.requestsTo(first), [poison.id]);
    const other = trial.admit("GET", "/b");
    trial.dispatcher.detach(first, CRASHED);
    const second = trial.attach();
    assert.deepEqual(trial.requestsTo(second), [other.id]);
    trial.answer(second, other);
    trial.tick(250);
    assert.deepEqual(trial.requestsTo(second), [other.id, innocent.id]);
    trial.answer(second, innocent);
    assert.deepEqual(kindsOf(poison, innocent, other), ["502", "answered", "answered"]);
  });

  it("is run before others when many are like it", (t) => {
    const trial = new Trial(t);
    const rare = ["/1", "/2"].map((path) => trial.admit("GET", path));
    const popular = trial.admit("GET", "/popular");
    trial.dispatcher.detach(trial.attach(), CRASHED);
    const again = trial.admit("GET", "/popular");
    const lane = trial.attach();
    trial.tick(PATIENCE_MS);
    assert.deepEqual(trial.requestsTo(lane), [popular.id]);
    trial.answer(lane, popular);
    assert.equal(trial.requestsTo(lane)[1], rare[0]?.id);
    for (const client of rare) trial.answer(lane, client);
    assert.deepEqual(trial.requestsTo(lane).at(-1), again.id);
    trial.answer(lane, again);
  });

  it("is not kept waiting by streams, which may never end", (t) => {
    const trial = new Trial(t);
    const lanes = [trial.attach(), trial.attach(), trial.attach()] as const;
    const clients = ["/a", "/b", "/c"].map((path) => trial.admit("GET", path));
    for (const lane of [lanes[1], lanes[2]]) {
      const id = clients[lane.workerId - 1]?.id;
      assert.ok(id !== undefined);
      trial.dispatcher.receive(lane, [Kind.response, id, 200, "", "", BODY_FOLLOWS]);
    }
    trial.dispatcher.detach(lanes[0], CRASHED);
    assert.deepEqual(trial.requestsTo(lanes[1]), [2, 1]);
  });

  it("waits among others that were with it, no more of them than may wait", (t) => {
    const trial = new Trial(t);
    const lane = trial.attach();
    const clients = ["/1", "/2", "/3", "/4", "/5", "/6", "/7"].map((path) =>
      trial.admit("GET", path),
    );
    const { failed, replayed, firstFailed } = trial.dispatcher.detach(lane, CRASHED);
    assert.deepEqual([failed, replayed, firstFailed?.id], [2, 5, clients[5]?.id]);
    assert.deepEqual(kindsOf(...clients), ["", "", "", "", "", "502", "502"]);
  });

  it("waits for as long as it may take, and where that has no bound, as long as others", (t) => {
    const trial = new Trial(t);
    const lane = trial.attach();
    const [client, patient] = [
      trial.admit("GET", "/a"),
      trial.admit("GET", "/b", { timeoutMs: 0 }),
    ];
    trial.dispatcher.detach(lane, CRASHED);
    // It has not run yet: nobody has made it wait before.
    const likeIt = trial.admit("GET", "/a");
    trial.tick(QUEUE_TIMEOUT_MS + 250);
    assert.deepEqual(kindsOf(client, patient, likeIt), ["", "503", "503"]);
    trial.tick(TIMEOUT_MS - QUEUE_TIMEOUT_MS);
    assert.deepEqual(kindsOf(client), ["504"]);
  });

  it("gets no third chance, but those that are like it are believed once it is answered", (t) => {
    const trial = new Trial(t);
    const [lost, kept] = [trial.attach(), trial.attach()];
    // Both are the same request; they cannot be answered yet.
    const [a1, busy, a2] = [
      trial.admit("GET", "/a"),
      trial.admit("GET", "/b"),
      trial.admit("GET", "/a"),
    ];
    trial.dispatcher.detach(lost, CRASHED);
    const next = trial.attach();
    assert.deepEqual(trial.requestsTo(next), [a1.id]);
    trial.answer(next, a1);
    // Released, it may share a worker.
    assert.deepEqual(trial.requestsTo(next), [a1.id, a2.id]);
    assert.equal(trial.admit("GET", "/a").workerId, kept.workerId);
    trial.dispatcher.detach(next, CRASHED);
    assert.deepEqual(kindsOf(a1, a2, busy), ["answered", "502", ""]);
  });

  it("runs among others when nothing is quarantined", (t) => {
    const trial = new Trial(t, { quarantineMs: 0 });
    const [lost, kept] = [trial.attach(), trial.attach()];
    const [client] = [trial.admit("GET", "/a"), trial.admit("GET", "/b")];
    trial.dispatcher.detach(lost, CRASHED);
    assert.deepEqual(trial.requestsTo(kept), [2, 1]);
    trial.dispatcher.detach(kept, CRASHED);
    assert.deepEqual(kindsOf(client), ["502"]);
    assert.equal(trial.admit("GET", "/a").outcomes.length, 0);
  });
});

describe("a request that crashes workers", () => {
  it("is another than one that was only unlucky before, and runs beside it", (t) => {
    const trial = new Trial(t);
    const unlucky = trial.admit("GET", "/unlucky");
    for (let lost = 0; lost < 4; lost++) trial.dispatcher.detach(trial.attach(), KILLED);
    // The only worker is busy for longer than it is waited for: they run there together, twice.
    for (const path of ["/a", "/b"]) {
      const lane = trial.attach();
      const poison = trial.admit("POST", path);
      trial.tick(1_250);
      trial.tick(1_250);
      assert.deepEqual(trial.requestsTo(lane), [poison.id, unlucky.id]);
      trial.dispatcher.detach(lane, CRASHED);
      assert.deepEqual(kindsOf(poison), ["502"]);
    }
    // It has had its second chance, but nobody refuses what is like it.
    assert.deepEqual(kindsOf(unlucky), ["502"]);
    assert.ok(trial.logs.every(({ code }) => code !== "ERR_QUARANTINED"));
    assert.deepEqual(kindsOf(trial.admit("GET", "/unlucky")), [""]);
  });

  it("is refused for a while, also where it waits, then tried once more alone", (t) => {
    const trial = new Trial(t);
    const [lost, first] = [trial.attach(), trial.attach()];
    const body = "poison";
    const poison = trial.admit("PUT", "/p?secret", { body });
    trial.admit("GET", "/busy");
    trial.dispatcher.detach(lost, CRASHED);
    const second = trial.attach();
    assert.deepEqual(trial.requestsTo(second), [poison.id]);
    const twin = trial.admit("PUT", "/p?secret", { body });
    const different = trial.admit("PUT", "/p?secret", { body: "food" });
    assert.deepEqual(kindsOf(twin, different), ["", ""]);
    assert.equal(different.workerId, first.workerId);
    trial.dispatcher.detach(second, CRASHED);
    assert.deepEqual(kindsOf(poison, twin), ["502", "503"]);
    const line = trial.logs.find(({ code }) => code === "ERR_QUARANTINED");
    assert.equal(line?.["level"], 50);
    assert.deepEqual(
      [line?.["route"], line?.["method"], line?.["path"], line?.["quarantineMs"]],
      ["/route/7", "PUT", "/p", 60_000],
    );
    trial.tick(18_500);
    const late = trial.admit("PUT", "/p?secret", { body });
    assert.deepEqual(late.outcomes, [{ kind: "refused", status: 503, retryAfterSeconds: 42 }]);
    trial.tick(41_500);
    const again = trial.admit("PUT", "/p?secret", { body });
    const third = trial.attach();
    assert.deepEqual(trial.requestsTo(third), [again.id]);
    trial.dispatcher.detach(third, CRASHED);
    assert.deepEqual(kindsOf(again), ["502"]);
    assert.deepEqual(kindsOf(trial.admit("PUT", "/p?secret", { body })), ["503"]);
  });

  it("is found out though its client left, or had its 504 long before", (t) => {
    for (const how of ["left", "504"]) {
      const trial = new Trial(t);
      const body = "poison";
      const poison = (): FakeClient => trial.admit("POST", "/p", { body, timeoutMs: 500 });
      for (let count = 0; count < 2; count++) {
        const lane = trial.attach();
        trial.attach();
        const client = poison();
        assert.deepEqual(trial.requestsTo(lane), [client.id], how);
        if (how === "left") client.leave();
        else trial.tick(750);
        assert.deepEqual(kindsOf(client), [how]);
        trial.dispatcher.detach(lane, CRASHED);
        for (const each of trial.sent.keys()) trial.dispatcher.retire(each);
      }
      assert.deepEqual(kindsOf(poison()), ["503"], how);
      trial.dispatcher.close("ERR_DRAINING");
    }
  });

  it("is found out where it is never alone, one crash later, and spares who is with it", (t) => {
    const trial = new Trial(t);
    const poison = trial.admit("GET", "/p");
    trial.dispatcher.detach(trial.attach(), CRASHED);
    // What is not answered for long is never gone: the suspect runs beside it in the end.
    const crash = (client: FakeClient): FakeClient => {
      const lane = trial.attach();
      const longPoll = trial.admit("GET", "/poll", { timeoutMs: 0 });
      trial.tick(PATIENCE_MS);
      assert.deepEqual(trial.requestsTo(lane), [longPoll.id]);
      trial.tick(PATIENCE_MS);
      assert.deepEqual(trial.requestsTo(lane), [longPoll.id, client.id]);
      trial.dispatcher.detach(lane, CRASHED);
      const next = trial.attach();
      trial.tick(PATIENCE_MS);
      assert.deepEqual(trial.requestsTo(next), [longPoll.id]);
      trial.answer(next, longPoll);
      trial.dispatcher.detach(next, KILLED);
      return longPoll;
    };
    const first = crash(poison);
    const isCondemned = (): boolean => trial.logs.some(({ code }) => code === "ERR_QUARANTINED");
    assert.deepEqual([kindsOf(poison, first), isCondemned()], [["502", "answered"], false]);
    const again = trial.admit("GET", "/p");
    const second = crash(again);
    assert.deepEqual([kindsOf(again, second), isCondemned()], [["502", "answered"], true]);
    assert.deepEqual(kindsOf(trial.admit("GET", "/p")), ["503"]);
  });

  it("is not taken for one without a body once its own is gone", (t) => {
    const buffering = { ...BUFFERING, bodyBufferBytes: 2_000_000 };
    const trial = new Trial(t);
    const lane = trial.attach();
    // Too large to be recognised by.
    const client = new FakeClient(1_000, { method: "PUT", bodyBytes: 1_100_000 });
    const url = "http://localhost/p";
    const limits = { bodyLimitBytes: 2_000_000, timeoutMs: TIMEOUT_MS, buffering };
    trial.dispatcher.admit(client, { route: 7, params: null, url, ...limits });
    client.sendBody(Buffer.alloc(1_100_000));
    client.leave();
    trial.dispatcher.detach(lane, CRASHED);
    const next = trial.attach();
    const other = trial.admit("PUT", "/p");
    assert.deepEqual(trial.requestsTo(next), [other.id]);
  });

  it("is believed once it is answered, and not when it is only put aside", (t) => {
    const trial = new Trial(t);
    const lost = trial.attach();
    trial.admit("POST", "/p");
    trial.dispatcher.detach(lost, CRASHED);
    const [lane, other] = [trial.attach(), trial.attach()];
    const leaver = trial.admit("POST", "/p");
    assert.deepEqual(trial.requestsTo(lane), [leaver.id]);
    leaver.leave();
    trial.dispatcher.receive(lane, [Kind.settled, leaver.id]);
    const suspect = trial.admit("POST", "/p");
    assert.deepEqual(trial.requestsTo(lane), [leaver.id, suspect.id]);
    // Nothing goes where it is alone.
    for (let count = 0; count < 3; count++) assert.equal(trial.admit("GET", "/x").workerId, 3);
    trial.answer(lane, suspect);
    const believed = trial.admit("POST", "/p");
    assert.equal(believed.workerId, 2);
    assert.equal(trial.admit("GET", "/x").workerId, 2);
    trial.dispatcher.detach(other, KILLED);
  });

  it("is not blamed for a worker that was retired or killed around it", (t) => {
    const trial = new Trial(t);
    const suspect = trial.admit("GET", "/a");
    trial.dispatcher.detach(trial.attach(), CRASHED);
    const [first, second] = [trial.attach(), trial.attach()];
    assert.deepEqual(trial.requestsTo(first), [suspect.id]);
    trial.dispatcher.retire(first);
    trial.dispatcher.detach(first, KILLED);
    const third = trial.attach();
    const places = [...trial.requestsTo(second), ...trial.requestsTo(third)];
    assert.deepEqual(places, [suspect.id]);
    assert.equal(trial.logs.length, 0);
  });
});
