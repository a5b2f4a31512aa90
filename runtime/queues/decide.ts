import type { Verdict } from "../channel/queue-batch.ts";
import type { DueMessages } from "../stores/message-queue.ts";

/** The outcome of a batch. `refused`: no worker got it. `lost`: its worker ended. */
export type BatchResult = "done" | "failed" | "timed out" | "lost" | "refused";

/** The next step of a message after its batch. */
export type Step =
  | { readonly kind: "acknowledge" }
  | {
      readonly kind: "release";
      readonly delayMs: number;
      readonly isAlone: boolean;
      readonly isUncounted: boolean;
    }
  | { readonly kind: "bury" };

/** Longest pause between two attempts, unless a handler asks for a longer one. */
const MOST_BACKOFF_MS = 3_600_000;

/** Pause after a batch that no worker got, for its messages and for further batches. */
export const REFUSED_MS = 1_000;

/** Tells whether a batch is taken now: it is full, or its first message has waited for the others. */
export function isBatchDue(
  { count, firstMs }: DueMessages,
  { batchSize, batchTimeoutMs }: { batchSize: number; batchTimeoutMs: number },
  nowMs: number,
): boolean {
  if (count === 0 || firstMs === null) return false;
  return count >= batchSize || nowMs - firstMs >= batchTimeoutMs;
}

/** Returns the pause after an attempt: it doubles with each one. `attempts` is 1 after the first. */
export function pauseAfter(attempts: number, backoffMs: number): number {
  const most = Math.max(backoffMs, MOST_BACKOFF_MS);
  return Math.min(most, backoffMs * 2 ** Math.min(30, attempts - 1));
}

/**
 * Tells whether a message goes to no handler again, because lost servers have used up its attempts. They get one attempt more
 * than handlers: a server may be lost before its worker has the message.
 */
export function isSpent(attempts: number, retries: number): boolean {
  return attempts > retries + 2;
}

/** Decides about a message when its batch has ended. */
export function decideStep(
  { attempts, isAlone }: { attempts: number; isAlone: boolean },
  { result, verdict }: { result: BatchResult; verdict: Verdict },
  { retries, backoffMs }: { retries: number; backoffMs: number },
): Step {
  if (result === "refused") {
    return { kind: "release", delayMs: REFUSED_MS, isAlone, isUncounted: true };
  }
  if (verdict?.kind === "acknowledge" || (verdict === null && result === "done")) {
    return { kind: "acknowledge" };
  }
  if (attempts > retries) return { kind: "bury" };
  const own = verdict?.kind === "retry" ? verdict.delayMs : null;
  return {
    kind: "release",
    delayMs: own ?? pauseAfter(attempts, backoffMs),
    // One message may have ended the worker: each of them gets a worker without the others.
    isAlone: result === "lost" || result === "timed out",
    isUncounted: false,
  };
}

/** Returns the time until the next look: short after a message, and longer and longer without any. */
export function pauseBeforeLook(
  { idleMs, untilDueMs }: { idleMs: number; untilDueMs: number | null },
  mostMs: number,
): number {
  const pauseMs = Math.min(mostMs, Math.max(LEAST_LOOK_MS, idleMs / 4));
  return untilDueMs === null ? pauseMs : Math.max(1, Math.min(pauseMs, untilDueMs));
}

const LEAST_LOOK_MS = 10;
