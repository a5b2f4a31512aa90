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
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { Dispatcher, type DispatcherOptions } from "../../runtime/dispatch/dispatcher.ts";
import type { Lane } from "../../runtime/dispatch/lane.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { TurnClock } from "../../runtime/lib/turn-clock.ts";
import { admit } from "../dispatch/admit.ts";
import { FakeClient } from "../dispatch/fake-client.ts";
import { NO_SPOOL } from "../dispatch/spooling.ts";

const CRASHED = { code: "ERR_WORKER_EXITED", ownDoing: true } as const;
const KILLED = { code: "ERR_WORKER_EXITED", ownDoing: false } as const;

const TIMEOUT_MS = 5_000;
const QUEUE_TIMEOUT_MS = 3_000;
const PATIENCE_MS = 1_000;
/** How long other exchanges wait for suspects, with a late sweep. */
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

/** A dispatcher with lanes in place of workers, on a simulated clock. */
class Scenario {
  readonly dispatcher: Dispatcher;
  readonly logs: LogLine[] = [];
  /** The messages to each worker. */
  readonly sent = new Map<Lane, ToWorker[]>();
  readonly #t: TestContext;
  #nowMs = 1_000;
  #clientIds = 0;
  #workerIds = 0;

  constructor(t: TestContext, options: Partial<DispatcherOptions> = {}) {
    this.#t = t;
    // A test may use two, one after the other.
    t.mock.reset();
    t.mock.timers.enable({ apis: ["setInterval"] });
    t.mock.method(performance, "now", () => this.#nowMs);
    const clock = new TurnClock();
    clock.now = () => this.#nowMs;
    const write = (line: string): void => void this.logs.push(JSON.parse(line) as LogLine);
    this.dispatcher = new Dispatcher({
      log: pino({ level: "debug" }, { write }),
      clock,
      blocks: new BlockPool(),
      spool: NO_SPOOL,
      queueDelayMs: 0,
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
    admit(this.dispatcher, client, { route: 7, params: null, url, ...limits });
    if (body !== undefined) client.sendBody(Buffer.from(body));
    return client;
  }

  answer(lane: Lane, client: FakeClient): void {
    this.dispatcher.receiverOf(lane)([Kind.response, client.id, 200, "", "", ""]);
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
  it("goes to another worker at once, unchanged, before queued exchanges", (t) => {
    const scenario = new Scenario(t, { workerConcurrency: 1 });
    const first = scenario.attach();
    const client = scenario.admit("PUT", "/a", { body: "whole", fields: "host\na" });
    const waiting = scenario.admit("GET", "/b");
    const loss = scenario.dispatcher.detach(first, KILLED);
    assert.deepEqual(loss, { failed: 0, replayed: 1, firstFailed: null });
    const second = scenario.attach();
    assert.deepEqual(scenario.requestsTo(second), [client.id]);
    assert.deepEqual(scenario.messagesTo(second), scenario.messagesTo(first));
    assert.equal(client.workerId, 2);
    scenario.answer(second, client);
    assert.deepEqual(scenario.requestsTo(second), [client.id, waiting.id]);
    assert.deepEqual(kindsOf(client, waiting), ["answered", ""]);
  });

  it("fails after ten more workers", (t) => {
    const scenario = new Scenario(t, { quarantineMs: 0 });
    const client = scenario.admit("GET", "/a");
    for (let lost = 0; lost < 11; lost++) {
      assert.deepEqual(kindsOf(client), [""]);
      scenario.dispatcher.detach(scenario.attach(), KILLED);
    }
    assert.deepEqual(kindsOf(client), ["502"]);
  });

  it("runs alone after three more workers: exchanges that were lost together part", (t) => {
    const scenario = new Scenario(t);
    const clients = [scenario.admit("GET", "/a"), scenario.admit("GET", "/b")];
    const ids = clients.map(({ id }) => id);
    for (let lost = 0; lost < 4; lost++) {
      const lane = scenario.attach();
      assert.deepEqual(scenario.requestsTo(lane), ids);
      scenario.dispatcher.detach(lane, KILLED);
    }
    const lanes = [scenario.attach(), scenario.attach()];
    const sent = (): number[] => lanes.flatMap((lane) => scenario.requestsTo(lane));
    assert.deepEqual(sent(), [ids[0]]);
    const [busy] = lanes.filter((lane) => lane.inFlight.size > 0);
    const [first] = clients;
    assert.ok(busy !== undefined && first !== undefined);
    scenario.answer(busy, first);
    assert.deepEqual(sent(), ids);
  });

  it("runs among others when too many wait to run alone", (t) => {
    const scenario = new Scenario(t, { queueLimit: 1 });
    const lanes = [scenario.attach()];
    const clients = ["/a", "/b", "/c"].map((path) => scenario.admit("GET", path));
    for (let lost = 0; lost < 4; lost++) {
      for (const lane of lanes.splice(0)) scenario.dispatcher.detach(lane, KILLED);
      lanes.push(scenario.attach());
    }
    assert.deepEqual(kindsOf(...clients), ["", "", ""]);
    const [lane] = lanes;
    assert.ok(lane !== undefined);
    assert.deepEqual(
      scenario.requestsTo(lane),
      clients.slice(1).map(({ id }) => id),
    );
  });

  it("fails at once when it may not run twice", (t) => {
    const scenario = new Scenario(t, {
      routes: {
        mayReplay: (_, method) => (method === "PUT" ? false : null),
        describe: ({ route }) => ({ route }),
      },
    });
    const lane = scenario.attach();
    scenario.attach();
    const post = scenario.admit("POST", "/a", { body: "whole" });
    scenario.dispatcher.receiverOf(lane)([Kind.requestCredit, post.id, 1]);
    const clients = [
      post,
      scenario.admit("PATCH", "/a"),
      scenario.admit("PUT", "/a"),
      scenario.admit("POST", "/a", { fields: "idempotency-key\nk" }),
      // A part of the body is at the worker.
      scenario.admit("GET", "/a", { body: "x".repeat(101) }),
    ];
    // The other exchanges went to the other worker.
    const [other] = [...scenario.sent.keys()].slice(1);
    assert.ok(other !== undefined);
    scenario.dispatcher.detach(lane, KILLED);
    scenario.dispatcher.detach(other, KILLED);
    assert.deepEqual(kindsOf(...clients), ["502", "502", "502", "", "502"]);
    assert.deepEqual(scenario.requestsTo(scenario.attach()), [clients[3]?.id]);
  });

  it("is not sent again once its answer has begun", (t) => {
    const scenario = new Scenario(t);
    const lane = scenario.attach();
    const client = scenario.admit("GET", "/a");
    scenario.dispatcher.receiverOf(lane)([Kind.response, client.id, 200, "", "", BODY_FOLLOWS]);
    const { failed, replayed, firstFailed } = scenario.dispatcher.detach(lane, KILLED);
    assert.deepEqual([failed, replayed, firstFailed?.id], [1, 0, client.id]);
    assert.equal(client.streamed.end, "broken");
    assert.deepEqual(scenario.requestsTo(scenario.attach()), []);
  });

  it("has the rest of its timeout, not a new one", (t) => {
    const scenario = new Scenario(t);
    const [first, second] = [scenario.attach(), scenario.attach()];
    const client = scenario.admit("GET", "/a");
    const patient = scenario.admit("GET", "/b", { timeoutMs: 0 });
    scenario.tick(2_000);
    scenario.dispatcher.detach(first, KILLED);
    scenario.dispatcher.detach(second, KILLED);
    scenario.tick(1_000);
    const third = scenario.attach();
    const left = scenario.messagesTo(third).map(([, id, , , , , , , timeoutMs]) => [id, timeoutMs]);
    assert.deepEqual(left, [
      [client.id, 2_000],
      [patient.id, 0],
    ]);
    scenario.tick(2_000);
    assert.deepEqual(kindsOf(client, patient), ["", ""]);
    scenario.tick(250);
    assert.deepEqual(kindsOf(client, patient), ["504", ""]);
    scenario.answer(third, patient);
  });

  it("waits for a worker no longer than others do, nor than its own timeout", (t) => {
    const scenario = new Scenario(t);
    const lane = scenario.attach();
    const [client, hasty] = [
      scenario.admit("GET", "/a"),
      scenario.admit("GET", "/b", { timeoutMs: 1_000 }),
    ];
    scenario.tick(500);
    scenario.dispatcher.detach(lane, KILLED);
    scenario.tick(500);
    assert.deepEqual(kindsOf(client, hasty), ["", ""]);
    scenario.tick(250);
    assert.deepEqual(kindsOf(client, hasty), ["", "504"]);
    scenario.tick(2_250);
    assert.deepEqual(kindsOf(client), [""]);
    scenario.tick(250);
    assert.deepEqual(kindsOf(client), ["503"]);
    assert.deepEqual(scenario.dispatcher.load, { queued: 0, inFlight: 0 });
  });

  it("ends with its client, and with the dispatcher", async (t) => {
    const scenario = new Scenario(t);
    const lane = scenario.attach();
    const [leaver, other] = [scenario.admit("GET", "/a"), scenario.admit("GET", "/b")];
    scenario.dispatcher.detach(lane, KILLED);
    leaver.leave();
    assert.deepEqual(scenario.dispatcher.load, { queued: 1, inFlight: 0 });
    const idle = scenario.dispatcher.idle();
    scenario.dispatcher.close("ERR_DRAINING");
    await idle;
    assert.deepEqual(kindsOf(leaver, other), ["left", "503"]);
    const late = new Scenario(t);
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

  it("ignores late messages of its old worker", (t) => {
    const scenario = new Scenario(t);
    const lane = scenario.attach();
    const client = scenario.admit("GET", "/a");
    scenario.dispatcher.detach(lane, KILLED);
    const next = scenario.attach();
    scenario.answer(lane, client);
    assert.deepEqual(kindsOf(client), [""]);
    scenario.answer(next, client);
    assert.deepEqual(kindsOf(client), ["answered"]);
  });
});

describe("an exchange whose worker crashed", () => {
  it("runs alone on an idle worker while others work on", (t) => {
    const scenario = new Scenario(t);
    const lanes = [scenario.attach(), scenario.attach(), scenario.attach()] as const;
    const clients = ["/a", "/b", "/c"].map((path) => scenario.admit("GET", path));
    const [a, b, c] = clients as [FakeClient, FakeClient, FakeClient];
    const also = scenario.admit("GET", "/d");
    scenario.dispatcher.detach(lanes[0], CRASHED);
    // Both other workers are busy.
    assert.equal(scenario.dispatcher.load.queued, 2);
    scenario.answer(lanes[2], c);
    assert.deepEqual(scenario.requestsTo(lanes[2]), [c.id, a.id]);
    const new1 = scenario.admit("GET", "/e");
    assert.equal(new1.workerId, 2);
    scenario.answer(lanes[2], a);
    assert.deepEqual(scenario.requestsTo(lanes[2]), [c.id, a.id, also.id]);
    scenario.answer(lanes[2], also);
    // The worker takes new work again.
    assert.equal(scenario.admit("GET", "/f").workerId, 3);
    scenario.answer(lanes[1], b);
    assert.deepEqual(kindsOf(a, b, c, also), ["answered", "answered", "answered", "answered"]);
  });

  it("leaves its worker to others when it fails there", (t) => {
    const scenario = new Scenario(t);
    const [lost, next] = [scenario.attach(), scenario.attach()];
    const suspect = scenario.admit("GET", "/a");
    scenario.dispatcher.detach(lost, CRASHED);
    scenario.tick(PATIENCE_MS);
    assert.deepEqual(scenario.requestsTo(next), [suspect.id]);
    scenario.dispatcher.receiverOf(next)([Kind.responseAbort, suspect.id]);
    assert.deepEqual(kindsOf(suspect), ["500"]);
    assert.deepEqual(
      ["/a", "/b"].map((path) => scenario.admit("GET", path).workerId),
      [2, 2],
    );
  });

  it("drains a worker for the suspect when none is idle for long", (t) => {
    const scenario = new Scenario(t);
    const [lost, first, second] = [scenario.attach(), scenario.attach(), scenario.attach()];
    const [suspect, slow, busy] = [
      scenario.admit("GET", "/a"),
      scenario.admit("GET", "/b"),
      scenario.admit("GET", "/c"),
    ];
    scenario.dispatcher.detach(lost, CRASHED);
    scenario.tick(PATIENCE_MS);
    // The first of the two workers takes nothing new now.
    for (let count = 0; count < 5; count++) assert.equal(scenario.admit("GET", "/x").workerId, 3);
    scenario.answer(first, slow);
    assert.deepEqual(scenario.requestsTo(first).at(-1), suspect.id);
    scenario.answer(first, suspect);
    assert.equal(scenario.admit("GET", "/y").workerId, 2);
    scenario.answer(second, busy);
  });

  it("prefers a worker that has become idle to the one that is being drained", (t) => {
    const scenario = new Scenario(t);
    const [lost, first, second] = [scenario.attach(), scenario.attach(), scenario.attach()];
    const [suspect, slow, quick] = [
      scenario.admit("GET", "/a"),
      scenario.admit("GET", "/b"),
      scenario.admit("GET", "/c"),
    ];
    scenario.dispatcher.detach(lost, CRASHED);
    scenario.tick(PATIENCE_MS);
    scenario.answer(second, quick);
    assert.deepEqual(scenario.requestsTo(second).at(-1), suspect.id);
    assert.equal(scenario.admit("GET", "/x").workerId, 2);
    scenario.answer(first, slow);
  });

  it("takes the only worker after a while, and others wait for a turn meanwhile", (t) => {
    const scenario = new Scenario(t);
    const suspect = scenario.admit("GET", "/a");
    scenario.dispatcher.detach(scenario.attach(), CRASHED);
    const lane = scenario.attach();
    assert.deepEqual(scenario.requestsTo(lane), []);
    scenario.tick(PATIENCE_MS);
    assert.deepEqual(scenario.requestsTo(lane), [suspect.id]);
    const other = scenario.admit("GET", "/b");
    assert.deepEqual(kindsOf(other), [""]);
    assert.deepEqual(scenario.requestsTo(lane), [suspect.id]);
    scenario.answer(lane, suspect);
    assert.deepEqual(scenario.requestsTo(lane), [suspect.id, other.id]);
  });

  it("lets others join the suspect when they have waited for long and its worker lives", (t) => {
    const scenario = new Scenario(t);
    const [slow, next] = [scenario.admit("GET", "/a"), scenario.admit("GET", "/b")];
    scenario.dispatcher.detach(scenario.attach(), CRASHED);
    const lane = scenario.attach();
    scenario.tick(PATIENCE_MS);
    const other = scenario.admit("GET", "/c");
    scenario.tick(LONGEST_WAIT_MS);
    // A blocked worker would only take the others down.
    assert.deepEqual(scenario.requestsTo(lane), [slow.id]);
    assert.deepEqual(scenario.sent.get(lane)?.at(-1), [Kind.probe, slow.id]);
    scenario.dispatcher.receiverOf(lane)([Kind.probed, slow.id]);
    assert.deepEqual(scenario.requestsTo(lane), [slow.id, other.id]);
    // The others have as much time as the suspect had.
    scenario.answer(lane, other);
    assert.deepEqual(scenario.requestsTo(lane), [slow.id, other.id]);
    scenario.tick(LONGEST_WAIT_MS);
    const late = scenario.admit("GET", "/d");
    assert.deepEqual(kindsOf(slow, next, late), ["", "", ""]);
    assert.deepEqual(scenario.requestsTo(lane), [slow.id, other.id]);
    // The next suspect does not wait for this one's end forever.
    scenario.tick(LONGEST_WAIT_MS);
    assert.deepEqual(scenario.requestsTo(lane), [slow.id, other.id, next.id]);
    scenario.answer(lane, next);
    assert.deepEqual(scenario.requestsTo(lane).at(-1), late.id);
    for (const client of [slow, late]) scenario.answer(lane, client);
    assert.deepEqual(kindsOf(slow, next, other, late), Array(4).fill("answered"));
  });

  it("gives its worker back before the queue is full", (t) => {
    const scenario = new Scenario(t, { queueLimit: 8 });
    const suspect = scenario.admit("GET", "/a");
    scenario.dispatcher.detach(scenario.attach(), CRASHED);
    const lane = scenario.attach();
    scenario.tick(PATIENCE_MS);
    const others = ["/1", "/2", "/3", "/4", "/5"].map((path) => scenario.admit("GET", path));
    scenario.dispatcher.receiverOf(lane)([Kind.probed, suspect.id]);
    const ids = others.map(({ id }) => id);
    assert.deepEqual(scenario.requestsTo(lane), [suspect.id, ...ids]);
  });

  it("comes after others once a suspect like it has taken the only worker down", (t) => {
    const scenario = new Scenario(t);
    const [poison, innocent] = [scenario.admit("GET", "/p"), scenario.admit("GET", "/a")];
    scenario.dispatcher.detach(scenario.attach(), CRASHED);
    const first = scenario.attach();
    scenario.tick(PATIENCE_MS);
    assert.deepEqual(scenario.requestsTo(first), [poison.id]);
    const other = scenario.admit("GET", "/b");
    scenario.dispatcher.detach(first, CRASHED);
    const second = scenario.attach();
    assert.deepEqual(scenario.requestsTo(second), [other.id]);
    scenario.answer(second, other);
    scenario.tick(250);
    assert.deepEqual(scenario.requestsTo(second), [other.id, innocent.id]);
    scenario.answer(second, innocent);
    assert.deepEqual(kindsOf(poison, innocent, other), ["502", "answered", "answered"]);
  });

  it("runs before other suspects when many are like it", (t) => {
    const scenario = new Scenario(t);
    const rare = ["/1", "/2"].map((path) => scenario.admit("GET", path));
    const popular = scenario.admit("GET", "/popular");
    scenario.dispatcher.detach(scenario.attach(), CRASHED);
    const again = scenario.admit("GET", "/popular");
    const lane = scenario.attach();
    scenario.tick(PATIENCE_MS);
    assert.deepEqual(scenario.requestsTo(lane), [popular.id]);
    scenario.answer(lane, popular);
    assert.equal(scenario.requestsTo(lane)[1], rare[0]?.id);
    for (const client of rare) scenario.answer(lane, client);
    assert.deepEqual(scenario.requestsTo(lane).at(-1), again.id);
    scenario.answer(lane, again);
  });

  it("does not wait for streams, which may never end", (t) => {
    const scenario = new Scenario(t);
    const lanes = [scenario.attach(), scenario.attach(), scenario.attach()] as const;
    const clients = ["/a", "/b", "/c"].map((path) => scenario.admit("GET", path));
    for (const lane of [lanes[1], lanes[2]]) {
      const id = clients[lane.workerId - 1]?.id;
      assert.ok(id !== undefined);
      scenario.dispatcher.receiverOf(lane)([Kind.response, id, 200, "", "", BODY_FOLLOWS]);
    }
    scenario.dispatcher.detach(lanes[0], CRASHED);
    assert.deepEqual(scenario.requestsTo(lanes[1]), [2, 1]);
  });

  it("waits among other suspects, up to the limit of the queue", (t) => {
    const scenario = new Scenario(t);
    const lane = scenario.attach();
    const clients = ["/1", "/2", "/3", "/4", "/5", "/6", "/7"].map((path) =>
      scenario.admit("GET", path),
    );
    const { failed, replayed, firstFailed } = scenario.dispatcher.detach(lane, CRASHED);
    assert.deepEqual([failed, replayed, firstFailed?.id], [2, 5, clients[5]?.id]);
    assert.deepEqual(kindsOf(...clients), ["", "", "", "", "", "502", "502"]);
  });

  it("waits until its own timeout, or as long as others when it has none", (t) => {
    const scenario = new Scenario(t);
    const lane = scenario.attach();
    const [client, patient] = [
      scenario.admit("GET", "/a"),
      scenario.admit("GET", "/b", { timeoutMs: 0 }),
    ];
    scenario.dispatcher.detach(lane, CRASHED);
    // It has not run yet, so it has not waited for a crash.
    const likeIt = scenario.admit("GET", "/a");
    scenario.tick(QUEUE_TIMEOUT_MS + 250);
    assert.deepEqual(kindsOf(client, patient, likeIt), ["", "503", "503"]);
    scenario.tick(TIMEOUT_MS - QUEUE_TIMEOUT_MS);
    assert.deepEqual(kindsOf(client), ["504"]);
  });

  it("gets no third run, but exchanges like it are cleared once it is answered", (t) => {
    const scenario = new Scenario(t);
    const [lost, kept] = [scenario.attach(), scenario.attach()];
    // Both are the same request. They cannot be answered yet.
    const [a1, busy, a2] = [
      scenario.admit("GET", "/a"),
      scenario.admit("GET", "/b"),
      scenario.admit("GET", "/a"),
    ];
    scenario.dispatcher.detach(lost, CRASHED);
    const next = scenario.attach();
    assert.deepEqual(scenario.requestsTo(next), [a1.id]);
    scenario.answer(next, a1);
    // A cleared exchange may share a worker.
    assert.deepEqual(scenario.requestsTo(next), [a1.id, a2.id]);
    assert.equal(scenario.admit("GET", "/a").workerId, kept.workerId);
    scenario.dispatcher.detach(next, CRASHED);
    assert.deepEqual(kindsOf(a1, a2, busy), ["answered", "502", ""]);
  });

  it("runs among others when nothing is quarantined", (t) => {
    const scenario = new Scenario(t, { quarantineMs: 0 });
    const [lost, kept] = [scenario.attach(), scenario.attach()];
    const [client] = [scenario.admit("GET", "/a"), scenario.admit("GET", "/b")];
    scenario.dispatcher.detach(lost, CRASHED);
    assert.deepEqual(scenario.requestsTo(kept), [2, 1]);
    scenario.dispatcher.detach(kept, CRASHED);
    assert.deepEqual(kindsOf(client), ["502"]);
    assert.equal(scenario.admit("GET", "/a").outcomes.length, 0);
  });
});

describe("a request that crashes workers", () => {
  it("is told apart from a request that was only unlucky, and runs beside it", (t) => {
    const scenario = new Scenario(t);
    const unlucky = scenario.admit("GET", "/unlucky");
    for (let lost = 0; lost < 4; lost++) scenario.dispatcher.detach(scenario.attach(), KILLED);
    // The only worker stays busy: both run there together, twice.
    for (const path of ["/a", "/b"]) {
      const lane = scenario.attach();
      const poison = scenario.admit("POST", path);
      scenario.tick(1_250);
      scenario.tick(1_250);
      assert.deepEqual(scenario.requestsTo(lane), [poison.id, unlucky.id]);
      scenario.dispatcher.detach(lane, CRASHED);
      assert.deepEqual(kindsOf(poison), ["502"]);
    }
    // It has had its second run, but requests like it are not refused.
    assert.deepEqual(kindsOf(unlucky), ["502"]);
    assert.ok(scenario.logs.every(({ code }) => code !== "ERR_QUARANTINED"));
    assert.deepEqual(kindsOf(scenario.admit("GET", "/unlucky")), [""]);
  });

  it("is refused for a while, also while it waits, then runs once more alone", (t) => {
    const scenario = new Scenario(t);
    const [lost, first] = [scenario.attach(), scenario.attach()];
    const body = "poison";
    const poison = scenario.admit("PUT", "/p?secret", { body });
    scenario.admit("GET", "/busy");
    scenario.dispatcher.detach(lost, CRASHED);
    const second = scenario.attach();
    assert.deepEqual(scenario.requestsTo(second), [poison.id]);
    const twin = scenario.admit("PUT", "/p?secret", { body });
    const different = scenario.admit("PUT", "/p?secret", { body: "food" });
    assert.deepEqual(kindsOf(twin, different), ["", ""]);
    assert.equal(different.workerId, first.workerId);
    scenario.dispatcher.detach(second, CRASHED);
    assert.deepEqual(kindsOf(poison, twin), ["502", "503"]);
    const line = scenario.logs.find(({ code }) => code === "ERR_QUARANTINED");
    assert.equal(line?.["level"], 50);
    assert.deepEqual(
      [line?.["route"], line?.["method"], line?.["path"], line?.["quarantineMs"]],
      ["/route/7", "PUT", "/p", 60_000],
    );
    scenario.tick(18_500);
    const late = scenario.admit("PUT", "/p?secret", { body });
    assert.deepEqual(late.outcomes, [{ kind: "refused", status: 503, retryAfterSeconds: 42 }]);
    scenario.tick(41_500);
    const again = scenario.admit("PUT", "/p?secret", { body });
    const third = scenario.attach();
    assert.deepEqual(scenario.requestsTo(third), [again.id]);
    scenario.dispatcher.detach(third, CRASHED);
    assert.deepEqual(kindsOf(again), ["502"]);
    assert.deepEqual(kindsOf(scenario.admit("PUT", "/p?secret", { body })), ["503"]);
  });

  it("is found although its client left, or had its 504 long before", (t) => {
    for (const how of ["left", "504"]) {
      const scenario = new Scenario(t);
      const body = "poison";
      const poison = (): FakeClient => scenario.admit("POST", "/p", { body, timeoutMs: 500 });
      for (let count = 0; count < 2; count++) {
        const lane = scenario.attach();
        scenario.attach();
        const client = poison();
        assert.deepEqual(scenario.requestsTo(lane), [client.id], how);
        if (how === "left") client.leave();
        else scenario.tick(750);
        assert.deepEqual(kindsOf(client), [how]);
        scenario.dispatcher.detach(lane, CRASHED);
        for (const each of scenario.sent.keys()) scenario.dispatcher.retire(each);
      }
      assert.deepEqual(kindsOf(poison()), ["503"], how);
      scenario.dispatcher.close("ERR_DRAINING");
    }
  });

  it("is found one crash later if it is never alone, and its neighbours survive", (t) => {
    const scenario = new Scenario(t);
    const poison = scenario.admit("GET", "/p");
    scenario.dispatcher.detach(scenario.attach(), CRASHED);
    // The worker never becomes idle: in the end the suspect runs beside the long poll.
    const crash = (client: FakeClient): FakeClient => {
      const lane = scenario.attach();
      const longPoll = scenario.admit("GET", "/poll", { timeoutMs: 0 });
      scenario.tick(PATIENCE_MS);
      assert.deepEqual(scenario.requestsTo(lane), [longPoll.id]);
      scenario.tick(PATIENCE_MS);
      assert.deepEqual(scenario.requestsTo(lane), [longPoll.id, client.id]);
      scenario.dispatcher.detach(lane, CRASHED);
      const next = scenario.attach();
      scenario.tick(PATIENCE_MS);
      assert.deepEqual(scenario.requestsTo(next), [longPoll.id]);
      scenario.answer(next, longPoll);
      scenario.dispatcher.detach(next, KILLED);
      return longPoll;
    };
    const first = crash(poison);
    const isQuarantined = (): boolean =>
      scenario.logs.some(({ code }) => code === "ERR_QUARANTINED");
    assert.deepEqual([kindsOf(poison, first), isQuarantined()], [["502", "answered"], false]);
    const again = scenario.admit("GET", "/p");
    const second = crash(again);
    assert.deepEqual([kindsOf(again, second), isQuarantined()], [["502", "answered"], true]);
    assert.deepEqual(kindsOf(scenario.admit("GET", "/p")), ["503"]);
  });

  it("is not mistaken for one without a body once its own body is dropped", (t) => {
    const buffering = { ...BUFFERING, bodyBufferBytes: 2_000_000 };
    const scenario = new Scenario(t);
    const lane = scenario.attach();
    // Too large for a fingerprint.
    const client = new FakeClient(1_000, { method: "PUT", bodyBytes: 1_100_000 });
    const url = "http://localhost/p";
    const limits = { bodyLimitBytes: 2_000_000, timeoutMs: TIMEOUT_MS, buffering };
    admit(scenario.dispatcher, client, { route: 7, params: null, url, ...limits });
    client.sendBody(Buffer.alloc(1_100_000));
    client.leave();
    scenario.dispatcher.detach(lane, CRASHED);
    const next = scenario.attach();
    const other = scenario.admit("PUT", "/p");
    assert.deepEqual(scenario.requestsTo(next), [other.id]);
  });

  it("is cleared when it is answered, and not when it is only aborted", (t) => {
    const scenario = new Scenario(t);
    const lost = scenario.attach();
    scenario.admit("POST", "/p");
    scenario.dispatcher.detach(lost, CRASHED);
    const [lane, other] = [scenario.attach(), scenario.attach()];
    const leaver = scenario.admit("POST", "/p");
    assert.deepEqual(scenario.requestsTo(lane), [leaver.id]);
    leaver.leave();
    scenario.dispatcher.receiverOf(lane)([Kind.settled, leaver.id]);
    const suspect = scenario.admit("POST", "/p");
    assert.deepEqual(scenario.requestsTo(lane), [leaver.id, suspect.id]);
    // No other exchange goes to the worker where it is alone.
    for (let count = 0; count < 3; count++) assert.equal(scenario.admit("GET", "/x").workerId, 3);
    scenario.answer(lane, suspect);
    const believed = scenario.admit("POST", "/p");
    assert.equal(believed.workerId, 2);
    assert.equal(scenario.admit("GET", "/x").workerId, 2);
    scenario.dispatcher.detach(other, KILLED);
  });

  it("is not blamed for a worker that was retired or killed around it", (t) => {
    const scenario = new Scenario(t);
    const suspect = scenario.admit("GET", "/a");
    scenario.dispatcher.detach(scenario.attach(), CRASHED);
    const [first, second] = [scenario.attach(), scenario.attach()];
    assert.deepEqual(scenario.requestsTo(first), [suspect.id]);
    scenario.dispatcher.retire(first);
    scenario.dispatcher.detach(first, KILLED);
    const third = scenario.attach();
    const places = [...scenario.requestsTo(second), ...scenario.requestsTo(third)];
    assert.deepEqual(places, [suspect.id]);
    assert.equal(scenario.logs.length, 0);
  });
});
