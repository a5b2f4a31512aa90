import type { PoolFacts } from "./facts.ts";

/**
 * Makes one pool of all that have one name and one version of the code: after a rollback, a pool that still drains may have the
 * version of the one that serves. A series may occur only once.
 */
export function mergePools(pools: readonly PoolFacts[]): PoolFacts[] {
  const merged = new Map<string, PoolFacts>();
  for (const pool of pools) {
    const key = `${pool.generation} ${pool.name}`;
    const other = merged.get(key);
    merged.set(key, other === undefined ? pool : merge(other, pool));
  }
  return [...merged.values()];
}

function merge(one: PoolFacts, other: PoolFacts): PoolFacts {
  return {
    name: one.name,
    generation: one.generation,
    desired: one.desired + other.desired,
    queued: one.queued + other.queued,
    inFlight: one.inFlight + other.inFlight,
    queueAgeMs: Math.max(one.queueAgeMs, other.queueAgeMs),
    workers: [...one.workers, ...other.workers],
  };
}
