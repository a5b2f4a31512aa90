import { setTimeout as delay } from "node:timers/promises";
import { HeldEntry } from "../stores/held-entry.ts";
import type { Store } from "../stores/store.ts";

/** Locks by name, which one holder has at a time over all workers. */
export interface Locks {
  /** Waits for a lock. `null`: another holder kept it for the whole wait. */
  acquire(name: string, options?: LockOptions): Promise<Lock | null>;
  /**
   * Runs a function while it holds the lock, which is extended until the function ends. The signal aborts when the lock was
   * lost all the same.
   *
   * @throws Error when the lock cannot be had within `waitMs`.
   */
  run<T>(
    name: string,
    task: (signal: AbortSignal) => T | Promise<T>,
    options?: LockOptions,
  ): Promise<T>;
}

export interface LockOptions {
  /** Time after which the lock is free if its holder does not extend it, as after a crash. Default: 30,000 ms. */
  ttlMs?: number;
  /** Longest wait for another holder. Default of `acquire`: 0; of `run`: 30,000 ms. */
  waitMs?: number;
  signal?: AbortSignal;
}

/** A lock that is held. */
export interface Lock {
  /** Returns whether the lock was still held. */
  release(): Promise<boolean>;
  /** Holds it for `ttlMs` from now on. Returns whether it was still held. */
  extend(): Promise<boolean>;
}

const DEFAULT_MS = 30_000;
/** Shortest and longest pause between two attempts. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [5, 200];

/** Returns the locks of a space of a store. */
export function createLocks(store: Store, { space }: { space: string }): Locks {
  const tryOnce = async (name: string, ttlMs: number): Promise<Lock | null> => {
    const held = new HeldEntry(store, { space, key: name, ttlMs });
    if (!(await held.take())) return null;
    return { extend: () => held.extend(), release: () => held.release() };
  };
  const acquire = async (name: string, options: LockOptions = {}): Promise<Lock | null> => {
    const { ttlMs = DEFAULT_MS, waitMs = 0, signal } = options;
    check(name, { ttlMs, waitMs });
    const deadlineMs = performance.now() + waitMs;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      signal?.throwIfAborted();
      // oxlint-disable-next-line no-await-in-loop -- Each attempt waits for the one before.
      const lock = await tryOnce(name, ttlMs);
      const leftMs = deadlineMs - performance.now();
      if (lock !== null || leftMs <= 0) return lock;
      // A random pause: holders that wait do not meet each time.
      const pause = Math.min(leftMs, pauseMs * (0.5 + Math.random()));
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await delay(pause, undefined, signal === undefined ? {} : { signal });
    }
  };
  const run = async <T>(
    name: string,
    task: (signal: AbortSignal) => T | Promise<T>,
    options: LockOptions = {},
  ): Promise<T> => {
    const { ttlMs = DEFAULT_MS, waitMs = DEFAULT_MS } = options;
    const lock = await acquire(name, { ...options, waitMs });
    if (lock === null) {
      throw new Error(
        `Cannot lock ${JSON.stringify(name)}: another holder has it for ${waitMs} ms`,
      );
    }
    const lost = new AbortController();
    const onLost = (reason: unknown): void => {
      if (!lost.signal.aborted) lost.abort(reason);
    };
    const extend = async (): Promise<void> => {
      try {
        if (await lock.extend()) return;
        onLost(new Error(`Cannot hold the lock ${JSON.stringify(name)}: it expired`));
      } catch (error) {
        onLost(error);
      }
    };
    const timer = setInterval(() => void extend(), ttlMs / 3);
    try {
      return await task(lost.signal);
    } finally {
      clearInterval(timer);
      // A lock that cannot be released expires.
      await lock.release().catch(() => false);
    }
  };
  return Object.freeze({ acquire, run });
}

/** A day: longer work extends its lock. */
const MOST_TTL_MS = 24 * 3_600_000;

function check(name: unknown, times: { ttlMs: number; waitMs: number }): void {
  if (typeof name !== "string" || name === "" || Buffer.byteLength(name) > 512) {
    throw new TypeError("Cannot use a lock: its name is no text of 1 to 512 bytes");
  }
  const { ttlMs, waitMs } = times;
  if (!Number.isInteger(ttlMs) || ttlMs < 1 || ttlMs > MOST_TTL_MS) {
    throw new TypeError(`Cannot use a lock: ttlMs is not a whole number from 1 to ${MOST_TTL_MS}`);
  }
  if (!(waitMs >= 0 && waitMs < Number.POSITIVE_INFINITY)) {
    throw new TypeError("Cannot use a lock: waitMs is not a finite number from 0 on");
  }
}
