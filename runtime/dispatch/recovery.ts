import type { RouteNumber } from "../channel/messages.ts";
import { BODY_FOLLOWS } from "../channel/messages.ts";
import type { ErrorCode } from "../errors.ts";
import { assertNever } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Exchange, Trouble } from "./exchange.ts";
import { Isolation, type IsolatedRun } from "./isolation.ts";
import type { Lane } from "./lane.ts";
import { fingerprintOf, Quarantine } from "./quarantine.ts";
import { BoundedQueue } from "./queue.ts";
import { type Blame, judge, mayRunTwice } from "./replay-policy.ts";

/** How a worker was lost. */
export interface Loss {
  /** What fails for it fails with this. */
  code: ErrorCode;
  /** Whether it ended by its own doing, so that something it had in flight may be why. */
  ownDoing: boolean;
}

/** What became of what a lost worker had in flight. */
export interface LossOutcome {
  failed: number;
  /** They wait for another worker, or have one. */
  replayed: number;
  /** The first of those that failed. */
  firstFailed: Exchange | null;
}

/** What the handlers of a route say of it. */
export interface RoutePolicy {
  /** Whether its requests may run twice; `null`: they do not say. */
  mayReplay: (route: RouteNumber, method: string) => boolean | null;
  /** Names a request of it in the log. */
  describe: (exchange: Exchange) => object;
}

export interface RecoveryOptions {
  log: Logger;
  /** Most suspects that wait. */
  queueLimit: number;
  /** Longest that anything is let wait, as far as that can be foreseen. 0: any wait will do. */
  queueDelayMs: number;
  /** Longest that an exchange waits here. One that has run may wait for as long as it may take, if that is bounded. */
  queueTimeoutMs: number;
  /** How long a request is remembered that was there when a worker was lost; 0: none is. */
  quarantineMs: number;
  routes: RoutePolicy;
  /** Ends an exchange that is not in the hands of any worker. */
  fail: (exchange: Exchange, code: ErrorCode, retryAfterMs?: number) => void;
  /** Ends one that waits in vain. */
  overloaded: (exchange: Exchange, setting: "queueLimit" | "queueTimeout") => void;
}

/**
 * Sees exchanges through the loss of their workers: decides which are dispatched once more, and keeps those apart that
 * may be why.
 *
 * Invariant: an exchange is in `#again` or among the suspects that wait if and only if it is `held`. `#again` needs no
 * bound of its own: what is in it was dispatched once, and while it holds any, nothing new is dispatched.
 */
export class Recovery {
  readonly isolation: Isolation;
  readonly #options: RecoveryOptions;
  readonly #quarantine: Quarantine;
  /** They wait for any worker, before all others. */
  readonly #again = new BoundedQueue<Exchange>(Number.POSITIVE_INFINITY);

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#quarantine = new Quarantine({ durationMs: options.quarantineMs });
    this.isolation = new Isolation(options);
  }

  /** How many exchanges it holds. */
  get held(): number {
    return this.#again.size + this.isolation.waiting.size;
  }

  /** Whether `divert` has to be asked. */
  get isWatching(): boolean {
    return this.#quarantine.size > 0;
  }

  /** Whether exchanges wait here for any worker. */
  get isWaiting(): boolean {
    return this.#again.size > 0;
  }

  /** How many do, and since when the first of them has. */
  get others(): { held: number; heldSinceMs: number | null } {
    return { held: this.#again.size, heldSinceMs: this.#again.peek()?.sinceMs ?? null };
  }

  /** The next one that any worker may have. */
  shift(): Exchange | undefined {
    return this.#again.shift();
  }

  /** Takes a new exchange into its own hands if it looks like one that workers were lost with; false: it does not. */
  divert(exchange: Exchange, nowMs: number): boolean {
    const standing = this.#quarantine.lookUp(exchange, nowMs);
    switch (standing.kind) {
      case "unknown":
        return false;
      case "quarantined":
        this.#options.fail(exchange, "ERR_QUARANTINED", standing.forMs);
        return true;
      case "suspect":
        exchange.trouble = { firstMs: null, crashes: 0, losses: 0, suspected: true, alone: true };
        if (!this.#isolate(exchange, nowMs)) this.#options.overloaded(exchange, "queueLimit");
        return true;
      default:
        return assertNever(standing);
    }
  }

  /** A worker was lost that had these in flight; none of them is in its hands any more. */
  rescue(lane: Lane, inFlight: readonly Exchange[], loss: Loss, nowMs: number): LossOutcome {
    const held = this.isolation.runOn(lane);
    // One that was set apart for bad luck only is no more likely to be why than what was with it.
    const mayBeCause = held?.isAlone === true || held?.suspect.trouble?.suspected === true;
    const run = mayBeCause ? held : null;
    this.isolation.detach(lane);
    const outcome: LossOutcome = { failed: 0, replayed: 0, firstFailed: null };
    for (const exchange of inFlight) {
      // One whose client has left, or has waited long enough, may be what the worker was lost with as well.
      const isSuspicious = loss.ownDoing && exchange.state !== "answering";
      const blame = isSuspicious ? this.#suspect(exchange, run, nowMs) : "open";
      if (exchange.state === "settled") continue;
      if (exchange.state === "dispatched" && this.#retry(exchange, { blame, loss, nowMs })) {
        outcome.replayed++;
      } else {
        outcome.failed++;
        outcome.firstFailed ??= exchange;
        this.#options.fail(exchange, loss.code);
      }
    }
    return outcome;
  }

  /** A worker has answered an exchange that was in trouble, and lives: it and those like it are as good as any. */
  clear(lane: Lane, exchange: Exchange): void {
    if (exchange.trouble?.alone !== true) return;
    this.isolation.finish(lane, exchange);
    this.#quarantine.clear(exchange);
    for (const other of this.isolation.waiting.like(exchange)) {
      this.isolation.waiting.remove(other);
      this.#again.push(other);
      if (other.trouble !== null) other.trouble.suspected = other.trouble.alone = false;
    }
  }

  /** Its body is needed no more; what it is recognised by may be. */
  dropBody(exchange: Exchange): void {
    if (exchange.body === BODY_FOLLOWS || exchange.body === null) return;
    const isKnown = this.#quarantine.enabled && fingerprintOf(exchange) !== null;
    // Without its body it must not be taken for one that has none.
    exchange.body = isKnown ? null : BODY_FOLLOWS;
  }

  /** It waits no more. */
  remove(exchange: Exchange): void {
    this.#again.remove(exchange);
    this.isolation.waiting.remove(exchange);
  }

  /** Fails what has waited too long, and forgets what was long ago. */
  expire(nowMs: number): void {
    if (this.#quarantine.size > 0) this.#quarantine.expire(nowMs);
    if (this.held === 0) return;
    for (const exchange of this.#again) this.#expireOne(exchange, nowMs);
    for (const exchange of this.isolation.waiting) this.#expireOne(exchange, nowMs);
  }

  /** Fails all that waits. */
  failAll(code: ErrorCode): void {
    for (const waiting of [this.#again, this.isolation.waiting]) {
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
    // Suspects run one by one, which may take long; their clients have had to wait for so long anyway.
    const waitsOutItsTime = trouble?.alone === true && trouble.firstMs !== null && timeoutMs > 0;
    if (waitsOutItsTime || nowMs - sinceMs <= this.#options.queueTimeoutMs) return;
    this.#options.overloaded(exchange, "queueTimeout");
  }

  /** Remembers an exchange that may be why its worker was lost, and one that is. */
  #suspect(exchange: Exchange, run: IsolatedRun | null, nowMs: number): Blame {
    if (!this.#quarantine.enabled) return "open";
    if (run !== null && exchange !== run.suspect) {
      this.#quarantine.mark(exchange, nowMs);
      return "another";
    }
    if (run?.isAlone === true) {
      this.#quarantineAll(exchange, nowMs);
      return "it";
    }
    if (exchange.trouble?.suspected !== true) {
      this.#quarantine.mark(exchange, nowMs);
      return "open";
    }
    // It began beside others that had run for a while, or was let go among them; it alone has been suspected before.
    if (!this.#quarantine.noteSuspicion(exchange, nowMs)) return "open";
    this.#quarantineAll(exchange, nowMs);
    return "it";
  }

  /** Refuses an exchange, and all that are like it, for a while. */
  #quarantineAll(exchange: Exchange, nowMs: number): void {
    const quarantineMs = this.#quarantine.quarantine(exchange, nowMs);
    const request = this.#options.routes.describe(exchange);
    const fields = { ...request, quarantineMs, code: "ERR_QUARANTINED" };
    this.#options.log.error(fields, "request takes workers down: refusing all that are like it");
    for (const other of this.isolation.waiting.like(exchange)) {
      this.#options.fail(other, "ERR_QUARANTINED", quarantineMs);
    }
  }

  /** Has a lost exchange dispatched once more, if that is safe; false: it is not. */
  #retry(
    exchange: Exchange,
    { blame, loss, nowMs }: { blame: Blame; loss: Loss; nowMs: number },
  ): boolean {
    const { body, client, intake, route } = exchange;
    const isHere = body !== BODY_FOLLOWS || intake?.rereadable === true;
    const { method, fields } = client.head;
    const trouble: Trouble = exchange.trouble ?? {
      firstMs: null,
      crashes: 0,
      losses: 0,
      suspected: false,
      alone: false,
    };
    const declared = this.#options.routes.mayReplay(route, method);
    const verdict = judge(
      {
        replayable: isHere && mayRunTwice(method, fields, declared),
        blame,
        suspected: trouble.suspected,
        crashes: trouble.crashes,
        losses: trouble.losses,
      },
      { ownDoing: loss.ownDoing, quarantine: this.#quarantine.enabled },
    );
    if (verdict === "fail" || verdict === "quarantine") return false;
    trouble.firstMs ??= exchange.sinceMs;
    if (loss.ownDoing) trouble.crashes++;
    else trouble.losses++;
    trouble.alone = verdict === "isolate";
    trouble.suspected ||= loss.ownDoing && trouble.alone;
    exchange.trouble = trouble;
    exchange.lane = null;
    if (trouble.alone) {
      if (this.#isolate(exchange, nowMs)) return true;
      // Too many wait to run alone. One that may be why must not run among others.
      if (trouble.suspected) return false;
      trouble.alone = false;
    }
    this.#hold(exchange, nowMs);
    return this.#again.push(exchange);
  }

  /** False when too many wait. */
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
