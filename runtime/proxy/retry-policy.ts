import type { UpstreamFailure } from "../upstream/exchange.ts";

/** The facts about an exchange that failed at an upstream. */
export interface FailedAttempt {
  failure: Pick<UpstreamFailure, "phase" | "sent" | "begun" | "reused" | "timedOut">;
  /** The method may run twice (RFC 9110 section 9.2.2). */
  isIdempotent: boolean;
  /** The request has no body, or its body can be sent again from the first byte. */
  isBodyKept: boolean;
  /** Number of attempts at other servers that may still follow. */
  left: number;
  /** An attempt on a fresh connection has followed one on a kept connection. */
  hasTriedFresh: boolean;
  /** How often the request may still wait for a server that can be reached. */
  waitsLeft: number;
  /** The first attempt began longer ago than a request may wait. */
  isLate: boolean;
}

/**
 * The next step after a failure.
 *
 * - `fresh`: the same server, on a new connection. The kept one was closed when the request came.
 * - `other`: another server of the group.
 * - `wait`: the first server that can be reached again.
 * - `give-up`: the client gets an error.
 */
export type RetryDecision = "fresh" | "other" | "wait" | "give-up";

/**
 * Decides whether a request is sent again after a failure. Pure; the budget of the group is counted elsewhere
 * (`retry-budget.ts`).
 *
 * | the upstream got | method | decision |
 * | --- | --- | --- |
 * | no byte | any | another server; if there is none, the first that can be reached again |
 * | perhaps some, on a kept connection that it closed | idempotent | the same server once, on a fresh connection |
 * | perhaps some, and sent no byte | idempotent | another server |
 * | perhaps some | other | give up: it may have run |
 * | it has begun its response | any | give up |
 */
export function decideRetry({
  failure,
  isIdempotent,
  isBodyKept,
  left,
  hasTriedFresh,
  waitsLeft,
  isLate,
}: FailedAttempt): RetryDecision {
  if (failure.begun || !isBodyKept) return "give-up";
  if (failure.sent && !isIdempotent) return "give-up";
  if (failure.reused && !failure.timedOut && !hasTriedFresh) return "fresh";
  if (left > 0) return "other";
  return !failure.sent && waitsLeft > 0 && !isLate ? "wait" : "give-up";
}

/** Returns the status for a client whose request failed at its upstream. */
export function statusOfFailure({ timedOut }: Pick<UpstreamFailure, "timedOut">): 502 | 504 {
  return timedOut ? 504 : 502;
}

const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** Tells whether requests with this method may run twice (RFC 9110 section 9.2.2). TRACE never comes this far. */
export function isIdempotentMethod(method: string): boolean {
  return IDEMPOTENT.has(method);
}
