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
import type { TurnClock } from "../turn-clock.ts";
import { Waiters } from "../waiters.ts";
import { frameSlack, pickLeastBusy } from "./balancer.ts";
import type { Buffering } from "./buffering.ts";
import type { ByteBudget } from "./byte-budget.ts";
import type { ClientSide } from "./client-side.ts";
import { Exchange, type ExchangeState } from "./exchange.ts";
import { Lane } from "./lane.ts";
import { BoundedQueue } from "./queue.ts";
import { RequestIntake } from "./request-intake.ts";
import { ResponseFeed } from "./response-feed.ts";
import type { Spool } from "./spool.ts";

/** How often queued and dispatched exchanges are looked at for their age. */
const SWEEP_MS = 250;

const RETRY_AFTER_SECONDS = 1;

/** Handlers are taken for slow until they have shown otherwise. */
const SLOW_MS = 100;

export interface DispatcherOptions {
  log: Logger;
  clock: TurnClock;
  /** Most exchanges that one worker has at a time. */
  workerConcurrency: number;
  /** Most exchanges that wait for a worker. */
  queueLimit: number;
  /** Longest that an exchange waits for a worker. */
  queueTimeoutMs: number;
  /** What all request bodies that are being gathered may take together. */
  bodyBudget: ByteBudget;
  /** Where bodies go that are to wait on disk. */
  spool: Spool;
  /** What a worker may send of a response's body before the client, or the disk, has taken any of it. */
  responseCreditBytes: number;
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
 * Invariants: an exchange is in the queue or in one lane's `inFlight`, or in neither, as its state says; a lane that
 * was detached holds nothing; an exchange leaves `inFlight` when it is settled, unless its worker was told to abort it:
 * then it leaves, settled as it is, once the worker says that it knows. So a worker whose loop is blocked stays busy in
 * the eyes of the balancer.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  /** Workers that take new exchanges. */
  readonly #ready: Lane[] = [];
  /** Workers that would, were they not silent. */
  readonly #stalled = new Set<Lane>();
  /** Those, and the retired ones that still have some in flight. */
  readonly #attached = new Set<Lane>();
  readonly #queue: BoundedQueue<Exchange>;
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

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#queue = new BoundedQueue(options.queueLimit);
    this.#sweep = setInterval(() => this.#expire(performance.now()), SWEEP_MS);
    this.#sweep.unref();
  }

  /** Exchanges that wait for a worker, and that workers have. */
  get load(): { queued: number; inFlight: number } {
    let inFlight = 0;
    for (const lane of this.#attached) inFlight += lane.inFlight.size;
    return { queued: this.#queue.size, inFlight };
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
    },
  ): void {
    const exchange = new Exchange(client, to);
    client.onAbort(() => this.#abandon(exchange));
    this.#open++;
    try {
      if (client.head.bodyBytes === 0) this.#place(exchange);
      else this.#takeIn(exchange, to.bodyLimitBytes);
    } catch (error) {
      // A bug of ours, answered by whoever catches it; `idle` must not wait for this one for ever.
      if (exchange.state !== "settled") this.#settle(exchange);
      throw error;
    }
  }

  #takeIn(exchange: Exchange, limitBytes: number): void {
    const { bodyBufferBytes, bodyOverflow } = exchange.buffering;
    const intake = new RequestIntake({
      limitBytes,
      bufferBytes: bodyBufferBytes,
      budget: this.#options.bodyBudget,
      spool: bodyOverflow === "spool" ? this.#options.spool : null,
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
        this.#fail(exchange, code, "client-left");
        this.#pump();
      },
    });
    exchange.intake = intake;
    intake.start(exchange.client);
  }

  /** A worker is ready: it takes part from now on. */
  attach(workerId: WorkerId, channel: Channel<ToPrimary, ToWorker>): Lane {
    const lane = new Lane(workerId, channel);
    this.#offer(lane);
    this.#attached.add(lane);
    this.#pump();
    return lane;
  }

  /** A worker takes no new exchanges; what it has in flight may still be answered. */
  retire(lane: Lane): void {
    this.#withdraw(lane);
    this.#stalled.delete(lane);
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
    return [...lane.inFlight.values()].map(({ id, route, client, state, sinceMs }) => ({
      id,
      route,
      method: client.head.method,
      target: client.head.target,
      state,
      forMs: Math.round(nowMs - sinceMs),
    }));
  }

  /** A worker is gone: what it had in flight fails, each exchange once. */
  detach(lane: Lane, code: ErrorCode): number {
    this.retire(lane);
    this.#attached.delete(lane);
    const lost = [...lane.inFlight.values()].filter(({ state }) => state !== "settled");
    lane.inFlight.clear();
    for (const exchange of lost) this.#fail(exchange, code);
    return lost.length;
  }

  /**
   * A worker says something of an exchange. What it says of one that is settled already is dropped.
   *
   * @throws RuntimeError `ERR_PROTOCOL` for what an exchange in its state does not expect.
   */
  receive(lane: Lane, message: ExchangeMessage): void {
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
    for (let next = this.#queue.peek(); next !== undefined; next = this.#queue.peek()) {
      this.#fail(next, code);
    }
    for (const lane of this.#attached) {
      for (const { id, state } of lane.inFlight.values()) {
        if (state !== "settled") lane.channel.send([Kind.abort, id, "shutdown"]);
      }
      this.detach(lane, code);
    }
  }

  /** It takes new exchanges, unless it is silent: then as soon as it speaks. */
  #offer(lane: Lane): void {
    if (lane.isSilent) this.#stalled.add(lane);
    else this.#ready.push(lane);
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
    const lane = this.#pick();
    if (lane !== null) {
      this.#dispatch(exchange, lane);
    } else if (this.#queue.push(exchange)) {
      exchange.state = "queued";
      exchange.sinceMs = this.#options.clock.now();
    } else {
      this.#fail(exchange, "ERR_OVERLOADED");
    }
  }

  #dispatch(exchange: Exchange, lane: Lane): void {
    const { client, body, intake } = exchange;
    exchange.state = "dispatched";
    exchange.sinceMs = this.#options.clock.now();
    exchange.lane = lane;
    client.workerId = lane.workerId;
    lane.inFlight.set(exchange.id, exchange);
    const message: RequestMessage = [
      Kind.request,
      exchange.id,
      exchange.route,
      exchange.params,
      client.head.method,
      exchange.url,
      client.head.fields,
      client.head.clientAddress,
      exchange.timeoutMs,
      body,
    ];
    const bodyBytes = body instanceof Uint8Array ? body.length : 0;
    lane.channel.send(message, client.head.fields.length + bodyBytes);
    intake?.feed({
      chunk: (bytes) => lane.channel.send([Kind.requestChunk, exchange.id, bytes], bytes.length),
      end: () => lane.channel.send([Kind.requestEnd, exchange.id]),
    });
  }

  #onResponse(exchange: Exchange, message: ResponseMessage): void {
    if (exchange.state !== "dispatched") {
      throw new RuntimeError("ERR_PROTOCOL", "Cannot take a response: there has been one already");
    }
    this.#latencyMs += (this.#options.clock.now() - exchange.sinceMs - this.#latencyMs) / 64;
    const [, , status, statusText, fields, body] = message;
    if (body !== BODY_FOLLOWS) {
      this.#settle(exchange);
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
    exchange.feed = feed;
    // Some of the answer is about to leave: no other worker will have to read the request again.
    exchange.intake?.commit();
    exchange.client.respondStream({ status, statusText, fields, lengthBytes: null }, feed);
  }

  #logDisk({ id, route }: Exchange, cause: unknown, message: string): void {
    this.#options.log.error({ err: cause, exchangeId: id, route, code: "ERR_SPOOL" }, message);
  }

  /** The least busy worker; within one turn of the loop, the same one for as long as that makes no difference. */
  #pick(): Lane | null {
    const { workerConcurrency, clock } = this.#options;
    const lane = pickLeastBusy(this.#ready, workerConcurrency);
    if (lane === null) return null;
    const nowMs = clock.now();
    const last = this.#last;
    if (
      last !== null &&
      nowMs === this.#lastPickMs &&
      last.inFlight.size < lane.inFlight.size + frameSlack(this.#latencyMs) &&
      last.inFlight.size < workerConcurrency
    ) {
      return last;
    }
    this.#last = lane;
    this.#lastPickMs = nowMs;
    return lane;
  }

  /** Gives waiting exchanges to workers that have room again. */
  #pump(): void {
    while (this.#queue.size > 0) {
      const lane = this.#pick();
      if (lane === null) return;
      const next = this.#queue.shift();
      if (next !== undefined) this.#dispatch(next, lane);
    }
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
  #fail(exchange: Exchange, code: ErrorCode, reason?: AbortReason): void {
    if (exchange.state === "settled") return;
    const { lane, feed } = exchange;
    this.#settle(exchange);
    if (lane !== null && reason !== undefined) this.#tell(lane, exchange, reason);
    if (feed !== null) {
      feed.fail();
      return;
    }
    const status = statusOf(code);
    exchange.client.refuse(
      status,
      status === 503 ? { retryAfterSeconds: RETRY_AFTER_SECONDS } : {},
    );
  }

  #settle(exchange: Exchange): void {
    if (exchange.state === "queued") this.#queue.remove(exchange);
    exchange.lane?.inFlight.delete(exchange.id);
    exchange.lane = null;
    exchange.intake?.close();
    exchange.intake = null;
    exchange.feed = null;
    exchange.state = "settled";
    this.#open--;
    if (this.#open === 0) this.#idleWaiters.release();
  }

  /** Tells a worker that nobody waits for an exchange. It keeps its place there until the worker has taken note. */
  #tell(lane: Lane, exchange: Exchange, reason: AbortReason): void {
    exchange.body = null;
    lane.inFlight.set(exchange.id, exchange);
    lane.channel.send([Kind.abort, exchange.id, reason]);
  }

  #acknowledge(lane: Lane, exchange: Exchange): void {
    lane.inFlight.delete(exchange.id);
    this.#pump();
  }

  #expire(nowMs: number): void {
    const { queueTimeoutMs, log } = this.#options;
    for (
      let next = this.#queue.peek();
      next !== undefined && nowMs - next.sinceMs > queueTimeoutMs;
      next = this.#queue.peek()
    ) {
      this.#fail(next, "ERR_OVERLOADED");
    }
    for (const lane of this.#attached) {
      for (const exchange of lane.inFlight.values()) {
        const { timeoutMs, state } = exchange;
        // Once it is being answered, both sides live: a stream may take as long as it likes.
        if (state === "answering" || state === "settled") continue;
        if (timeoutMs === 0 || nowMs - exchange.sinceMs <= timeoutMs) continue;
        log.error(
          { exchangeId: exchange.id, workerId: lane.workerId, route: exchange.route, timeoutMs },
          "handler took longer than its timeout",
        );
        this.#fail(exchange, "ERR_HANDLER_TIMEOUT", "deadline");
      }
    }
    this.#pump();
  }
}

function feedOf(exchange: Exchange): ResponseFeed {
  if (exchange.feed !== null) return exchange.feed;
  throw new RuntimeError("ERR_PROTOCOL", "Cannot take a chunk: no response said that it follows");
}
