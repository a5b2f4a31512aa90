import type { RouteNumber } from "../channel/messages.ts";
import { BODY_FOLLOWS } from "../channel/messages.ts";
import type { ErrorCode } from "../lib/errors.ts";
import { assertNever } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import type { Exchange, Trouble } from "../dispatch/exchange.ts";
import { Isolation, type IsolatedRun } from "./isolation.ts";
import type { Lane } from "../dispatch/lane.ts";
import { fingerprintOf, Quarantine } from "./quarantine.ts";
import { BoundedQueue } from "../lib/bounded-queue.ts";
import { type Blame, judge, mayRunTwice } from "./replay-policy.ts";

/** How a worker was lost. */
export interface Loss {
  /** The error of exchanges that fail because of the loss. */
  code: ErrorCode;
  /** The worker ended by its own doing, for example by a crash: one of its exchanges may be the cause. */
  ownDoing: boolean;
}

/** The result for a lost worker's exchanges in flight. */
export interface LossOutcome {
  failed: number;
  /** These wait for another worker, or have one. */
  replayed: number;
  /** The first exchange that failed. */
  firstFailed: Exchange | null;
}

/** A route's properties that matter after a loss. */
export interface RoutePolicy {
  /** Whether the route's requests may run twice; `null`: the handler does not declare it. */
  mayReplay: (route: RouteNumber, method: string) => boolean | null;
  /** Returns the fields that name a request in the log. */
  describe: (exchange: Exchange) => object;
}

export interface RecoveryOptions {
  log: Logger;
  /** Most suspects that wait. */
  queueLimit: number;
  /** An exchange whose expected wait is longer is refused at once. 0: the expected wait does not matter. */
  queueDelayMs: number;
  /**
   * Longest time that an exchange waits here. A suspect whose route has a request timeout may wait until that timeout
   * instead.
   */
  queueTimeoutMs: number;
  /** How long the quarantine remembers a request that was in flight at a crash; 0: it remembers none. */
  quarantineMs: number;
  routes: RoutePolicy;
  /** Ends an exchange that no worker has. */
  fail: (exchange: Exchange, code: ErrorCode, retryAfterMs?: number) => void;
  /** Ends an exchange that has waited too long, or that finds the queue full. */
  overloaded: (exchange: Exchange, setting: "queueLimit" | "queueTimeout") => void;
}

const NO_TROUBLE: Readonly<Trouble> = {
  firstMs: null,
  crashes: 0,
  losses: 0,
  suspected: false,
  alone: false,
};

/**
 * Handles the exchanges of lost workers: decides which of them are dispatched again, and isolates those that may be the
 * cause.
 *
 * Invariant: an exchange is in `again` or among the waiting suspects if and only if its state is `held`. `again`
 * needs no bound of its own: all its exchanges were dispatched before, and while it has any, no new exchange is
 * dispatched.
 */
export class Recovery {
  readonly isolation: Isolation;
  readonly #options: RecoveryOptions;
  readonly #quarantine: Quarantine;
  /** Exchanges that wait for any worker, before all others. */
  readonly again = new BoundedQueue<Exchange>(Number.POSITIVE_INFINITY);

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#quarantine = new Quarantine({ durationMs: options.quarantineMs });
    this.isolation = new Isolation(options);
  }

  /** How many exchanges are held here. */
  get held(): number {
    return this.again.size + this.isolation.waiting.size;
  }

  /** Whether callers must pass new exchanges to `divert`. */
  get isWatching(): boolean {
    return this.#quarantine.size > 0;
  }

  /** Holds an exchange that its worker gave back, for any other one. */
  holdAgain(exchange: Exchange, nowMs: number): void {
    exchange.state = "held";
    exchange.sinceMs = nowMs;
    this.again.push(exchange);
  }

  /** Holds or refuses a new exchange that is suspect or quarantined. Returns false for all others. */
  divert(exchange: Exchange, nowMs: number): boolean {
    const standing = this.#quarantine.lookUp(exchange, nowMs);
    switch (standing.kind) {
      case "unknown":
        return false;
      case "quarantined":
        this.#options.fail(exchange, "ERR_QUARANTINED", standing.forMs);
        return true;
      case "suspect":
        exchange.trouble = { ...NO_TROUBLE, suspected: true, alone: true };
        if (!this.#isolate(exchange, nowMs)) this.#options.overloaded(exchange, "queueLimit");
        return true;
      default:
        return assertNever(standing);
    }
  }

  /** Handles a lost worker's exchanges, which the caller has removed from its lane. */
  rescue(lane: Lane, inFlight: readonly Exchange[], loss: Loss, nowMs: number): LossOutcome {
    let run = this.isolation.detach(lane);
    // A suspect that was isolated only because its workers were killed is no more likely to be the cause than the
    // others.
    if (run?.isAlone === false && run.suspect.trouble?.suspected !== true) run = null;
    const outcome: LossOutcome = { failed: 0, replayed: 0, firstFailed: null };
    for (const exchange of inFlight) {
      // An exchange that is settled already, after a timeout or because its client left, may be the cause too.
      const isSuspicious = loss.ownDoing && exchange.state !== "answering";
      const blame = isSuspicious ? this.#suspect(exchange, run, nowMs) : "open";
      if (exchange.state === "settled") continue;
      // While a file is opened, no byte has left.
      const isUnanswered = exchange.state === "dispatched" || exchange.state === "opening";
      if (isUnanswered && this.#retry(exchange, { blame, loss, nowMs })) {
        outcome.replayed++;
      } else {
        outcome.failed++;
        outcome.firstFailed ??= exchange;
        this.#options.fail(exchange, loss.code);
      }
    }
    return outcome;
  }

  /** Clears an isolated exchange that its worker has answered, and all suspects that are like it. */
  clear(lane: Lane, exchange: Exchange): void {
    if (exchange.trouble?.alone !== true) return;
    this.isolation.finish(lane, exchange);
    this.#quarantine.clear(exchange);
    for (const other of this.isolation.waiting.like(exchange)) {
      this.isolation.waiting.remove(other);
      this.again.push(other);
      if (other.trouble !== null) other.trouble.suspected = other.trouble.alone = false;
    }
  }

  /** Drops the body of an exchange that will not run again. Computes its fingerprint first. */
  dropBody(exchange: Exchange): void {
    if (exchange.body === BODY_FOLLOWS || exchange.body === null) return;
    const isKnown = this.#quarantine.enabled && fingerprintOf(exchange) !== null;
    // An exchange without a fingerprint must not pass for one without a body.
    exchange.body = isKnown ? null : BODY_FOLLOWS;
  }

  /** Removes an exchange that waits here. */
  remove(exchange: Exchange): void {
    this.again.remove(exchange);
    this.isolation.waiting.remove(exchange);
  }

  /** Fails exchanges that have waited too long, and forgets old suspects. */
  expire(nowMs: number): void {
    if (this.#quarantine.size > 0) this.#quarantine.expire(nowMs);
    if (this.held === 0) return;
    for (const exchange of this.again) this.#expireOne(exchange, nowMs);
    for (const exchange of this.isolation.waiting) this.#expireOne(exchange, nowMs);
  }

  /** Fails all exchanges that wait here. */
  failAll(code: ErrorCode): void {
    for (const waiting of [this.again, this.isolation.waiting]) {
      for (const exchange of waiting) this.#options.fail(exchange, code);
    }
  }

  #expireOne(exchange: Exchange, nowMs: number): void {
    const { sinceMs, timeoutMs, trouble } = exchange;
    const firstMs = trouble?.firstMs ?? nowMs;
    if (timeoutMs > 0 && nowMs - firstMs > timeoutMs) {
      this.#options.fail(exchange, "ERR_HANDLER_TIMEOUT");
      return;
    }
    // Suspects run one by one, which may take long. Their clients expect to wait this long anyway.
    const waitsOutItsTime = trouble?.alone === true && trouble.firstMs !== null && timeoutMs > 0;
    if (waitsOutItsTime || nowMs - sinceMs <= this.#options.queueTimeoutMs) return;
    this.#options.overloaded(exchange, "queueTimeout");
  }

  /** Remembers an exchange that may be, or is, the cause of a lost worker. Returns the blame. */
  #suspect(exchange: Exchange, run: IsolatedRun | null, nowMs: number): Blame {
    if (!this.#quarantine.enabled) return "open";
    const isAnother = run !== null && exchange !== run.suspect;
    if (isAnother || (run === null && exchange.trouble?.suspected !== true)) {
      this.#quarantine.mark(exchange, nowMs);
      return isAnother ? "another" : "open";
    }
    // Not alone: the suspect began beside exchanges that had run for a while, or others joined it. Only the suspect was
    // suspected before.
    const isProven = run?.isAlone === true || this.#quarantine.noteSuspicion(exchange, nowMs);
    if (!isProven) return "open";
    this.#quarantineAll(exchange, nowMs);
    return "it";
  }

  /** Refuses an exchange, and all that are like it, for a while. */
  #quarantineAll(exchange: Exchange, nowMs: number): void {
    const quarantineMs = this.#quarantine.quarantine(exchange, nowMs);
    const request = this.#options.routes.describe(exchange);
    const fields = { ...request, quarantineMs, code: "ERR_QUARANTINED" };
    this.#options.log.error(fields, "request crashes workers: all requests like it are refused");
    for (const other of this.isolation.waiting.like(exchange)) {
      this.#options.fail(other, "ERR_QUARANTINED", quarantineMs);
    }
  }

  /** Dispatches a lost exchange again if that is safe. Returns false if it is not. */
  #retry(
    exchange: Exchange,
    { blame, loss, nowMs }: { blame: Blame; loss: Loss; nowMs: number },
  ): boolean {
    const { body, client, intake, route } = exchange;
    const isHere = body !== BODY_FOLLOWS || intake?.rereadable === true;
    const { method, fields } = client.head;
    const trouble = exchange.trouble ?? { ...NO_TROUBLE };
    const declared = this.#options.routes.mayReplay(route, method);
    const replayable = isHere && mayRunTwice(method, fields, declared);
    const verdict = judge(
      { ...trouble, replayable, blame },
      { ownDoing: loss.ownDoing, quarantine: this.#quarantine.enabled },
    );
    if (verdict === "fail") return false;
    trouble.firstMs ??= exchange.sinceMs;
    if (loss.ownDoing) trouble.crashes++;
    else trouble.losses++;
    trouble.alone = verdict === "isolate";
    trouble.suspected ||= loss.ownDoing && trouble.alone;
    exchange.trouble = trouble;
    exchange.lane = null;
    if (trouble.alone) {
      if (this.#isolate(exchange, nowMs)) return true;
      // Too many suspects wait. An exchange that may have crashed a worker must not run among others.
      if (trouble.suspected) return false;
      trouble.alone = false;
    }
    this.#hold(exchange, nowMs);
    return this.again.push(exchange);
  }

  /** Queues a suspect. Returns false when too many wait. */
  #isolate(exchange: Exchange, nowMs: number): boolean {
    if (!this.isolation.waiting.push(exchange)) return false;
    this.#hold(exchange, nowMs);
    return true;
  }

  #hold(exchange: Exchange, nowMs: number): void {
    exchange.state = "held";
    exchange.sinceMs = nowMs;
  }
}
