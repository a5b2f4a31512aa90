import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import pino from "pino";
import { Channel } from "../../runtime/channel/channel.ts";
import {
  BODY_FOLLOWS,
  Kind,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { MOST_LOSSES } from "../../runtime/recovery/replay-policy.ts";
import { Dispatcher } from "../../runtime/dispatch/dispatcher.ts";
import type { Lane } from "../../runtime/dispatch/lane.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { TurnClock } from "../../runtime/lib/turn-clock.ts";
import { admit } from "./admit.ts";
import { FakeClient, type Outcome } from "./fake-client.ts";
import { NO_SPOOL } from "./spooling.ts";

const CAP = 2;
const QUEUE_LIMIT = 3;
const QUEUE_TIMEOUT_MS = 1_000;
const TIMEOUT_MS = 2_000;
const SWEEP_MS = 250;
const BUFFER_BYTES = 8;
const LIMIT_BYTES = 20;
const CREDIT_BYTES = 10;
const BUFFERING = {
  bodyBufferBytes: BUFFER_BYTES,
  bodyOverflow: "stream",
  responseOverflow: "wait",
} as const;

interface ModelExchange {
  client: FakeClient;
  state: "receiving" | "queued" | "held" | "dispatched" | "answering" | "settled";
  /** The method may run twice. */
  isIdempotent: boolean;
  /** The rest of the body follows. */
  isOverflowing: boolean;
  sinceMs: number;
  /** Time of the first dispatch. */
  firstMs: number | null;
  crashes: number;
  losses: number;
  worker: ModelWorker | null;
  /** As in `kindOf`; "" before the outcome. */
  outcome: string;
}

interface ModelWorker {
  id: number;
  lane: Lane;
  isReady: boolean;
  isStalled: boolean;
  /** Aborted exchanges that the worker has not confirmed: each still has its place. */
  owed: Set<ModelExchange>;
}

interface ModelClock {
  nowMs: number;
  readonly turns: TurnClock;
  tick: (ms: number) => void;
}

/** A plain model of a dispatcher. It gets the same events as the real one. */
class Pair {
  readonly dispatcher: Dispatcher;
  readonly counters = new Counters();
  readonly exchanges: ModelExchange[] = [];
  workers: ModelWorker[] = [];
  queue: ModelExchange[] = [];
  /** Exchanges that lost their worker. They go before those in `queue`. */
  again: ModelExchange[] = [];
  readonly #clock: ModelClock;
  #workerIds = 0;

  constructor(clock: ModelClock) {
    this.#clock = clock;
    this.dispatcher = new Dispatcher({
      log: pino({ level: "silent" }),
      clock: clock.turns,
      blocks: new BlockPool(),
      spool: NO_SPOOL,
      responseCreditBytes: CREDIT_BYTES,
      workerConcurrency: CAP,
      queueLimit: QUEUE_LIMIT,
      queueTimeoutMs: QUEUE_TIMEOUT_MS,
      // `queue-policy.test.ts` tests expected waits. Here the limits are counts.
      queueDelayMs: 0,
      counters: this.counters,
      // `isolation-model.test.ts` tests suspects.
      quarantineMs: 0,
      routes: { mayReplay: () => null, describe: ({ route }) => ({ route }) },
    });
  }

  get open(): ModelExchange[] {
    return this.exchanges.filter(({ state }) => state !== "settled");
  }

  /** Exchanges that a worker has and has not begun to answer. */
  get dispatched(): ModelExchange[] {
    return this.exchanges.filter(({ state }) => state === "dispatched");
  }

  get answering(): ModelExchange[] {
    return this.exchanges.filter(({ state }) => state === "answering");
  }

  get inFlight(): ModelExchange[] {
    return [...this.dispatched, ...this.answering];
  }

  admit(hasBody: boolean): void {
    const id = this.exchanges.length + 1;
    const method = id % 3 === 0 ? "POST" : "PUT";
    const client = new FakeClient(id, { method, bodyBytes: hasBody ? null : 0 });
    const exchange: ModelExchange = {
      client,
      state: "receiving",
      isIdempotent: method === "PUT",
      isOverflowing: false,
      sinceMs: 0,
      firstMs: null,
      crashes: 0,
      losses: 0,
      worker: null,
      outcome: "",
    };
    this.exchanges.push(exchange);
    if (!hasBody) this.#place(exchange);
    const url = `http://localhost/${client.id}`;
    const limits = { bodyLimitBytes: LIMIT_BYTES, timeoutMs: TIMEOUT_MS, buffering: BUFFERING };
    admit(this.dispatcher, client, { route: 0, params: null, url, ...limits });
  }

  /** A whole body arrives, up to the buffer or over the limit. */
  sendBody(exchange: ModelExchange, isTooLarge: boolean): void {
    if (isTooLarge) this.#settle(exchange, "413");
    else this.#place(exchange);
    exchange.client.sendBody(Buffer.alloc(isTooLarge ? LIMIT_BYTES + 1 : BUFFER_BYTES));
  }

  /** More of the body arrives than is gathered. */
  overflow(exchange: ModelExchange): void {
    exchange.isOverflowing = true;
    this.#place(exchange);
    exchange.client.sendChunk(Buffer.alloc(BUFFER_BYTES + 1));
  }

  /** A body larger than the buffer exceeds the limit, in any state of its exchange. */
  overrun(exchange: ModelExchange): void {
    exchange.worker?.owed.add(exchange);
    this.#fail(exchange, "413");
    exchange.client.sendChunk(Buffer.alloc(LIMIT_BYTES));
  }

  answer(worker: ModelWorker, exchange: ModelExchange): void {
    if (exchange.worker === worker) {
      this.#settle(exchange, `answered by ${worker.id}`);
      this.#pump();
    }
    const { id } = exchange.client;
    this.dispatcher.receiverOf(worker.lane)([Kind.response, id, 200, "", "", String(worker.id)]);
  }

  beginAnswer(worker: ModelWorker, exchange: ModelExchange): void {
    exchange.state = "answering";
    exchange.outcome = `open by ${worker.id}`;
    const { id } = exchange.client;
    const head = [Kind.response, id, 200, String(worker.id), "", BODY_FOLLOWS] as const;
    this.dispatcher.receiverOf(worker.lane)(head);
    if (hasBegun(exchange)) {
      this.dispatcher.receiverOf(worker.lane)([Kind.responseChunk, id, Buffer.alloc(1)]);
    }
  }

  endAnswer(worker: ModelWorker, exchange: ModelExchange, how: "complete" | "broken"): void {
    if (exchange.worker === worker) {
      this.#settle(exchange, `${how} by ${worker.id}`);
      this.#pump();
    }
    const { id } = exchange.client;
    // More than the credit in all, but never at once: bytes that the client takes are granted again.
    for (let count = 0; count < 5; count++) {
      this.dispatcher.receiverOf(worker.lane)([Kind.responseChunk, id, Buffer.alloc(5)]);
    }
    const kind = how === "complete" ? Kind.responseEnd : Kind.responseAbort;
    this.dispatcher.receiverOf(worker.lane)([kind, id]);
  }

  leave(exchange: ModelExchange): void {
    if (exchange.state !== "settled") {
      const { state, worker } = exchange;
      worker?.owed.add(exchange);
      this.#settle(exchange, state === "answering" ? `left by ${worker?.id}` : "left");
      this.#pump();
    }
    exchange.client.leave();
  }

  acknowledge(worker: ModelWorker, exchange: ModelExchange): void {
    worker.owed.delete(exchange);
    this.#pump();
    this.dispatcher.receiverOf(worker.lane)([Kind.settled, exchange.client.id]);
  }

  attach(): void {
    const id = ++this.#workerIds;
    // A real channel whose socket is not read: messages stay in this turn's frame.
    const channel = new Channel<ToPrimary, ToWorker>(new Socket(), {
      maxFrameBytes: 1024,
      parse: parseToPrimary,
      onMessage: () => {},
      onClose: () => {},
    });
    const lane = this.dispatcher.attach(id as WorkerId, channel);
    this.workers.push({ id, lane, isReady: true, isStalled: false, owed: new Set() });
    this.#pump();
  }

  retire(worker: ModelWorker): void {
    worker.isReady = false;
    this.dispatcher.retire(worker.lane);
  }

  /** Retires a worker and aborts its exchanges, of which it confirms some. That changes the outcome of none. */
  cutOff(worker: ModelWorker): void {
    this.retire(worker);
    this.dispatcher.cutOff(worker.lane, { graceMs: 1_000 });
    const own = this.inFlight.filter((exchange) => exchange.worker === worker);
    for (const { client } of own.filter(({ client: { id } }) => id % 3 > 0)) {
      this.dispatcher.receiverOf(worker.lane)([Kind.settled, client.id]);
    }
  }

  stall(worker: ModelWorker): void {
    worker.isStalled = true;
    this.dispatcher.stall(worker.lane);
  }

  recover(worker: ModelWorker): void {
    if (worker.isStalled) {
      worker.isStalled = false;
    }
    this.#pump();
    this.dispatcher.resume(worker.lane);
  }

  lose(worker: ModelWorker, ownDoing: boolean): void {
    this.workers = this.workers.filter((other) => other !== worker);
    const lost = this.inFlight.filter((exchange) => exchange.worker === worker);
    let replayed = 0;
    for (const exchange of lost.toSorted((a, b) => a.client.id - b.client.id)) {
      const chances = ownDoing ? 1 - exchange.crashes : MOST_LOSSES - exchange.losses;
      const isSafe = exchange.isIdempotent && !exchange.isOverflowing;
      if (exchange.state === "answering" || !isSafe || chances <= 0) {
        this.#fail(exchange, "502");
        continue;
      }
      replayed++;
      exchange.firstMs = exchange.sinceMs;
      exchange.sinceMs = this.#clock.nowMs;
      exchange.state = "held";
      exchange.worker = null;
      exchange[ownDoing ? "crashes" : "losses"]++;
      this.again.push(exchange);
    }
    this.#pump();
    const loss = { code: "ERR_WORKER_EXITED", ownDoing } as const;
    const outcome = this.dispatcher.detach(worker.lane, loss);
    const failed = lost.length - replayed;
    assert.deepEqual([outcome.failed, outcome.replayed], [failed, replayed]);
    assert.equal(outcome.firstFailed === null, failed === 0);
  }

  /** One sweep of the dispatcher. */
  sweep(): void {
    this.#clock.nowMs += SWEEP_MS;
    const { nowMs } = this.#clock;
    for (const exchange of this.queue) {
      if (nowMs - exchange.sinceMs > QUEUE_TIMEOUT_MS) this.#settle(exchange, "503");
    }
    for (const exchange of this.again) {
      if (nowMs - (exchange.firstMs ?? 0) > TIMEOUT_MS) this.#settle(exchange, "504");
      else if (nowMs - exchange.sinceMs > QUEUE_TIMEOUT_MS) this.#settle(exchange, "503");
    }
    for (const exchange of this.inFlight) {
      if (exchange.state === "answering" && hasBegun(exchange)) continue;
      if (nowMs - exchange.sinceMs <= TIMEOUT_MS) continue;
      exchange.worker?.owed.add(exchange);
      // The worker takes all of a body that overflows at once, so it waits for the client.
      this.#fail(exchange, exchange.isOverflowing ? "408" : "504");
    }
    this.#pump();
    this.#clock.tick(SWEEP_MS);
  }

  close(): void {
    for (const exchange of this.open) this.#fail(exchange, "503");
    for (const worker of this.workers) worker.owed.clear();
    this.dispatcher.close("ERR_DRAINING");
  }

  /** Checks the invariants after every step. */
  check(): void {
    const { inFlight, queue, again, dispatcher } = this;
    const owed = this.workers.reduce((sum, worker) => sum + worker.owed.size, 0);
    assert.deepEqual(dispatcher.load, {
      queued: queue.length + again.length,
      inFlight: inFlight.length + owed,
    });
    for (const { client, outcome } of this.exchanges) {
      assert.deepEqual(client.outcomes.map(kindOf), outcome === "" ? [] : [outcome]);
    }
    for (const worker of this.workers) {
      const own = inFlight.filter((exchange) => exchange.worker === worker);
      const expected = [...own, ...worker.owed];
      assert.deepEqual(
        new Set(worker.lane.inFlight.values().map(({ id }) => id)),
        new Set(expected.map(({ client }) => client.id)),
      );
      assert.ok(expected.length <= CAP);
    }
    // No exchange waits while a worker has room.
    assert.ok(queue.length + again.length === 0 || this.#pick() === null);
  }

  #place(exchange: ModelExchange): void {
    const worker = this.#pick();
    exchange.sinceMs = exchange.firstMs ?? this.#clock.nowMs;
    if (worker !== null) {
      exchange.state = "dispatched";
      exchange.worker = worker;
    } else if (this.queue.length < QUEUE_LIMIT) {
      exchange.state = "queued";
      this.queue.push(exchange);
    } else {
      this.#settle(exchange, "503");
    }
  }

  #pump(): void {
    while (this.queue.length + this.again.length > 0 && this.#pick() !== null) {
      const next = this.again.shift() ?? this.queue.shift();
      if (next !== undefined) this.#place(next);
    }
  }

  #pick(): ModelWorker | null {
    const loads = this.workers
      .filter(({ isReady, isStalled }) => isReady && !isStalled)
      .map((worker) => ({
        worker,
        load:
          this.inFlight.filter((exchange) => exchange.worker === worker).length + worker.owed.size,
      }));
    const [best] = loads.toSorted((a, b) => a.load - b.load);
    return best === undefined || best.load >= CAP ? null : best.worker;
  }

  #fail(exchange: ModelExchange, status: string): void {
    const { state, worker } = exchange;
    this.#settle(exchange, state === "answering" ? `broken by ${worker?.id}` : status);
  }

  #settle(exchange: ModelExchange, outcome: string): void {
    this.queue = this.queue.filter((other) => other !== exchange);
    this.again = this.again.filter((other) => other !== exchange);
    exchange.state = "settled";
    exchange.worker = null;
    exchange.outcome = outcome;
  }
}

/** Picks an exchange that is answering. The client of some has its first byte. */
function hasBegun({ client }: ModelExchange): boolean {
  return client.id % 2 === 0;
}

/** An outcome in one word. Names the worker whose answer it is. */
function kindOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case "answered":
      return `answered by ${String(outcome.response.body)}`;
    case "streamed":
      return `${outcome.body.end} by ${outcome.head.statusText}`;
    case "refused":
      return String(outcome.status);
    case "left":
      return "left";
  }
}

const action = fc.record({
  // Listed as often as it should come.
  do: fc.constantFrom(
    ...(["admit", "admit", "admit", "admit with body", "answer", "answer", "answer"] as const),
    ...(["begin answer", "begin answer", "end answer", "break answer"] as const),
    ...(["answer from elsewhere", "end from elsewhere", "leave"] as const),
    ...(["send body", "send too much", "overflow", "overflow", "overrun"] as const),
    ...(["acknowledge", "acknowledge", "acknowledge"] as const),
    ...(["attach", "attach", "retire", "cut off", "lose", "crash", "sweep", "sweep"] as const),
    ...(["stall", "recover", "recover"] as const),
  ),
  // Picks one of the exchanges and workers that exist.
  exchange: fc.nat({ max: 1_000 }),
  worker: fc.nat({ max: 1_000 }),
});

function at<T>(list: readonly T[], index: number): T | undefined {
  return list[index % list.length];
}

type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

function perform(pair: Pair, { do: name, ...pick }: Action): void {
  const worker = at(pair.workers, pick.worker);
  const receiving = at(
    pair.open.filter(({ state }) => state === "receiving"),
    pick.exchange,
  );
  const dispatched = at(pair.dispatched, pick.exchange);
  const answering = at(pair.answering, pick.exchange);
  const overflowing = at(
    pair.open.filter(({ isOverflowing }) => isOverflowing),
    pick.exchange,
  );
  const any = at(pair.exchanges, pick.exchange);
  switch (name) {
    case "admit":
    case "admit with body":
      pair.admit(name === "admit with body");
      break;
    case "send body":
    case "send too much":
      if (receiving !== undefined) pair.sendBody(receiving, name === "send too much");
      break;
    case "overflow":
      if (receiving !== undefined) pair.overflow(receiving);
      break;
    case "overrun":
      if (overflowing !== undefined) pair.overrun(overflowing);
      break;
    case "begin answer":
      if (dispatched?.worker) pair.beginAnswer(dispatched.worker, dispatched);
      break;
    case "end answer":
    case "break answer":
      if (answering?.worker) {
        const how = name === "end answer" ? "complete" : "broken";
        pair.endAnswer(answering.worker, answering, how);
      }
      break;
    case "end from elsewhere":
      if (worker !== undefined && any !== undefined && any.worker !== worker) {
        pair.endAnswer(worker, any, "complete");
      }
      break;
    case "answer":
      if (dispatched?.worker) pair.answer(dispatched.worker, dispatched);
      break;
    case "answer from elsewhere":
      // An answer that is late, comes twice, or comes from a worker without this exchange: it must not count.
      if (worker !== undefined && any !== undefined && any.worker !== worker) {
        pair.answer(worker, any);
      }
      break;
    case "leave":
      if (any !== undefined) pair.leave(any);
      break;
    case "acknowledge": {
      const owed = worker === undefined ? undefined : at([...worker.owed], pick.exchange);
      if (worker !== undefined && owed !== undefined) pair.acknowledge(worker, owed);
      break;
    }
    case "attach":
      if (pair.workers.length < 4) pair.attach();
      break;
    case "retire":
      if (worker !== undefined) pair.retire(worker);
      break;
    case "cut off":
      if (worker !== undefined) pair.cutOff(worker);
      break;
    case "stall":
      if (worker !== undefined) pair.stall(worker);
      break;
    case "recover":
      if (worker !== undefined) pair.recover(worker);
      break;
    case "lose":
    case "crash":
      if (worker !== undefined) pair.lose(worker, name === "crash");
      break;
    case "sweep":
      pair.sweep();
      break;
  }
}

describe("Dispatcher, with any events in any order", { timeout: 60_000 }, () => {
  it("gives each exchange exactly one outcome, the expected one, and ends empty", async (t) => {
    const turns = new TurnClock();
    const clock = { nowMs: 1_000, turns, tick: (ms: number) => t.mock.timers.tick(ms) };
    t.mock.method(performance, "now", () => clock.nowMs);
    // With mocked time many moments fall into one turn.
    t.mock.method(turns, "now", () => clock.nowMs);
    t.mock.timers.enable({ apis: ["setInterval"] });
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 120, size: "max" }), async (actions) => {
        const pair = new Pair(clock);
        for (const each of actions) {
          perform(pair, each);
          pair.check();
        }
        // Bodies that are on their way end with their clients; `dispatcher.test.ts` has the other case.
        for (const each of pair.open) if (each.state === "receiving") pair.leave(each);
        const idle = pair.dispatcher.idle();
        pair.close();
        pair.check();
        await idle;
        assert.deepEqual(pair.dispatcher.load, { queued: 0, inFlight: 0 });
        assert.equal(pair.counters.admitted, 0);
        assert.ok(pair.exchanges.every(({ client }) => client.outcomes.length === 1));
      }),
      { numRuns: 150 },
    );
  });
});
