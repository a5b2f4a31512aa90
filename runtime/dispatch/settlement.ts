import { type AbortReason, Kind } from "../channel/messages.ts";
import type { ErrorCode } from "../lib/errors.ts";
import { statusOf } from "../lib/errors.ts";
import type { Counters } from "../observe/counters.ts";
import { Waiters } from "../lib/waiters.ts";
import type { Exchange } from "./exchange.ts";
import type { Lane } from "./lane.ts";
import type { OverloadLog, OverloadSetting } from "./overload-log.ts";
import type { Recovery } from "../recovery/recovery.ts";
import type { WaitingLine } from "./waiting-line.ts";

const RETRY_AFTER_MS = 1_000;

export interface SettlementOptions {
  counters: Counters;
  overloadLog: OverloadLog;
  line: WaitingLine;
  recovery: Recovery;
}

/** Ends exchanges, each exactly once. Removes them from their queue or worker, and refuses them if they have no answer. */
export class Settlement {
  readonly #counters: Counters;
  readonly #overloadLog: OverloadLog;
  readonly #line: WaitingLine;
  readonly #recovery: Recovery;
  /** Exchanges that are admitted and not settled. */
  #open = 0;
  readonly #idleWaiters = new Waiters();
  /** When the grace for open exchanges ended; `null`: it has not. */
  #graceEndMs: number | null = null;

  constructor({ counters, overloadLog, line, recovery }: SettlementOptions) {
    this.#counters = counters;
    this.#overloadLog = overloadLog;
    this.#line = line;
    this.#recovery = recovery;
  }

  /** Counts one more admitted exchange. */
  begin(): void {
    this.#open++;
    this.#counters.admitted++;
  }

  /** Resolves when every admitted exchange is settled. */
  idle(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : this.#idleWaiters.wait();
  }

  /** Notes the end of the grace. From now on, refusals of older exchanges count under `drainGrace`. */
  endGrace(nowMs: number): void {
    this.#graceEndMs = nowMs;
  }

  settle(exchange: Exchange): void {
    const { lane, state } = exchange;
    if (state === "queued") this.#line.remove(exchange);
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

  /** Ends an exchange with an error. With a `reason`, tells its worker to abort it. */
  fail(
    exchange: Exchange,
    code: ErrorCode,
    reason?: AbortReason,
    retryAfterMs = RETRY_AFTER_MS,
  ): void {
    if (exchange.state === "settled") return;
    const { client } = exchange;
    const hadGrace = this.#graceEndMs !== null && client.receivedMs <= this.#graceEndMs;
    if (hadGrace && code === "ERR_DRAINING") this.#counters.limit("drainGrace", client);
    const { lane, feed } = exchange;
    this.settle(exchange);
    if (lane !== null && reason !== undefined) this.#sendAbort(lane, exchange, reason);
    const status = statusOf(code);
    if (feed !== null) {
      feed.fail(status);
      return;
    }
    const retryAfterSeconds = Math.ceil(retryAfterMs / 1_000);
    client.refuse(status, status === 503 ? { retryAfterSeconds } : {});
  }

  /** Ends an exchange that a limit refuses, or whose wait a limit ends. */
  overloaded(exchange: Exchange, setting: OverloadSetting): void {
    this.#counters.limit(setting, exchange.client);
    this.#overloadLog.note(setting);
    this.fail(exchange, "ERR_OVERLOADED");
  }

  /** Ends an exchange whose client has left. Tells its worker to abort it. */
  abandon(exchange: Exchange): void {
    const { lane } = exchange;
    this.settle(exchange);
    if (lane !== null) this.#sendAbort(lane, exchange, "client-left");
  }

  /** Tells a worker to abort an exchange. It stays in flight there until the worker confirms. */
  #sendAbort(lane: Lane, exchange: Exchange, reason: AbortReason): void {
    this.#recovery.dropBody(exchange);
    lane.inFlight.add(exchange);
    lane.channel.send([Kind.abort, exchange.id, reason]);
  }
}
