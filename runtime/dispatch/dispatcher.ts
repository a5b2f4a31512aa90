import type { Channel } from "../channel/channel.ts";
import type {
  AbortReason,
  ExchangeId,
  ExchangeMessage,
  RequestMessage,
  ResponseMessage,
  RouteNumber,
  ToPrimary,
  ToWorker,
  WorkerId,
} from "../channel/messages.ts";
import { BODY_FOLLOWS, Kind } from "../channel/messages.ts";
import type { ErrorCode } from "../errors.ts";
import { assertNever, RuntimeError, statusOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Counters } from "../observe/counters.ts";
import type { TurnClock } from "../turn-clock.ts";
import { Waiters } from "../waiters.ts";
import { frameSlack, pickLeastBusy } from "./balancer.ts";
import type { Buffering } from "./buffering.ts";
import type { ByteBudget } from "./byte-budget.ts";
import type { ClientSide } from "./client-side.ts";
import { Exchange, type ExchangeState } from "./exchange.ts";
import { Lane } from "./lane.ts";
import { OverloadLog, type OverloadSetting } from "./overload-log.ts";
import type { Others } from "./isolation.ts";
import { findQueueBreach } from "./queue-policy.ts";
import { BoundedQueue } from "./queue.ts";
import { type Casualties, type Loss, Recovery, type RoutePolicy } from "./recovery.ts";
import { RequestIntake } from "./request-intake.ts";
import { ResponseFeed } from "./response-feed.ts";
import type { Spool } from "./spool.ts";

/** How often queued and dispatched exchanges are looked at for their age. */
const SWEEP_MS = 250;

const RETRY_AFTER_MS = 1_000;

/** What is counted when a request body is refused. */
const BODY_REFUSALS = {
  ERR_BODY_TOO_LARGE: "bodyLimit",
  ERR_OVERLOADED: "bodyRoom",
  ERR_SPOOL: "bodyDisk",
} as const;

/** Reserved exchanges that a worker may have beyond its cap, and that may wait for one. */
const RESERVED_PER_WORKER = 4;
const RESERVED_QUEUE_LIMIT = 100;

/** Handlers are taken for slow until they have shown otherwise. */
const SLOW_MS = 100;

export interface DispatcherOptions {
  log: Logger;
  clock: TurnClock;
  /** Most exchanges that one worker has at a time. */
  workerConcurrency: number;
  /** Most exchanges that wait for a worker. */
  queueLimit: number;
  /** Longest that an exchange is let wait, as far as that can be foreseen. 0: any wait will do. */
  queueDelayMs: number;
  /** Longest that an exchange waits for a worker. */
  queueTimeoutMs: number;
  /** Most that are admitted and not settled, by all dispatchers that share the counters; `null`: any number. */
  maxRequests: number | null;
  /** What all request bodies that are being gathered may take together. */
  bodyBudget: ByteBudget;
  /** Where bodies go that are to wait on disk. */
  spool: Spool;
  /** What a worker may send of a response's body before the client, or the disk, has taken any of it. */
  responseCreditBytes: number;
  counters: Counters;
  /** How long a request is remembered that was there when a worker was lost; 0: none is. */
  quarantineMs: number;
  routes: RoutePolicy;
}

/** One exchange that a worker has, for a person to read. */
export interface Work {
  id: ExchangeId;
  route: RouteNumber;
  method: string;
  target: string;
  /** `settled`: its client has been answered or has left, and the worker has not taken note. */
  state: ExchangeState;
  /** Since its dispatch. */
  forMs: number;
}

/**
 * Gives each admitted exchange to the least busy ready worker and sees it through to exactly one outcome.
 *
 * Invariants: an exchange is in the queue, in one lane's `inFlight` or in the hands of `recovery.ts`, or in none of them,
 * as its state says; a lane that was detached holds nothing; an exchange leaves `inFlight` when it is settled, unless its
 * worker was told to abort it: then it leaves, settled as it is, once the worker says that it knows. So a worker whose
 * loop is blocked stays busy in the eyes of the balancer.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  /** Workers that take new exchanges. */
  readonly #ready: Lane[] = [];
  /** Workers that would, were they not silent. */
  readonly #stalled = new Set<Lane>();
  /** Those, the retired ones that still have some in flight, and those that are kept for suspects. */
  readonly #attached = new Set<Lane>();
  readonly #queue: BoundedQueue<Exchange>;
  /** Goes before that one. */
  readonly #reserved = new BoundedQueue<Exchange>(RESERVED_QUEUE_LIMIT);
  readonly #recovery: Recovery;
  readonly #maxRequests: number;
  readonly #counters: Counters;
  readonly #overloadLog: OverloadLog;
  readonly #sweep: NodeJS.Timeout;
  /** The worker that was picked last, and the turn of the loop in which it was. */
  #last: Lane | null = null;
  #lastPickMs = 0;
  /** From the dispatch to the answer, of late: a moving average. */
  #latencyMs = SLOW_MS;
  /** Admitted and not settled. */
  #open = 0;
  readonly #idleWaiters = new Waiters();
  /** Why nothing is dispatched any more. */
  #closed: ErrorCode | null = null;
  #isDown = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#queue = new BoundedQueue(options.queueLimit);
    this.#recovery = new Recovery({
      ...options,
      fail: (exchange, code, retryAfterMs) => {
        if (code === "ERR_HANDLER_TIMEOUT") this.#counters.limits.requestTimeout++;
        this.#fail(exchange, code, undefined, retryAfterMs);
      },
      overloaded: (exchange, setting) => this.#overloaded(exchange, setting),
    });
    this.#maxRequests = options.maxRequests ?? Number.POSITIVE_INFINITY;
    this.#counters = options.counters;
    this.#overloadLog = new OverloadLog(options.log);
    this.#sweep = setInterval(() => this.#expire(performance.now()), SWEEP_MS);
    this.#sweep.unref();
  }

  /** Exchanges that wait for a worker, and that workers have. */
  get load(): { queued: number; inFlight: number } {
    let inFlight = 0;
    for (const lane of this.#attached) inFlight += lane.inFlight.size;
    const queued = this.#queue.size + this.#reserved.size + this.#recovery.held;
    return { queued, inFlight };
  }

  /** Workers that take new exchanges, if only suspects for the moment. */
  get readyWorkers(): number {
    return this.#ready.length + this.#recovery.isolation.kept;
  }

  /** For how long the exchange that waits longest has waited for a worker. */
  queueAgeMs(nowMs: number): number {
    const longest = this.#queue.peek();
    return longest === undefined ? 0 : nowMs - longest.sinceMs;
  }

  /** Whether no worker will be there for a while: then nothing waits for one, and what did is told so. */
  markDown(isDown: boolean): void {
    this.#isDown = isDown;
    if (isDown) this.#failQueued("ERR_OVERLOADED");
  }

  /** Takes responsibility for a request whose route is known: from here on it is answered or its client has left. */
  admit(
    client: ClientSide,
    to: {
      route: RouteNumber;
      params: Record<string, string> | null;
      url: string;
      bodyLimitBytes: number;
      /** Longest that the handler may take before the client gets 504; 0: as long as it likes. */
      timeoutMs: number;
      /** Where bodies wait that are larger than memory shall hold. */
      buffering: Buffering;
      /** It goes before all others, and where others are refused. */
      reserved?: boolean;
    },
  ): void {
    const exchange = new Exchange(client, to);
    client.onAbort(() => this.#abandon(exchange));
    this.#open++;
    if (++this.#counters.admitted > this.#maxRequests && !exchange.reserved) {
      this.#overloaded(exchange, "maxRequests");
      return;
    }
    try {
      if (client.head.bodyBytes === 0) this.#place(exchange);
      else this.#takeIn(exchange, to.bodyLimitBytes);
    } catch (error) {
      // A bug of ours, answered by whoever catches it; `idle` must not wait for this one for ever.
      if (exchange.state !== "settled") this.#settle(exchange);
      throw error;
    }
  }

  /**
   * Takes responsibility for a request without a body that one worker is to answer, past the queue and whatever it has:
   * it is there to see how that worker does.
   */
  admitTo(
    lane: Lane,
    client: ClientSide,
    to: {
      route: RouteNumber;
      params: Record<string, string> | null;
      url: string;
      timeoutMs: number;
      buffering: Buffering;
    },
  ): void {
    const exchange = new Exchange(client, to);
    client.onAbort(() => this.#abandon(exchange));
    this.#open++;
    this.#counters.admitted++;
    if (this.#attached.has(lane)) this.#dispatch(exchange, lane);
    else this.#fail(exchange, "ERR_WORKER_EXITED");
  }

  #takeIn(exchange: Exchange, limitBytes: number): void {
    const { bodyBufferBytes, bodyOverflow } = exchange.buffering;
    const intake = new RequestIntake({
      limitBytes,
      bufferBytes: bodyBufferBytes,
      budget: this.#options.bodyBudget,
      overflow: bodyOverflow,
      spool: this.#options.spool,
      onWhole: (body) => {
        // The intake holds its share of the budget until the exchange is settled.
        exchange.body = body;
        this.#place(exchange);
      },
      onOverflow: () => {
        exchange.body = BODY_FOLLOWS;
        this.#place(exchange);
      },
      onRefused: (code, cause) => {
        if (code === "ERR_SPOOL") this.#logDisk(exchange, cause, "cannot spool a request body");
        this.#counters.limits[BODY_REFUSALS[code]]++;
        this.#fail(
          exchange,
          code,
          code === "ERR_BODY_TOO_LARGE" ? "body-too-large" : "client-left",
        );
        this.#pump();
      },
    });
    exchange.intake = intake;
    intake.start(exchange.client);
  }

  /** A worker is ready: it takes part from now on. */
  attach(workerId: WorkerId, channel: Channel<ToPrimary, ToWorker>): Lane {
    const lane = new Lane(workerId, channel, this.#options.workerConcurrency);
    this.#offer(lane);
    this.#attached.add(lane);
    this.#pump();
    return lane;
  }

  /** A worker takes no new exchanges; what it has in flight may still be answered. */
  retire(lane: Lane): void {
    this.#withdraw(lane);
    this.#stalled.delete(lane);
    this.#recovery.isolation.retire(lane);
  }

  /** A worker is silent: it gets nothing new until it speaks again. What nobody else takes waits in the queue. */
  stall(lane: Lane): void {
    lane.isSilent = true;
    if (this.#withdraw(lane)) this.#stalled.add(lane);
  }

  /** A worker that was silent speaks again. */
  recover(lane: Lane): void {
    lane.isSilent = false;
    if (!this.#stalled.delete(lane)) return;
    this.#offer(lane);
    this.#pump();
  }

  /** What a worker has in flight, and what it may still be busy with though nobody waits for it; oldest first. */
  workOf(lane: Lane): Work[] {
    const nowMs = this.#options.clock.now();
    return lane.inFlight.values().map(({ id, route, client, state, sinceMs }) => ({
      id,
      route,
      method: client.head.method,
      target: client.head.target,
      state,
      forMs: Math.round(nowMs - sinceMs),
    }));
  }

  /** A worker is gone: what it had in flight goes to another one where that is safe, and fails where it is not. */
  detach(lane: Lane, loss: Loss): Casualties {
    this.retire(lane);
    this.#attached.delete(lane);
    const inFlight = lane.inFlight.values();
    lane.inFlight.clear();
    const casualties = this.#recovery.rescue(lane, inFlight, loss, this.#options.clock.now());
    if (this.#isDown) this.#recovery.failAll("ERR_OVERLOADED");
    this.#pump();
    return casualties;
  }

  /**
   * A worker says something of an exchange. What it says of one that is settled already is dropped.
   *
   * @throws RuntimeError `ERR_PROTOCOL` for what an exchange in its state does not expect.
   */
  receive(lane: Lane, message: ExchangeMessage): void {
    if (message[0] === Kind.probed) {
      const now = { ms: this.#options.clock.now(), latencyMs: this.#latencyMs };
      lane.window.onProbed(this.#queue.size > 0, now);
      this.#recovery.isolation.hear(lane, message[1]);
      this.#pump();
      return;
    }
    const exchange = lane.inFlight.get(message[1]);
    if (exchange === undefined) return;
    if (exchange.state === "settled") {
      if (message[0] === Kind.settled) this.#acknowledge(lane, exchange);
      return;
    }
    switch (message[0]) {
      case Kind.response:
        this.#onResponse(exchange, message);
        return;
      case Kind.responseChunk:
        feedOf(exchange).push(message[2]);
        return;
      case Kind.responseEnd: {
        const feed = feedOf(exchange);
        this.#settle(exchange);
        feed.end();
        this.#pump();
        return;
      }
      case Kind.responseAbort:
        this.#fail(exchange, "ERR_HANDLER_THREW");
        // It failed, and its worker lives.
        if (exchange.trouble !== null) this.#recovery.absolve(lane, exchange);
        this.#pump();
        return;
      case Kind.requestCredit:
        exchange.intake?.grant(message[2]);
        return;
      case Kind.settled:
        throw new RuntimeError(
          "ERR_PROTOCOL",
          "Cannot take an acknowledgement: nothing was aborted",
        );
      default:
        assertNever(message);
    }
  }

  /** Resolves when every admitted exchange is settled. */
  idle(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : this.#idleWaiters.wait();
  }

  /** Ends the wait of everything that is queued or in flight, and of what is still received once it is. */
  close(code: ErrorCode): void {
    this.#closed = code;
    clearInterval(this.#sweep);
    this.#failQueued(code);
    for (const lane of this.#attached) {
      for (const { id, state } of lane.inFlight.values()) {
        if (state !== "settled") lane.channel.send([Kind.abort, id, "shutdown"]);
      }
      this.retire(lane);
      for (const exchange of lane.inFlight.values()) this.#fail(exchange, code);
      lane.inFlight.clear();
      this.#attached.delete(lane);
    }
  }

  /** It takes new exchanges, in its old place, oldest first; unless it is silent: then as soon as it speaks. */
  #offer(lane: Lane): void {
    if (lane.isSilent) {
      this.#stalled.add(lane);
      return;
    }
    this.#ready.push(lane);
    this.#ready.sort((a, b) => a.workerId - b.workerId);
  }

  /** It takes none. Returns whether it did. */
  #withdraw(lane: Lane): boolean {
    const at = this.#ready.indexOf(lane);
    if (at === -1) return false;
    this.#ready.splice(at, 1);
    if (this.#last === lane) this.#last = null;
    return true;
  }

  #place(exchange: Exchange): void {
    if (this.#closed !== null) {
      this.#fail(exchange, this.#closed);
      return;
    }
    if (this.#recovery.isWatching && this.#recovery.divert(exchange, this.#options.clock.now())) {
      if (this.#isDown) this.#recovery.failAll("ERR_OVERLOADED");
      this.#pump();
      return;
    }
    const lane = exchange.reserved ? this.#pickReserved() : this.#pick();
    if (lane !== null) this.#dispatch(exchange, lane);
    else this.#enqueue(exchange);
  }

  /** It waits for a worker, unless it can be told already that it would wait in vain. */
  #enqueue(exchange: Exchange): void {
    if (this.#isDown) {
      this.#fail(exchange, "ERR_OVERLOADED");
      return;
    }
    const nowMs = this.#options.clock.now();
    const { queueLimit, queueDelayMs } = this.#options;
    let busy = 0;
    for (const lane of this.#ready) {
      busy += lane.busy;
      // They are full: only a new measurement can tell whether they may have more.
      this.#probe(lane, exchange, nowMs);
    }
    const first = this.#queue.peek();
    const state = {
      queued: this.#queue.size,
      firstWaitsMs: first === undefined ? 0 : nowMs - first.sinceMs,
      workers: this.#ready.length,
      busy,
      latencyMs: this.#latencyMs,
    };
    const breach = exchange.reserved
      ? null
      : findQueueBreach(state, { limit: queueLimit, delayMs: queueDelayMs });
    if (breach !== null || !this.#queueOf(exchange).push(exchange)) {
      this.#overloaded(exchange, breach ?? "queueLimit");
      return;
    }
    exchange.state = "queued";
    exchange.sinceMs = nowMs;
    // A worker may be kept that is to be given back because of this one.
    if (this.#recovery.isolation.active) this.#pump();
  }

  #overloaded(exchange: Exchange, setting: OverloadSetting): void {
    this.#counters.limits[setting]++;
    this.#overloadLog.note(setting);
    this.#fail(exchange, "ERR_OVERLOADED");
  }

  #queueOf(exchange: Exchange): BoundedQueue<Exchange> {
    return exchange.reserved ? this.#reserved : this.#queue;
  }

  /** Measures how long the worker takes to come to what it is sent now, if that is due. */
  #probe(lane: Lane, { id }: Exchange, nowMs: number): void {
    if (lane.window.takeProbe(lane.busy, nowMs)) lane.channel.send([Kind.probe, id]);
  }

  #failQueued(code: ErrorCode): void {
    for (const queue of [this.#reserved, this.#queue]) {
      for (let next = queue.peek(); next !== undefined; next = queue.peek()) this.#fail(next, code);
    }
    this.#recovery.failAll(code);
  }

  #dispatch(exchange: Exchange, lane: Lane): void {
    const { client, body, intake, trouble } = exchange;
    const nowMs = this.#options.clock.now();
    exchange.state = "dispatched";
    exchange.sinceMs = trouble?.firstMs ?? nowMs;
    exchange.lane = lane;
    client.workerId = lane.workerId;
    lane.inFlight.add(exchange);
    lane.dispatched++;
    const message: RequestMessage = [
      Kind.request,
      exchange.id,
      exchange.route,
      exchange.params,
      client.head.method,
      exchange.url,
      client.head.fields,
      client.head.clientAddress,
      trouble === null ? exchange.timeoutMs : timeLeftMs(exchange, nowMs),
      body,
    ];
    const bodyBytes = body instanceof Uint8Array ? body.length : 0;
    lane.channel.send(message, client.head.fields.length + bodyBytes);
    intake?.feed({
      chunk: (bytes) => lane.channel.send([Kind.requestChunk, exchange.id, bytes], bytes.length),
      end: () => lane.channel.send([Kind.requestEnd, exchange.id]),
    });
    this.#probe(lane, exchange, nowMs);
  }

  #onResponse(exchange: Exchange, message: ResponseMessage): void {
    if (exchange.state !== "dispatched") {
      throw new RuntimeError("ERR_PROTOCOL", "Cannot take a response: there has been one already");
    }
    const nowMs = this.#options.clock.now();
    const { lane, trouble } = exchange;
    if (trouble === null) this.#latencyMs += (nowMs - exchange.sinceMs - this.#latencyMs) / 64;
    lane?.window.onAnswer(this.#queue.size > 0, nowMs);
    const [, , status, statusText, fields, body] = message;
    if (body !== BODY_FOLLOWS) {
      this.#settle(exchange);
      if (trouble !== null && lane !== null) this.#recovery.absolve(lane, exchange);
      exchange.client.respond({ status, statusText, fields, body });
      this.#pump();
      return;
    }
    const { responseCreditBytes, spool } = this.#options;
    const feed = new ResponseFeed({
      creditBytes: responseCreditBytes,
      spool: exchange.buffering.responseOverflow === "spool" ? spool : null,
      grant: (bytes) => exchange.lane?.channel.send([Kind.responseCredit, exchange.id, bytes]),
      onCancel: () => this.#abandon(exchange),
      onDiskError: (error) => this.#logDisk(exchange, error, "cannot spool a response body"),
    });
    exchange.state = "answering";
    if (lane !== null) lane.streams++;
    exchange.feed = feed;
    // Some of the answer is about to leave: no other worker will have to read the request again.
    exchange.intake?.commit();
    if (trouble !== null && lane !== null) this.#recovery.absolve(lane, exchange);
    exchange.client.respondStream({ status, statusText, fields, lengthBytes: null }, feed);
    if (trouble !== null) this.#pump();
  }

  #logDisk({ id, route }: Exchange, cause: unknown, message: string): void {
    this.#options.log.error({ err: cause, exchangeId: id, route, code: "ERR_SPOOL" }, message);
  }

  /** The least busy worker; within one turn of the loop, the same one for as long as that makes no difference. */
  #pick(): Lane | null {
    const lane = pickLeastBusy(this.#ready);
    if (lane === null) return null;
    const nowMs = this.#options.clock.now();
    const last = this.#last;
    if (
      last !== null &&
      nowMs === this.#lastPickMs &&
      last.inFlight.size < lane.inFlight.size + frameSlack(this.#latencyMs) &&
      last.inFlight.size < last.cap
    ) {
      return last;
    }
    this.#last = lane;
    this.#lastPickMs = nowMs;
    return lane;
  }

  #pickReserved(): Lane | null {
    return pickLeastBusy(this.#ready, RESERVED_PER_WORKER);
  }

  /** Gives waiting exchanges to workers that have room again. */
  #pump(): void {
    if (this.#recovery.isolation.active) this.#isolate();
    while (this.#reserved.size > 0) {
      const lane = this.#pickReserved();
      if (lane === null) return;
      const next = this.#reserved.shift();
      if (next !== undefined) this.#dispatch(next, lane);
    }
    while (this.#queue.size > 0 || this.#recovery.isWaiting) {
      const lane = this.#pick();
      if (lane === null) return;
      const next = this.#recovery.shift() ?? this.#queue.shift();
      if (next !== undefined) this.#dispatch(next, lane);
    }
  }

  /** Lets suspects run, each alone on a worker that takes nothing else meanwhile. */
  #isolate(): void {
    const { isolation } = this.#recovery;
    const moment = {
      ready: this.#ready,
      others: this.#countOthers(),
      nowMs: this.#options.clock.now(),
    };
    for (;;) {
      const step = isolation.next(moment);
      if (step === null) return;
      switch (step.do) {
        case "keep":
          this.#withdraw(step.lane);
          break;
        case "open":
          this.#offer(step.lane);
          break;
        case "run":
          this.#dispatch(step.suspect, step.lane);
          break;
        case "ask":
          step.lane.channel.send([Kind.probe, step.suspect.id]);
          break;
        default:
          assertNever(step);
      }
    }
  }

  /** What waits for any worker. */
  #countOthers(): Others {
    const { held, heldSinceMs } = this.#recovery.others;
    const sinceMs = Math.min(
      heldSinceMs ?? Infinity,
      this.#reserved.peek()?.sinceMs ?? Infinity,
      this.#queue.peek()?.sinceMs ?? Infinity,
    );
    const count = held + this.#reserved.size + this.#queue.size;
    return { count, sinceMs: count > 0 ? sinceMs : null };
  }

  /** The client left: whoever works on its exchange is told, and the place it held is free. */
  #abandon(exchange: Exchange): void {
    if (exchange.state === "settled") return;
    const { lane } = exchange;
    this.#settle(exchange);
    if (lane !== null) this.#tell(lane, exchange, "client-left");
    this.#pump();
  }

  /** Ends an exchange that will not be answered, or not to its end; a worker that has it is told, if it is told why. */
  #fail(
    exchange: Exchange,
    code: ErrorCode,
    reason?: AbortReason,
    retryAfterMs = RETRY_AFTER_MS,
  ): void {
    if (exchange.state === "settled") return;
    const { lane, feed } = exchange;
    this.#settle(exchange);
    if (lane !== null && reason !== undefined) this.#tell(lane, exchange, reason);
    if (feed !== null) {
      feed.fail();
      return;
    }
    const status = statusOf(code);
    const retryAfterSeconds = Math.ceil(retryAfterMs / 1_000);
    exchange.client.refuse(status, status === 503 ? { retryAfterSeconds } : {});
  }

  #settle(exchange: Exchange): void {
    const { lane, state } = exchange;
    if (state === "queued") this.#queueOf(exchange).remove(exchange);
    else if (state === "held") this.#recovery.remove(exchange);
    if (lane !== null) {
      lane.inFlight.delete(exchange.id);
      if (state === "answering") lane.streams--;
      exchange.lane = null;
    }
    exchange.intake?.close();
    exchange.intake = null;
    exchange.feed = null;
    exchange.state = "settled";
    this.#counters.admitted--;
    this.#open--;
    if (this.#open === 0) this.#idleWaiters.release();
  }

  /** Tells a worker that nobody waits for an exchange. It keeps its place there until the worker has taken note. */
  #tell(lane: Lane, exchange: Exchange, reason: AbortReason): void {
    this.#recovery.dropBody(exchange);
    lane.inFlight.add(exchange);
    lane.channel.send([Kind.abort, exchange.id, reason]);
  }

  #acknowledge(lane: Lane, exchange: Exchange): void {
    lane.inFlight.delete(exchange.id);
    if (exchange.trouble !== null) this.#recovery.isolation.vacate(lane, exchange);
    this.#pump();
  }

  #expire(nowMs: number): void {
    const { queueTimeoutMs, log } = this.#options;
    for (const queue of [this.#reserved, this.#queue]) {
      for (
        let next = queue.peek();
        next !== undefined && nowMs - next.sinceMs > queueTimeoutMs;
        next = queue.peek()
      ) {
        this.#overloaded(next, "queueTimeout");
      }
    }
    this.#recovery.expire(nowMs);
    if (this.#overloadLog.isDue(nowMs)) this.#overloadLog.write(this.load, nowMs);
    for (const lane of this.#attached) {
      for (const exchange of lane.inFlight.values()) {
        const { timeoutMs, state } = exchange;
        // Once it is being answered, both sides live: a stream may take as long as it likes.
        if (state === "answering" || state === "settled") continue;
        if (timeoutMs === 0 || nowMs - exchange.sinceMs <= timeoutMs) continue;
        const { id: exchangeId, route } = exchange;
        log.error(
          { exchangeId, workerId: lane.workerId, route, setting: "requestTimeout", timeoutMs },
          "handler took longer than its timeout",
        );
        this.#counters.limits.requestTimeout++;
        this.#fail(exchange, "ERR_HANDLER_TIMEOUT", "deadline");
      }
    }
    this.#pump();
    // While nothing arrives either: what still waits must not wait for a window that was measured long ago.
    const first = this.#queue.peek();
    if (first !== undefined) for (const lane of this.#ready) this.#probe(lane, first, nowMs);
  }
}

function feedOf(exchange: Exchange): ResponseFeed {
  if (exchange.feed !== null) return exchange.feed;
  throw new RuntimeError("ERR_PROTOCOL", "Cannot take a chunk: no response said that it follows");
}

/** How long the answer to an exchange that is dispatched once more may take; 0: as long as it likes. */
function timeLeftMs({ sinceMs, timeoutMs }: Exchange, nowMs: number): number {
  return timeoutMs === 0 ? 0 : Math.max(1, Math.ceil(sinceMs + timeoutMs - nowMs));
}
