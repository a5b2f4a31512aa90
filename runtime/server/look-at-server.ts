import { type IntervalHistogram, monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { Status } from "../control/operations.ts";
import type { MetricsFacts, PoolFacts, ProcessFacts } from "../metrics/facts.ts";
import { mergePools } from "../metrics/merge-pools.ts";
import type { Primary } from "../primary.ts";
import type { HandlerPool } from "../handlers/handler-pool.ts";

/** Interval of the timer that measures delays. A shorter one would cost more than the figures are worth. */
const DELAY_RESOLUTION_MS = 20;

/** Looks at a server, for metrics and for live views. */
export class ServerLook {
  readonly #delays: IntervalHistogram | null;

  /** @param options.measuresDelays Measures delays of the event loop from now on. Otherwise all of them are 0. */
  constructor({ measuresDelays = true }: { measuresDelays?: boolean } = {}) {
    this.#delays = measuresDelays
      ? monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
      : null;
    this.#delays?.enable();
  }

  /** Returns all facts now. */
  look(primary: Primary, status: Status): MetricsFacts {
    const { counters, readiness, handlers, spoolUsage } = primary;
    const serving = new Set(primary.generation.pools.values());
    const nowMs = performance.now();
    return {
      counters,
      status,
      readiness,
      pools: mergePools(
        handlers.pools.map((pool) => toPoolFacts(pool, { isServing: serving.has(pool), nowMs })),
      ),
      spool: spoolUsage,
      traces: primary.traceCounts,
      bucketsMs: primary.config.metricsBucketsMs,
      process: this.#lookAtProcess(),
    };
  }

  close(): void {
    this.#delays?.disable();
  }

  #lookAtProcess(): ProcessFacts {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    const { active, idle } = performance.eventLoopUtilization();
    const loopDelay = this.#takeDelays();
    return {
      cpuSeconds: (user + system) / 1e6,
      rssBytes: rss,
      heapUsedBytes: heapUsed,
      startedAtSeconds: performance.timeOrigin / 1_000,
      loopActiveSeconds: active / 1_000,
      loopIdleSeconds: idle / 1_000,
      loopDelay,
    };
  }

  /** Returns the delays since the last look. */
  #takeDelays(): ProcessFacts["loopDelay"] {
    const delays = this.#delays;
    if (delays === null || delays.count === 0) return { p50Ms: 0, p99Ms: 0, maxMs: 0 };
    const loopDelay = {
      p50Ms: toDelayMs(delays.percentile(50)),
      p99Ms: toDelayMs(delays.percentile(99)),
      maxMs: toDelayMs(delays.max),
    };
    delays.reset();
    return loopDelay;
  }
}

/** The histogram has the whole interval of its timer. */
function toDelayMs(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - DELAY_RESOLUTION_MS);
}

function toPoolFacts(
  pool: HandlerPool,
  { isServing, nowMs }: { isServing: boolean; nowMs: number },
): PoolFacts {
  const { plan, manifest, dispatcher, workers, gauges } = pool;
  const oldest = pool.oldestRequests(nowMs);
  const states = new Map(workers.map(({ id, state }) => [id, state]));
  return {
    name: plan.name,
    generation: manifest.id,
    desired: isServing ? pool.desired : 0,
    ...dispatcher.load,
    queueAgeMs: dispatcher.queueAgeMs(nowMs),
    workers: gauges.map((gauge) => ({
      ...gauge,
      state: states.get(gauge.id) ?? "exited",
      oldest: oldest.get(gauge.id) ?? null,
    })),
  };
}
