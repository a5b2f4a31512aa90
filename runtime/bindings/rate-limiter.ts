import type { Store } from "../stores/store.ts";

/** Admits a number of calls for each key in each period, over all workers. The method is that of Workers. */
export interface RateLimiter {
  limit(options: { key: string }): Promise<{ success: boolean }>;
}

/** Most keys for which this process remembers that they are refused. */
const MOST_REFUSED = 10_000;

/** A count is kept so much longer for servers whose clocks are behind: they are still in its period. */
const MOST_SKEW_MS = 60_000;

/**
 * Returns a limiter that counts in a space of a store.
 *
 * Periods begin at multiples of `periodMs` since 1970, at the same time in all workers. A key that has used up its period is
 * refused without asking the store again: clients that go on cost nothing there.
 */
export function createRateLimiter(
  store: Store,
  {
    space,
    limit,
    periodMs,
    now = Date.now,
  }: { space: string; limit: number; periodMs: number; now?: () => number },
): RateLimiter {
  const refused = new Set<string>();
  let refusedPeriod = 0;
  return Object.freeze({
    limit: async ({ key }: { key: string }) => {
      if (typeof key !== "string" || Buffer.byteLength(key) > 512) {
        throw new TypeError("Cannot limit: found a key that is no text of at most 512 bytes");
      }
      const nowMs = now();
      const period = Math.floor(nowMs / periodMs);
      if (period !== refusedPeriod) {
        refusedPeriod = period;
        refused.clear();
      }
      if (refused.has(key)) return { success: false };
      const ttlMs = (period + 1) * periodMs - nowMs + Math.min(periodMs, MOST_SKEW_MS);
      const count = await store.add(space, `${period}:${key}`, { by: 1, ttlMs });
      const success = count <= limit;
      if (!success && period === refusedPeriod && refused.size < MOST_REFUSED) refused.add(key);
      return { success };
    },
  });
}
