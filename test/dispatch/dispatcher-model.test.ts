import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import pino from "pino";
import { Channel } from "../../runtime/channel/channel.ts";
import {
  Kind,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { Dispatcher } from "../../runtime/dispatch/dispatcher.ts";
import type { Lane } from "../../runtime/dispatch/lane.ts";
import { FakeClient, type Outcome } from "./fake-client.ts";

const CAP = 2;
const QUEUE_LIMIT = 3;
const QUEUE_TIMEOUT_MS = 1_000;
const TIMEOUT_MS = 2_000;
const SWEEP_MS = 250;

interface ModelExchange {
  client: FakeClient;
  state: "receiving" | "queued" | "dispatched" | "settled";
  sinceMs: number;
  worker: ModelWorker | null;
  /** As in `kindOf`; "" while there is none. */
  outcome: string;
}

interface ModelWorker {
  id: number;
  lane: Lane;
  isReady: boolean;
}

/** What a dispatcher should do, written as plainly as possible, beside one that is told the same. */
class Pair {
  readonly dispatcher: Dispatcher;
  readonly exchanges: ModelExchange[] = [];
  workers: ModelWorker[] = [];
  queue: ModelExchange[] = [];
  readonly #clock: { nowMs: number; tick: (ms: number) => void };
  #workerIds = 0;

  constructor(clock: { nowMs: number; tick: (ms: number) => void }) {
    this.#clock = clock;
    this.dispatcher = new Dispatcher({
      log: pino({ level: "silent" }),
      workerConcurrency: CAP,
      queueLimit: QUEUE_LIMIT,
      queueTimeoutMs: QUEUE_TIMEOUT_MS,
    });
  }

  get open(): ModelExchange[] {
    return this.exchanges.filter(({ state }) => state !== "settled");
  }

  get dispatched(): ModelExchange[] {
    return this.exchanges.filter(({ state }) => state === "dispatched");
  }

  admit(hasBody: boolean): void {
    const client = new FakeClient(this.exchanges.length + 1, { bodyBytes: hasBody ? 10 : 0 });
    const exchange: ModelExchange = {
      client,
      state: "receiving",
      sinceMs: 0,
      worker: null,
      outcome: "",
    };
    this.exchanges.push(exchange);
    if (!hasBody) this.#place(exchange);
    const url = `http://localhost/${client.id}`;
    const limits = { bodyLimitBytes: 10, timeoutMs: TIMEOUT_MS };
    this.dispatcher.admit(client, { route: 0, params: null, url, ...limits });
  }

  sendBody(exchange: ModelExchange, isTooLarge: boolean): void {
    if (isTooLarge) this.#settle(exchange, "413");
    else this.#place(exchange);
    exchange.client.sendBody(isTooLarge ? "ERR_BODY_TOO_LARGE" : Buffer.from("body"));
  }

  answer(worker: ModelWorker, exchange: ModelExchange): void {
    if (exchange.worker === worker) {
      this.#settle(exchange, `answered by ${worker.id}`);
      this.#pump();
    }
    const { id } = exchange.client;
    this.dispatcher.receive(worker.lane, [Kind.response, id, 200, "", "", String(worker.id)]);
  }

  leave(exchange: ModelExchange): void {
    if (exchange.state !== "settled") {
      this.#settle(exchange, "left");
      this.#pump();
    }
    exchange.client.leave();
  }

  attach(): void {
    const id = ++this.#workerIds;
    // A real channel whose socket leads nowhere: what is sent waits in its turn's frame for ever.
    const channel = new Channel<ToPrimary, ToWorker>(new Socket(), {
      maxFrameBytes: 1024,
      parse: parseToPrimary,
      onMessage: () => {},
      onClose: () => {},
    });
    const lane = this.dispatcher.attach(id as WorkerId, channel);
    this.workers.push({ id, lane, isReady: true });
    this.#pump();
  }

  retire(worker: ModelWorker): void {
    worker.isReady = false;
    this.dispatcher.retire(worker.lane);
  }

  lose(worker: ModelWorker): void {
    this.workers = this.workers.filter((other) => other !== worker);
    const lost = this.dispatched.filter((exchange) => exchange.worker === worker);
    for (const exchange of lost) this.#settle(exchange, "502");
    const count = this.dispatcher.detach(worker.lane, "ERR_WORKER_EXITED");
    assert.equal(count, lost.length);
  }

  /** One sweep of the dispatcher. */
  sweep(): void {
    this.#clock.nowMs += SWEEP_MS;
    const { nowMs } = this.#clock;
    for (const exchange of this.queue) {
      if (nowMs - exchange.sinceMs > QUEUE_TIMEOUT_MS) this.#settle(exchange, "503");
    }
    for (const exchange of this.dispatched) {
      if (nowMs - exchange.sinceMs > TIMEOUT_MS) this.#settle(exchange, "504");
    }
    this.#pump();
    this.#clock.tick(SWEEP_MS);
  }

  close(): void {
    for (const exchange of this.open) this.#settle(exchange, "503");
    this.dispatcher.close("ERR_DRAINING");
  }

  /** What must hold after every step. */
  check(): void {
    const { dispatched, queue, dispatcher } = this;
    assert.deepEqual(dispatcher.load, { queued: queue.length, inFlight: dispatched.length });
    for (const { client, outcome } of this.exchanges) {
      assert.deepEqual(client.outcomes.map(kindOf), outcome === "" ? [] : [outcome]);
    }
    for (const worker of this.workers) {
      const expected = dispatched.filter((exchange) => exchange.worker === worker);
      assert.deepEqual(
        new Set(worker.lane.inFlight.keys()),
        new Set(expected.map(({ client }) => client.id)),
      );
      assert.ok(expected.length <= CAP);
    }
    // No exchange waits while a worker has room.
    assert.ok(queue.length === 0 || this.#pick() === null);
  }

  #place(exchange: ModelExchange): void {
    const worker = this.#pick();
    exchange.sinceMs = this.#clock.nowMs;
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
    while (this.queue.length > 0 && this.#pick() !== null) {
      const next = this.queue.shift();
      if (next !== undefined) this.#place(next);
    }
  }

  #pick(): ModelWorker | null {
    const loads = this.workers
      .filter(({ isReady }) => isReady)
      .map((worker) => ({
        worker,
        load: this.dispatched.filter((exchange) => exchange.worker === worker).length,
      }));
    const [best] = loads.toSorted((a, b) => a.load - b.load);
    return best === undefined || best.load >= CAP ? null : best.worker;
  }

  #settle(exchange: ModelExchange, outcome: string): void {
    this.queue = this.queue.filter((other) => other !== exchange);
    exchange.state = "settled";
    exchange.worker = null;
    exchange.outcome = outcome;
  }
}

/** An outcome in one word; names the worker whose answer it is. */
function kindOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case "answered":
      return `answered by ${String(outcome.response.body)}`;
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
    ...(["answer from elsewhere", "send body", "send too much", "leave"] as const),
    ...(["attach", "attach", "retire", "lose", "sweep", "sweep"] as const),
  ),
  // Which exchange and which worker of those that are there.
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
    case "answer":
      if (dispatched?.worker) pair.answer(dispatched.worker, dispatched);
      break;
    case "answer from elsewhere":
      // Late, twice, or to what another worker has or nobody yet: nothing of it may count.
      if (worker !== undefined && any !== undefined && any.worker !== worker) {
        pair.answer(worker, any);
      }
      break;
    case "leave":
      if (any !== undefined) pair.leave(any);
      break;
    case "attach":
      if (pair.workers.length < 4) pair.attach();
      break;
    case "retire":
      if (worker !== undefined) pair.retire(worker);
      break;
    case "lose":
      if (worker !== undefined) pair.lose(worker);
      break;
    case "sweep":
      pair.sweep();
      break;
  }
}

describe("Dispatcher, whatever happens in whatever order", { timeout: 30_000 }, () => {
  it("gives each exchange exactly one outcome, the expected one, and ends empty", async (t) => {
    const clock = { nowMs: 1_000, tick: (ms: number) => t.mock.timers.tick(ms) };
    t.mock.method(performance, "now", () => clock.nowMs);
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
        assert.ok(pair.exchanges.every(({ client }) => client.outcomes.length === 1));
      }),
      { numRuns: 300 },
    );
  });
});
