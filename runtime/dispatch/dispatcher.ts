import type { Channel } from "../channel/channel.ts";
import type {
  ExchangeMessage,
  RouteNumber,
  ToPrimary,
  ToWorker,
  WorkerId,
} from "../channel/messages.ts";
import { BODY_FOLLOWS, Kind } from "../channel/messages.ts";
import type { ErrorCode } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Counters } from "../observe/counters.ts";
import type { TurnClock } from "../turn-clock.ts";
import type { Buffering } from "./buffering.ts";
import type { BlockPool } from "./block-pool.ts";
import type { ByteBudget } from "./byte-budget.ts";
import type { ClientSide } from "./client-side.ts";
import { Exchange } from "./exchange.ts";
import { Lane } from "./lane.ts";
import { Lanes } from "./lanes.ts";
import { OverloadLog } from "./overload-log.ts";
import { Placement } from "./placement.ts";
import { type LossOutcome, type Loss, Recovery, type RoutePolicy } from "./recovery.ts";
import { Replies } from "./replies.ts";
import { RequestIntake } from "./request-intake.ts";
import { RequestTimeouts } from "./request-timeouts.ts";
import { Settlement } from "./settlement.ts";
import type { Spool } from "./spool.ts";
import { WaitingLine } from "./waiting-line.ts";
import { toWork, type Work } from "./work.ts";

/** How often queued and dispatched exchanges are looked at for their age. */
const SWEEP_MS = 250;

/** What is counted when a request body is refused. */
const BODY_REFUSALS = {
  ERR_BODY_TOO_LARGE: "bodyLimit",
  ERR_OVERLOADED: "bodyRoom",
  ERR_SPOOL: "bodyDisk",
} as const;

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
  /** Where it waits. */
  blocks: BlockPool;
  counters: Counters;
  /** How long a request is remembered that was there when a worker was lost; 0: none is. */
  quarantineMs: number;
  routes: RoutePolicy;
}

/**
 * Gives each admitted exchange to the least busy ready worker and sees it through to exactly one outcome.
 *
 *     admit ──▶ placement.ts ──▶ a worker of lanes.ts ──▶ replies.ts ──▶ settlement.ts
 *                   │  ▲                    └──lost──▶ recovery.ts ──┐
 *                   │  └─────────────────────────────────────────────┤
 *                   └──▶ waiting-line.ts ──▶ placement.ts            └──▶ settlement.ts
 *
 * Invariants: an exchange is in the line, in one lane's `inFlight` or in the hands of `recovery.ts`, or in none of them,
 * as its state says; a lane that was detached holds nothing; an exchange leaves `inFlight` when it is settled, unless its
 * worker was told to abort it: then it leaves, settled as it is, once the worker says that it knows. So a worker whose
 * loop is blocked stays busy in the eyes of the balancer.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #lanes = new Lanes();
  readonly #line: WaitingLine;
  readonly #recovery: Recovery;
  readonly #settlement: Settlement;
  readonly #placement: Placement;
  readonly #replies: Replies;
  readonly #timeouts: RequestTimeouts;
  readonly #maxRequests: number;
  readonly #counters: Counters;
  readonly #overloadLog: OverloadLog;
  readonly #sweep: NodeJS.Timeout;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#maxRequests = options.maxRequests ?? Number.POSITIVE_INFINITY;
    this.#counters = options.counters;
    this.#overloadLog = new OverloadLog(options.log);
    this.#line = new WaitingLine(options);
    this.#recovery = new Recovery({
      ...options,
      fail: (exchange, code, retryAfterMs) => {
        if (code === "ERR_HANDLER_TIMEOUT") this.#counters.limit("requestTimeout", exchange.client);
        else if (code === "ERR_QUARANTINED") this.#counters.limit("quarantine", exchange.client);
        this.#settlement.fail(exchange, code, undefined, retryAfterMs);
      },
      overloaded: (exchange, setting) => this.#settlement.overloaded(exchange, setting),
    });
    const parts = { lanes: this.#lanes, line: this.#line, recovery: this.#recovery };
    this.#settlement = new Settlement({
      ...parts,
      counters: options.counters,
      overloadLog: this.#overloadLog,
    });
    const { clock, spool, responseCreditBytes, blocks } = options;
    this.#placement = new Placement({ ...parts, clock, settlement: this.#settlement });
    this.#replies = new Replies({
      ...parts,
      clock,
      spool,
      responseCreditBytes,
      blocks,
      settlement: this.#settlement,
      placement: this.#placement,
      onDiskError: (exchange, cause) =>
        this.#logDisk(exchange, cause, "cannot spool a response body"),
    });
    this.#timeouts = new RequestTimeouts({
      ...options,
      lanes: this.#lanes,
      settlement: this.#settlement,
    });
    this.#sweep = setInterval(() => this.#expire(performance.now()), SWEEP_MS);
    this.#sweep.unref();
  }

  /** Exchanges that wait for a worker, and that workers have. */
  get load(): { queued: number; inFlight: number } {
    return { queued: this.#line.size + this.#recovery.held, inFlight: this.#lanes.inFlight };
  }

  /** Workers that take new exchanges, if only suspects for the moment. */
  get readyWorkers(): number {
    return this.#lanes.ready.length + this.#recovery.isolation.kept;
  }

  /** For how long the exchange that waits longest has waited for a worker. */
  queueAgeMs(nowMs: number): number {
    const longest = this.#line.peek();
    return longest === undefined ? 0 : nowMs - longest.sinceMs;
  }

  /** Whether no worker will be there for a while: then nothing waits for one, and what did is told so. */
  markDown(isDown: boolean): void {
    this.#placement.markDown(isDown);
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
    client.onAbort(() => this.#placement.abandon(exchange));
    this.#settlement.begin();
    if (this.#counters.admitted > this.#maxRequests && !exchange.reserved) {
      this.#settlement.overloaded(exchange, "maxRequests");
      return;
    }
    try {
      if (client.head.bodyBytes === 0) this.#placement.place(exchange);
      else this.#takeIn(exchange, to.bodyLimitBytes);
    } catch (error) {
      // A bug of ours, answered by whoever catches it; `idle` must not wait for this one for ever.
      if (exchange.state !== "settled") this.#settlement.settle(exchange);
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
    client.onAbort(() => this.#placement.abandon(exchange));
    this.#settlement.begin();
    if (this.#lanes.attached.has(lane)) this.#placement.dispatch(exchange, lane);
    else this.#settlement.fail(exchange, "ERR_WORKER_EXITED");
  }

  /** A worker is ready: it takes part from now on. */
  attach(workerId: WorkerId, channel: Channel<ToPrimary, ToWorker>): Lane {
    const lane = new Lane(workerId, channel, this.#options.workerConcurrency);
    this.#lanes.attach(lane);
    this.#placement.pump();
    return lane;
  }

  /** A worker takes no new exchanges; what it has in flight may still be answered. */
  retire(lane: Lane): void {
    this.#lanes.retire(lane);
    this.#recovery.isolation.retire(lane);
  }

  /** A worker is silent: it gets nothing new until it speaks again. What nobody else takes waits in the queue. */
  stall(lane: Lane): void {
    this.#lanes.stall(lane);
  }

  /** A worker that was silent speaks again. */
  recover(lane: Lane): void {
    if (this.#lanes.recover(lane)) this.#placement.pump();
  }

  /** What a worker has in flight, and what it may still be busy with though nobody waits for it; oldest first. */
  workOf(lane: Lane): Work[] {
    return toWork(lane, this.#options.clock.now());
  }

  /** A worker is gone: what it had in flight goes to another one where that is safe, and fails where it is not. */
  detach(lane: Lane, loss: Loss): LossOutcome {
    this.retire(lane);
    this.#lanes.detach(lane);
    const inFlight = lane.inFlight.values();
    lane.inFlight.clear();
    const outcome = this.#recovery.rescue(lane, inFlight, loss, this.#options.clock.now());
    this.#placement.pumpHeld();
    return outcome;
  }

  /**
   * A worker says something of an exchange. What it says of one that is settled already is dropped.
   *
   * @throws RuntimeError `ERR_PROTOCOL` for what an exchange in its state does not expect.
   */
  receive(lane: Lane, message: ExchangeMessage): void {
    this.#replies.receive(lane, message);
  }

  /** Resolves when every admitted exchange is settled. */
  idle(): Promise<void> {
    return this.#settlement.idle();
  }

  /**
   * Ends the wait of everything that is queued or in flight, and of what is still received once it is.
   *
   * @param options.graceMs It has had this time to be answered, as the setting says; absent: it is ended without.
   */
  close(code: ErrorCode, { graceMs }: { graceMs?: number } = {}): void {
    clearInterval(this.#sweep);
    if (graceMs !== undefined) this.#endGrace(graceMs);
    this.#placement.close(code);
    for (const lane of this.#lanes.attached) {
      for (const { id, state } of lane.inFlight.values()) {
        if (state !== "settled") lane.channel.send([Kind.abort, id, "shutdown"]);
      }
      this.retire(lane);
      for (const exchange of lane.inFlight.values()) this.#settlement.fail(exchange, code);
      lane.inFlight.clear();
      this.#lanes.detach(lane);
    }
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
        this.#placement.place(exchange);
      },
      onOverflow: () => {
        exchange.body = BODY_FOLLOWS;
        this.#placement.place(exchange);
      },
      onRefused: (code, cause) => {
        if (code === "ERR_SPOOL") this.#logDisk(exchange, cause, "cannot spool a request body");
        this.#counters.limit(BODY_REFUSALS[code], exchange.client);
        this.#settlement.fail(
          exchange,
          code,
          code === "ERR_BODY_TOO_LARGE" ? "body-too-large" : "client-left",
        );
        this.#placement.pump();
      },
    });
    exchange.intake = intake;
    intake.start(exchange.client);
  }

  #endGrace(graceMs: number): void {
    this.#settlement.endGrace(performance.now());
    const left = [...this.#lanes.attached].flatMap(({ inFlight }) =>
      [...inFlight.values()].filter(({ state }) => state !== "settled"),
    );
    const exchanges = left.length + this.load.queued;
    if (exchanges === 0) return;
    const [first] = left;
    const fields = {
      exchanges,
      ...(first === undefined ? {} : { first: this.#options.routes.describe(first) }),
      setting: "drainGrace",
      graceMs,
    };
    this.#options.log.warn(fields, "requests cut off: they took longer than the grace");
  }

  #logDisk(exchange: Exchange, cause: unknown, message: string): void {
    const fields = { err: cause, ...this.#options.routes.describe(exchange), code: "ERR_SPOOL" };
    this.#options.log.error(fields, message);
  }

  #expire(nowMs: number): void {
    const { queueTimeoutMs } = this.#options;
    this.#line.drain(nowMs - queueTimeoutMs, (exchange) => {
      this.#settlement.overloaded(exchange, "queueTimeout");
    });
    this.#recovery.expire(nowMs);
    if (this.#overloadLog.isDue(nowMs)) this.#overloadLog.write(this.load, nowMs);
    this.#timeouts.expire(nowMs);
    this.#placement.pump();
    this.#placement.probeAll(nowMs);
  }
}
