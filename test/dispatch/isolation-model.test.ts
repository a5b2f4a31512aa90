import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import pino from "pino";
import { Channel } from "../../runtime/channel/channel.ts";
import {
  BODY_FOLLOWS,
  type ExchangeId,
  Kind,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { MOST_COMMON_LOSSES, MOST_LOSSES } from "../../runtime/recovery/replay-policy.ts";
import { Dispatcher } from "../../runtime/dispatch/dispatcher.ts";
import type { Lane } from "../../runtime/dispatch/lane.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { TurnClock } from "../../runtime/lib/turn-clock.ts";
import { admit } from "./admit.ts";
import { FakeClient } from "./fake-client.ts";
import { NO_SPOOL } from "./spooling.ts";

const CAP = 3;
const SWEEP_MS = 250;
const TIMEOUT_MS = 4_000;
const QUARANTINE_MS = 5_000;
const TURN_MS = 200;
/** Two turns and two late sweeps: one to end a turn, one to see the answer to the probe. */
const LONGEST_WAIT_MS = 2 * TURN_MS + 2 * SWEEP_MS;
/** No exchange survives more crashes than this. */
const MOST_CRASHES = 3;
const BUFFERING = { bodyBufferBytes: 8, bodyOverflow: "stream", responseOverflow: "wait" } as const;

/** One request, as seen from outside of the dispatcher. */
interface Seen {
  client: FakeClient;
  /** Stands for its fingerprint. */
  print: string;
  /** The worker that has it and has not begun to answer it. */
  on: SeenWorker | null;
  /** Nothing may begin beside it on its worker until `isLetGo`. */
  isSuspect: boolean;
  /** The worker has shown that it is not blocked. */
  isLetGo: boolean;
  sentMs: number;
  crashes: number;
  losses: number;
}

interface SeenWorker {
  lane: Lane;
  isReady: boolean;
  /** Exchanges that it was sent, without those that it answered or whose abort it confirmed. */
  busy: Set<Seen>;
  answering: Set<Seen>;
  /** The last suspect that it was sent, while nothing was sent after it. */
  run: { seen: Seen; isAlone: boolean } | null;
}

/** A dispatcher, and the rules for its messages and answers. */
class Watch {
  readonly dispatcher: Dispatcher;
  readonly requests: Seen[] = [];
  workers: SeenWorker[] = [];
  /** Until when each is a suspect, and until when it is refused. */
  readonly #marked = new Map<string, number>();
  readonly #quarantined = new Map<string, number>();
  /** Requests that may be quarantined or not: the model does not know when turns end. */
  readonly #open = new Set<string>();
  /** Since when a worker with room got nothing, although an exchange waited that is no suspect. */
  #starvingSinceMs: number | null = null;
  /** Exchanges that workers were sent and have not answered. */
  readonly #probes = new Map<SeenWorker, ExchangeId[]>();
  readonly #clock: { nowMs: number; turns: TurnClock };
  #workerIds = 0;

  constructor(clock: { nowMs: number; turns: TurnClock }) {
    this.#clock = clock;
    this.dispatcher = new Dispatcher({
      log: pino({ level: "silent" }),
      clock: clock.turns,
      blocks: new BlockPool(),
      spool: NO_SPOOL,
      queueDelayMs: 0,
      counters: new Counters(),
      responseCreditBytes: 10,
      workerConcurrency: CAP,
      queueLimit: 1_000,
      queueTimeoutMs: 3_000,
      quarantineMs: QUARANTINE_MS,
      routes: { mayReplay: () => null, describe: ({ route }) => ({ route }) },
    });
  }

  get dispatched(): Seen[] {
    return this.requests.filter((each) => each.on !== null && !each.client.settled);
  }

  get owed(): Seen[] {
    return this.requests.filter((each) => each.on !== null && each.client.settled);
  }

  admit(method: string, path: string): Seen {
    const client = new FakeClient(this.requests.length + 1, { method });
    const print = `${method} ${path}`;
    const { nowMs } = this.#clock;
    const isSuspect = (this.#marked.get(print) ?? 0) > nowMs;
    const isQuarantined = (this.#quarantined.get(print) ?? 0) > nowMs;
    const seen: Seen = {
      client,
      print,
      on: null,
      isSuspect,
      isLetGo: false,
      sentMs: 0,
      crashes: 0,
      losses: 0,
    };
    this.requests.push(seen);
    const url = `http://localhost${path}`;
    const limits = { bodyLimitBytes: 0, timeoutMs: TIMEOUT_MS, buffering: BUFFERING };
    admit(this.dispatcher, client, { route: 0, params: null, url, ...limits });
    if (isQuarantined && !this.#open.has(print)) {
      const [outcome] = client.outcomes;
      assert.ok(outcome?.kind === "refused" && outcome.status === 503, "refused at once");
      assert.ok((outcome.retryAfterSeconds ?? 0) >= 1);
      assert.equal(seen.on, null);
    }
    return seen;
  }

  attach(): void {
    const channel = new Channel<ToPrimary, ToWorker>(new Socket(), {
      maxFrameBytes: 1024,
      parse: parseToPrimary,
      onMessage: () => {},
      onClose: () => {},
    });
    const sent: ToWorker[] = [];
    channel.send = (message) => {
      // Messages during the call are checked right after it.
      if (worker === null) sent.push(message);
      else this.#onSent(worker, message);
    };
    let worker: SeenWorker | null = null;
    const lane = this.dispatcher.attach(++this.#workerIds as WorkerId, channel);
    worker = { lane, isReady: true, busy: new Set(), answering: new Set(), run: null };
    this.workers.push(worker);
    for (const message of sent) this.#onSent(worker, message);
  }

  retire(worker: SeenWorker): void {
    worker.isReady = false;
    this.dispatcher.retire(worker.lane);
  }

  answer(seen: Seen, how: "whole" | "stream"): void {
    const worker = seen.on;
    assert.ok(worker !== null);
    this.#finish(seen);
    if (seen.isSuspect) this.#clear(seen.print);
    if (how === "stream") worker.answering.add(seen);
    const body = how === "stream" ? BODY_FOLLOWS : "";
    this.dispatcher.receiverOf(worker.lane)([Kind.response, seen.client.id, 200, "", "", body]);
  }

  endAnswer(worker: SeenWorker, seen: Seen): void {
    worker.answering.delete(seen);
    this.dispatcher.receiverOf(worker.lane)([Kind.responseEnd, seen.client.id]);
  }

  acknowledge(seen: Seen): void {
    const worker = seen.on;
    assert.ok(worker !== null);
    this.#finish(seen);
    this.dispatcher.receiverOf(worker.lane)([Kind.settled, seen.client.id]);
  }

  /** Makes workers answer the probes behind suspects. */
  answerProbes(): void {
    for (const [worker, ids] of this.#probes) {
      this.#probes.delete(worker);
      if (!this.workers.includes(worker)) continue;
      for (const id of ids) {
        const seen = this.requests[id - 1];
        if (seen?.on === worker) seen.isLetGo = true;
        this.dispatcher.receiverOf(worker.lane)([Kind.probed, id]);
      }
    }
  }

  leave(seen: Seen): void {
    seen.client.leave();
  }

  lose(worker: SeenWorker, ownDoing: boolean): void {
    this.workers = this.workers.filter((other) => other !== worker);
    const { run } = worker;
    const expected = new Map<Seen, "replays" | "fails" | "either">();
    for (const seen of worker.busy) {
      const fate = this.#fateOf(seen, run, ownDoing);
      if (!seen.client.settled) expected.set(seen, fate);
    }
    const isProven = run?.isAlone === true && !run.seen.isLetGo;
    for (const seen of worker.busy) {
      this.#finish(seen);
      // From now on it runs alone like a suspect, though it is not the cause.
      if (!ownDoing && seen.losses >= MOST_COMMON_LOSSES) seen.isSuspect = true;
      if (ownDoing) this.#mark(seen, isProven && run.seen === seen);
    }
    this.dispatcher.detach(worker.lane, { code: "ERR_WORKER_EXITED", ownDoing });
    for (const [seen, fate] of expected) {
      const [outcome] = seen.client.outcomes;
      const status = outcome?.kind === "refused" ? outcome.status : null;
      // An exchange that is like a quarantined one is refused while it waits.
      if (fate === "fails") assert.equal(status, 502, seen.print);
      else if (fate === "replays") assert.ok(outcome === undefined || status === 503, seen.print);
      else assert.ok(outcome === undefined || status === 503 || status === 502, seen.print);
      if (outcome !== undefined) continue;
      if (ownDoing) seen.crashes++;
      else seen.losses++;
      assert.ok(
        seen.crashes <= MOST_CRASHES && seen.losses <= MOST_LOSSES,
        "it takes one down after another",
      );
    }
  }

  #fateOf(seen: Seen, run: SeenWorker["run"], ownDoing: boolean): "replays" | "fails" | "either" {
    if (seen.client.head.method !== "GET") return "fails";
    if (!ownDoing) return seen.losses < MOST_LOSSES ? "replays" : "fails";
    // Another exchange is more likely the cause, unless the suspect was already released.
    const isCompany = run !== null && run.seen !== seen;
    const isProven = run?.seen === seen && run.isAlone && !seen.isLetGo;
    if (isProven) return "fails";
    if (isCompany) return seen.crashes < 1 ? "replays" : "either";
    if (seen.crashes > 0) return "fails";
    return seen.isSuspect ? "either" : "replays";
  }

  check(): void {
    for (const { client } of this.requests) {
      assert.ok(client.outcomes.length <= 1, "two outcomes");
    }
    for (const worker of this.workers) assert.ok(worker.lane.inFlight.size <= CAP);
    const inFlight = this.workers.reduce((sum, { lane }) => sum + lane.inFlight.size, 0);
    const open = this.requests.filter(({ client }) => !client.settled).length;
    const { queued } = this.dispatcher.load;
    assert.equal(queued, open - this.dispatched.length);
    assert.equal(this.dispatcher.load.inFlight, inFlight);
    this.#checkWaits();
  }

  /** No exchange waits longer than two turns because of suspects. */
  #checkWaits(): void {
    const { nowMs } = this.#clock;
    const isWaiting = this.requests.some(
      ({ client, on, isSuspect }) => !client.settled && on === null && !isSuspect,
    );
    // A worker that owes the answer to a probe may be blocked.
    const hasRoom = this.workers.some(
      (worker) =>
        worker.isReady && worker.lane.inFlight.size < worker.lane.cap && !this.#probes.has(worker),
    );
    if (!isWaiting || !hasRoom) this.#starvingSinceMs = null;
    else this.#starvingSinceMs ??= nowMs;
    const waitedMs = nowMs - (this.#starvingSinceMs ?? nowMs);
    assert.ok(waitedMs <= LONGEST_WAIT_MS, `others have waited for ${waitedMs} ms`);
  }

  #onSent(worker: SeenWorker, message: ToWorker): void {
    if (message[0] === Kind.abort) this.#onAborted(worker, message[1]);
    if (message[0] === Kind.probe) this.#onProbed(worker, message[1]);
    if (message[0] !== Kind.request) return;
    const seen = this.requests[message[1] - 1];
    assert.ok(seen !== undefined);
    assert.ok(
      this.workers.includes(worker) && worker.isReady,
      "sent to a worker that is not ready",
    );
    assert.ok(!seen.client.settled, "sent though it is over");
    assert.equal(seen.on, null, "sent to two workers");
    assert.ok(message[8] <= TIMEOUT_MS && message[8] > 0);
    const { nowMs } = this.#clock;
    const busy = [...worker.busy];
    const suspects = busy.filter((each) => each === worker.run?.seen && !each.isLetGo);
    assert.deepEqual(suspects.map(nameOf), [], `${nameOf(seen)} was sent beside a suspect`);
    if (seen.isSuspect) {
      const fresh = busy.filter(({ sentMs }) => nowMs - sentMs < TURN_MS);
      assert.deepEqual(fresh.map(nameOf), [], `${nameOf(seen)} was sent right after others`);
    } else {
      this.#starvingSinceMs = null;
    }
    worker.run = seen.isSuspect ? { seen, isAlone: busy.length === 0 } : null;
    worker.busy.add(seen);
    seen.on = worker;
    seen.sentMs = nowMs;
    seen.isLetGo = false;
  }

  #onProbed(worker: SeenWorker, id: number): void {
    this.#probes.set(worker, [...(this.#probes.get(worker) ?? []), id as ExchangeId]);
  }

  /** A stream that is broken off counts again until the worker confirms the abort. */
  #onAborted(worker: SeenWorker, id: number): void {
    const seen = this.requests[id - 1];
    if (seen === undefined || !worker.answering.delete(seen)) return;
    worker.busy.add(seen);
    seen.on = worker;
  }

  #finish(seen: Seen): void {
    seen.on?.busy.delete(seen);
    if (seen.on?.run?.seen === seen) seen.on.run = null;
    seen.on = null;
  }

  #mark(seen: Seen, isProven: boolean): void {
    const { nowMs } = this.#clock;
    const { print } = seen;
    const until = isProven ? nowMs + 2 * QUARANTINE_MS : nowMs + QUARANTINE_MS;
    this.#marked.set(print, Math.max(until, this.#marked.get(print) ?? 0));
    if (isProven) this.#quarantined.set(print, nowMs + QUARANTINE_MS);
    else if (seen.isSuspect) this.#open.add(print);
    seen.isSuspect = true;
  }

  /** A request that had to run alone was answered. */
  #clear(print: string): void {
    this.#marked.delete(print);
    this.#quarantined.delete(print);
    this.#open.delete(print);
    for (const other of this.requests) {
      if (other.print === print && other.on === null) other.isSuspect = false;
    }
  }
}

function nameOf(seen: Seen): string {
  return `${seen.client.id}: ${seen.print}`;
}

const action = fc.record({
  // Listed as often as it should come.
  do: fc.constantFrom(
    ...(["get", "get", "get", "get", "post", "answer", "answer", "answer", "answer"] as const),
    ...(["begin", "end", "leave", "acknowledge", "acknowledge"] as const),
    ...(["answer probes", "answer probes"] as const),
    ...(["attach", "attach", "retire", "crash", "crash", "kill", "sweep", "sweep"] as const),
  ),
  which: fc.nat({ max: 1_000 }),
});

function at<T>(list: readonly T[], index: number): T | undefined {
  return list[index % list.length];
}

function perform(watch: Watch, name: string, which: number, tick: () => void): void {
  const worker = at(watch.workers, which);
  const dispatched = at(watch.dispatched, which);
  switch (name) {
    case "get":
    case "post":
      watch.admit(name.toUpperCase(), `/${which % 4}`);
      return;
    case "answer":
    case "begin":
      if (dispatched !== undefined) watch.answer(dispatched, name === "begin" ? "stream" : "whole");
      return;
    case "end": {
      const seen = worker === undefined ? undefined : at([...worker.answering], which);
      if (worker !== undefined && seen !== undefined) watch.endAnswer(worker, seen);
      return;
    }
    case "leave": {
      const any = at(watch.requests, which);
      if (any !== undefined) watch.leave(any);
      return;
    }
    case "acknowledge": {
      const owed = at(watch.owed, which);
      if (owed !== undefined) watch.acknowledge(owed);
      return;
    }
    case "answer probes":
      watch.answerProbes();
      return;
    case "attach":
      if (watch.workers.length < 4) watch.attach();
      return;
    case "retire":
      if (worker !== undefined) watch.retire(worker);
      return;
    case "crash":
    case "kill":
      if (worker !== undefined) watch.lose(worker, name === "crash");
      return;
    default:
      tick();
  }
}

/** Lets everything end, with workers that answer everything. */
function settle(watch: Watch, tick: () => void): void {
  for (let round = 0; round < 60; round++) {
    const isOver = watch.workers.every(({ busy, answering }) => busy.size + answering.size === 0);
    if (isOver && watch.requests.every(({ client }) => client.settled)) return;
    for (const worker of watch.workers) {
      for (const seen of worker.answering) watch.endAnswer(worker, seen);
    }
    watch.answerProbes();
    for (const seen of watch.owed) watch.acknowledge(seen);
    for (const seen of watch.dispatched) watch.answer(seen, "whole");
    tick();
    watch.check();
  }
}

describe("Dispatcher, with any causes of crashes", { timeout: 60_000 }, () => {
  it("runs suspects alone, quarantines causes of crashes, and loses no other exchange", async (t) => {
    const turns = new TurnClock();
    const clock = { nowMs: 1_000, turns };
    // No mocks: they would remember each call.
    const now = performance.now.bind(performance);
    t.after(() => (performance.now = now));
    performance.now = () => clock.nowMs;
    turns.now = () => clock.nowMs;
    t.mock.timers.enable({ apis: ["setInterval"] });
    const tick = (): void => {
      clock.nowMs += SWEEP_MS;
      t.mock.timers.tick(SWEEP_MS);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 150, size: "max" }), async (actions) => {
        const watch = new Watch(clock);
        for (const { do: name, which } of actions) {
          perform(watch, name, which, tick);
          watch.check();
        }
        settle(watch, tick);
        watch.attach();
        settle(watch, tick);
        assert.ok(watch.requests.every(({ client }) => client.outcomes.length === 1));
        // No worker is kept when there are no suspects any more.
        const ready = watch.workers.filter(({ isReady }) => isReady);
        const places = ready.reduce((sum, { lane }) => sum + lane.cap, 0);
        const fresh = Array.from({ length: places }, (_, number) =>
          watch.admit("GET", `/fresh/${number}`),
        );
        assert.ok(fresh.every(({ on }) => on !== null));
        const idle = watch.dispatcher.idle();
        watch.dispatcher.close("ERR_DRAINING");
        await idle;
        assert.deepEqual(watch.dispatcher.load, { queued: 0, inFlight: 0 });
        assert.ok(watch.requests.every(({ client }) => client.outcomes.length === 1));
      }),
      { numRuns: 150 },
    );
  });
});
