import type { Channel } from "../channel/channel.ts";
import type { ExchangeMessage, ToPrimary, ToWorker, WorkerId } from "../channel/messages.ts";
import { BODY_FOLLOWS, Kind } from "../channel/messages.ts";
import type { ErrorCode } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import type { Counters } from "../observe/counters.ts";
import type { TurnClock } from "../lib/turn-clock.ts";
import type { BlockPool } from "../bodies/block-pool.ts";
import type { Client } from "../http/client.ts";
import type { FileSender } from "../http/file-sender.ts";
import { Exchange, type ExchangeOptions } from "./exchange.ts";
import { Lane } from "./lane.ts";
import { Lanes } from "./lanes.ts";
import { OverloadLog } from "./overload-log.ts";
import type { PassOnResult } from "./pass-on.ts";
import { Placement } from "./placement.ts";
import { type LossOutcome, type Loss, Recovery, type RoutePolicy } from "../recovery/recovery.ts";
import { type OnUpgrade, type OpenTopics, Replies } from "./replies.ts";
import type { RequestIntake } from "../bodies/request-intake.ts";
import { RequestTimeouts } from "./request-timeouts.ts";
import { Settlement } from "./settlement.ts";
import type { Spool } from "../bodies/spool.ts";
import { WaitingLine } from "./waiting-line.ts";
import { toWork, type Work } from "./work.ts";

/** How often the dispatcher checks the age of queued and dispatched exchanges. */
const SWEEP_MS = 250;

/** The counter of each reason for which a request body is refused. */
const BODY_REFUSALS = {
  ERR_BODY_TOO_LARGE: "bodyLimit",
  ERR_OVERLOADED: "bodyRoom",
  ERR_SPOOL: "bodyDisk",
} as const;

export interface DispatcherOptions {
  log: Logger;
  clock: TurnClock;
  /** Most exchanges in flight on one worker. */
  workerConcurrency: number;
  /** Most exchanges that wait for a worker. */
  queueLimit: number;
  /** An exchange whose expected wait is longer is refused at once. 0: the expected wait does not matter. */
  queueDelayMs: number;
  /** Longest time that an exchange waits for a worker. */
  queueTimeoutMs: number;
  /** Holds the responses that wait on disk. */
  spool: Spool;
  /** Bytes of a response's body that a worker may send before the client, or the disk, has taken any of them. */
  responseCreditBytes: number;
  /** Memory for response bytes that wait for the client. */
  blocks: BlockPool;
  counters: Counters;
  /** Called for each exchange that had to wait for a worker, when a worker gets it. */
  onWaited?: (ms: number, exchange: Exchange) => void;
  /** Whether workers measure their handlers. */
  measures?: boolean;
  /** Sends files that workers hand over. Without it, a worker sends their bytes. */
  files?: FileSender;
  /** Makes WebSockets of requests. Without it, such a request is answered 500. */
  onUpgrade?: OnUpgrade;
  /** Opens event streams of topics. Without it, such a request is answered 500. */
  openTopics?: OpenTopics;
  /** How long the dispatcher remembers a request that was in flight when a worker was lost; 0: it remembers none. */
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
 * Invariants:
 *
 * - The state of an exchange says where it is: in the line, in one lane's `inFlight`, held by `recovery.ts`, or
 *   nowhere.
 * - A detached lane has nothing in flight.
 * - An exchange leaves `inFlight` when it is settled. The exception: after an abort it stays, already settled, until
 *   the worker confirms the abort. A worker with a blocked event loop therefore stays busy for the balancer.
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
  readonly #counters: Counters;
  readonly #overloadLog: OverloadLog;
  readonly #sweep: NodeJS.Timeout;

  constructor(options: DispatcherOptions) {
    this.#options = options;
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
    this.#placement = new Placement({
      ...parts,
      clock,
      settlement: this.#settlement,
      onWaited: options.onWaited ?? (() => {}),
    });
    this.#replies = new Replies({
      ...parts,
      clock,
      spool,
      responseCreditBytes,
      blocks,
      settlement: this.#settlement,
      placement: this.#placement,
      files: options.files ?? null,
      measures: options.measures ?? false,
      onUpgrade: options.onUpgrade ?? null,
      openTopics: options.openTopics ?? null,
      onDiskError: (exchange, cause) =>
        this.#logDisk(exchange, cause, "cannot spool a response body"),
      onPassOn: (exchange, result) => this.#logPassOn(exchange, result),
    });
    this.#timeouts = new RequestTimeouts({
      ...options,
      lanes: this.#lanes,
      settlement: this.#settlement,
    });
    this.#sweep = setInterval(() => this.#expire(performance.now()), SWEEP_MS);
    this.#sweep.unref();
  }

  /** The number of exchanges that wait for a worker, and of those that workers have. */
  get load(): { queued: number; inFlight: number } {
    return { queued: this.#line.size + this.#recovery.held, inFlight: this.#lanes.inFlight };
  }

  /** The number of workers that take new exchanges, including workers that are kept for suspects. */
  get readyWorkers(): number {
    return this.#lanes.ready.length + this.#recovery.isolation.kept;
  }

  /** How long the oldest queued exchange has waited. 0: the queue is empty. */
  queueAgeMs(nowMs: number): number {
    const { oldest } = this.#line;
    return oldest === undefined ? 0 : nowMs - oldest.sinceMs;
  }

  /** Notes whether the pool is without workers for a while. Then queued and new exchanges are refused at once. */
  markDown(isDown: boolean): void {
    this.#placement.markDown(isDown);
  }

  /** Takes responsibility for a request whose route is known: it gets exactly one answer unless its client leaves. */
  admit(client: Client, options: ExchangeOptions): void {
    const exchange = this.#begin(client, options);
    try {
      if (exchange.intake === null) this.#placement.place(exchange);
      else this.#takeIn(exchange, exchange.intake);
    } catch (error) {
      // A bug in Edgicorn. The caller answers the request; `idle` must not wait for this exchange forever.
      if (exchange.state !== "settled") this.#settlement.settle(exchange);
      throw error;
    }
  }

  /**
   * Sends a request without a body to one given worker, past the queue and its present work. A reload tries new workers
   * this way.
   */
  admitTo(lane: Lane, client: Client, options: ExchangeOptions): void {
    const exchange = this.#begin(client, options);
    if (this.#lanes.attached.has(lane)) this.#placement.dispatch(exchange, lane);
    else this.#settlement.fail(exchange, "ERR_WORKER_EXITED");
  }

  /**
   * Adds a worker that is ready. It takes exchanges from now on.
   *
   * @param options.threads Number of exchanges that it can run at a time; `null`: its event loop decides.
   * @param options.pid Its process id, for files that it hands over.
   */
  attach(
    workerId: WorkerId,
    channel: Channel<ToPrimary, ToWorker>,
    { threads = null, pid = 0 }: { threads?: number | null; pid?: number } = {},
  ): Lane {
    const most = this.#options.workerConcurrency;
    const lane = new Lane(workerId, channel, { most, threads, pid });
    this.#lanes.attach(lane);
    this.#placement.pump();
    return lane;
  }

  /** Gives a worker no new exchanges. The worker may still answer its exchanges in flight. */
  retire(lane: Lane): void {
    this.#lanes.retire(lane);
    this.#recovery.isolation.retire(lane);
  }

  /**
   * Tells a retired worker to abort its exchanges, shortly before it is killed, so that its code can end in order.
   *
   * Decides nothing about the exchanges: they stay in flight until `detach`, and have the outcome that they would have
   * without this call. An answer that the worker sent before it read the abort still counts.
   *
   * @param options.graceMs The grace that the exchanges had, for the log.
   */
  cutOff(lane: Lane, { graceMs }: { graceMs: number }): void {
    if (lane.isCutOff || !this.#lanes.attached.has(lane)) return;
    lane.isCutOff = true;
    const left = unsettledOf(lane);
    for (const { id } of left) lane.channel.send([Kind.abort, id, "retired"]);
    const [first] = left;
    if (first === undefined) return;
    const { log, routes } = this.#options;
    const { workerId } = lane;
    const fields = { workerId, exchanges: left.length, first: routes.describe(first), graceMs };
    log.warn(fields, "requests cut off: their worker is replaced, and they took longer");
  }

  /**
   * Gives a silent worker nothing new until it sends something. Meanwhile new exchanges go to other workers or queue.
   */
  stall(lane: Lane): void {
    this.#lanes.stall(lane);
  }

  /** Gives exchanges again to a worker that was silent. */
  resume(lane: Lane): void {
    if (this.#lanes.resume(lane)) this.#placement.pump();
  }

  /**
   * Returns a worker's exchanges in flight, oldest first. They include aborted exchanges that the worker may still be
   * running.
   */
  workOf(lane: Lane): Work[] {
    return toWork(lane, this.#options.clock.now());
  }

  /** Removes a lost worker. Its exchanges go to another worker where that is safe, and fail where it is not. */
  detach(lane: Lane, loss: Loss): LossOutcome {
    this.retire(lane);
    this.#lanes.detach(lane);
    const inFlight = lane.inFlight.values();
    lane.inFlight.clear();
    const outcome = this.#recovery.rescue(lane, inFlight, loss, this.#options.clock.now());
    this.#placement.pumpHeld();
    return outcome;
  }

  /** Returns the function that handles a worker's messages about exchanges. See `Replies.receive`. */
  receiverOf(lane: Lane): (message: ExchangeMessage) => void {
    const replies = this.#replies;
    return (message) => replies.receive(lane, message);
  }

  /** Resolves when every admitted exchange is settled. */
  idle(): Promise<void> {
    return this.#settlement.idle();
  }

  /**
   * Fails all exchanges that are queued or in flight. Exchanges whose body is still being received fail once it is
   * here.
   *
   * @param options.graceMs The grace that the exchanges have had, for the log; absent: they had none.
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

  #begin(client: Client, options: ExchangeOptions): Exchange {
    const exchange = new Exchange(client, options);
    client.onAbort(() => this.#placement.abandon(exchange));
    this.#settlement.begin();
    return exchange;
  }

  #takeIn(exchange: Exchange, intake: RequestIntake): void {
    intake.start(exchange.client, {
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
  }

  #endGrace(graceMs: number): void {
    this.#settlement.endGrace(performance.now());
    const left = [...this.#lanes.attached].flatMap(unsettledOf);
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

  #logPassOn(exchange: Exchange, result: PassOnResult): void {
    const { log, routes } = this.#options;
    const request = routes.describe(exchange);
    const { by } = result;
    if (by === null) {
      log.warn({ ...request, why: result.why }, "request of a failed handler not passed on");
      return;
    }
    this.#counters.passedOn++;
    log.warn({ ...request, by }, "request passed on: its handler failed");
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

/** Returns the exchanges of a worker without those that only wait for the confirmation of an abort. */
function unsettledOf({ inFlight }: Lane): Exchange[] {
  return [...inFlight.values()].filter(({ state }) => state !== "settled");
}
