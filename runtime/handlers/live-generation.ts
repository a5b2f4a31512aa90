import { setMaxListeners } from "node:events";
import type { Config } from "../config/config.ts";
import { listProxies } from "../config/proxies.ts";
import { listNamedSites } from "../config/sites.ts";
import type { PoolChange, RouteInfo } from "../control/operations.ts";
import type { Manifest } from "../generation/manifest.ts";
import { HandlerPool, type SharedParts } from "./handler-pool.ts";
import { findReasons, planPools, type PoolPlan } from "./pool-plan.ts";
import {
  createSiteRoutes,
  type RouteDescription,
  type QueueHandler,
  type ScheduledHandler,
  type SiteRoutes,
} from "./site-routes.ts";
import { KeptStates, type NextStates } from "../lib/kept-states.ts";

export interface LiveGenerationOptions extends SharedParts {
  config: Config;
  /** The manifest of the generation. The caller holds its lease. */
  manifest: Manifest;
  /**
   * The generation that serves now; `null`: there is none. Pools that the new generation would start in the same way
   * are kept.
   */
  previous: LiveGeneration | null;
  /** The reason to replace all pools; `null`: only pools that differ are replaced. */
  renewAll: string | null;
}

/**
 * A generation that serves: its routes and the pools that answer them.
 *
 * The next generation takes over the pools that it needs. All other pools retire.
 */
export class LiveGeneration {
  readonly manifest: Manifest;
  readonly config: Config;
  readonly pools: ReadonlyMap<string, HandlerPool>;
  /** The changes that this generation made at its start, per pool: kept, replaced, added or removed. */
  readonly changes: readonly PoolChange[];
  /** Counts of the requests that the routes of this generation take. */
  counts = { requests: 0, errors: 0 };
  /** The buckets of the routes' rate limits. They are committed when the generation serves. */
  readonly limitStates: NextStates;
  #codeTags: ReadonlySet<string> | null = null;
  /** By name of the site. A site without handlers has no entry. */
  readonly #sites: ReadonlyMap<string, SiteRoutes>;

  private constructor(
    { manifest, config }: Pick<LiveGenerationOptions, "manifest" | "config">,
    {
      pools,
      changes,
      shared,
    }: {
      pools: ReadonlyMap<string, HandlerPool>;
      changes: readonly PoolChange[];
      /** `null`: there are no routes. */
      shared: SharedParts | null;
    },
  ) {
    this.manifest = manifest;
    this.config = config;
    this.pools = pools;
    this.changes = changes;
    this.limitStates = (shared?.limitStates ?? new KeptStates()).begin();
    const { limitStates: states } = this;
    const onRequest = (): void => void this.counts.requests++;
    this.#sites =
      shared === null
        ? new Map()
        : createSiteRoutes({ manifest, config, pools, shared: { ...shared, states }, onRequest });
  }

  /**
   * Starts the pools that `previous` does not have, and waits until all their workers are ready.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD` or `ERR_BOOT_LOOP` when they cannot boot; the signal's reason. The new
   *   pools are then closed, and the pools of `previous` are unchanged.
   */
  static async start(
    options: LiveGenerationOptions,
    { signal }: { signal: AbortSignal },
  ): Promise<LiveGeneration> {
    const { manifest, config, previous } = options;
    const plans = planPools(manifest, config);
    const reasons = new Map(plans.map((plan) => [plan.name, findReasonsToStart(plan, options)]));
    const started = await startPools(
      plans.filter(({ name }) => reasons.get(name) !== null),
      { ...options, signal },
    );
    // Several pools may load the same middleware, so equal warnings are logged once.
    const warnings = new Set([...started.values()].flatMap((pool) => pool.warnings));
    for (const warning of warnings) options.log.warn(warning);
    const pools = new Map<string, HandlerPool>();
    const changes: PoolChange[] = [];
    for (const { name } of plans) {
      const before = previous?.pools.get(name);
      const after = started.get(name) ?? before;
      if (after === undefined) continue;
      pools.set(name, after);
      const change = after === before ? "kept" : before === undefined ? "added" : "replaced";
      const why = reasons.get(name) ?? [];
      changes.push({ name, change, reasons: why, workers: after.desired });
    }
    for (const name of previous?.pools.keys() ?? []) {
      if (!pools.has(name)) {
        const why = ["no route uses it"];
        changes.push({ name, change: "removed", reasons: why, workers: 0 });
      }
    }
    return new LiveGeneration(options, { pools, changes, shared: options });
  }

  /** Returns a generation without routes that does not exist on disk. It serves until the first real one. */
  static empty(options: Pick<LiveGenerationOptions, "config">): LiveGeneration {
    const { handlersDir: sourceDir } = options.config;
    const manifest = { ...NO_HANDLERS, sourceDir };
    return new LiveGeneration(
      { ...options, manifest },
      {
        pools: new Map(),
        changes: [],
        shared: null,
      },
    );
  }

  /** Tags for stored answers of the code of its pools. */
  get codeTags(): ReadonlySet<string> {
    this.#codeTags ??= new Set([...this.pools.values()].map(({ codeTag }) => codeTag));
    return this.#codeTags;
  }

  get workerPids(): number[] {
    return [...this.pools.values()].flatMap(({ workers }) => workers.map(({ pid }) => pid));
  }

  /**
   * True while at least one pool can answer. A pool that is down affects only its own routes. A server of sites that have
   * files alone, or of proxies, needs no pool.
   */
  get isReady(): boolean {
    if (this.pools.size === 0) {
      const others = listNamedSites(this.config).length + listProxies(this.config).length;
      return this.#sites.size > 0 && others > 0;
    }
    return [...this.pools.values()].some(({ isReady }) => isReady);
  }

  /** Returns the routes of all sites for messages. */
  describeRoutes(): RouteDescription[] {
    return [...this.#sites.values()].flatMap((routes) => routes.describeRoutes());
  }

  /** Lists the routes and fallbacks of all sites. */
  listRoutes(): RouteInfo[] {
    return [...this.#sites].flatMap(([site, routes]) => routes.list(site));
  }

  /** Lists the handlers of all sites that run at times. */
  listScheduled(): ScheduledHandler[] {
    return [...this.#sites].flatMap(([site, routes]) => routes.listScheduled(site));
  }

  /** Lists the handlers of all sites that receive messages of queues. */
  listQueues(): QueueHandler[] {
    return [...this.#sites].flatMap(([site, routes]) => routes.listQueues(site));
  }

  /** Returns the routes of a site by its name; `null`: the site has no handlers. */
  routesOf(site: string): SiteRoutes | null {
    return this.#sites.get(site) ?? null;
  }

  /** Tells whether these plans would start exactly the pools of this generation. */
  keepsAll(plans: readonly PoolPlan[]): boolean {
    return (
      plans.length === this.pools.size &&
      plans.every((plan) => {
        const pool = this.pools.get(plan.name);
        return pool !== undefined && findReasons(pool.plan, plan).length === 0;
      })
    );
  }

  /** Ends the pools that the other generation does not have. For a generation that is discarded before it serves. */
  async destroyNew(other: LiveGeneration | null): Promise<void> {
    const own = [...this.pools].filter(([name, pool]) => other?.pools.get(name) !== pool);
    await Promise.all(own.map(([, pool]) => pool.destroy()));
  }
}

/** Returns the reasons to start a pool; `null`: the previous generation's pool is kept. */
function findReasonsToStart(
  plan: PoolPlan,
  { previous, renewAll }: LiveGenerationOptions,
): string[] | null {
  const before = previous?.pools.get(plan.name);
  if (before === undefined) return [previous === null ? "start" : "new pool"];
  const reasons = findReasons(before.plan, plan);
  if (reasons.length > 0) return reasons;
  return renewAll === null ? null : [renewAll];
}

const NO_HANDLERS: Manifest = {
  formatVersion: 2,
  id: "none",
  createdAt: new Date(0).toISOString(),
  mode: "development",
  sourceDir: "",
  modules: [],
  routes: [],
  fallbacks: [],
  packages: "",
  inputs: [],
  warnings: [],
};

/** Starts all pools at the same time. If one fails, closes all of them. */
async function startPools(
  plans: readonly PoolPlan[],
  options: LiveGenerationOptions & { signal: AbortSignal },
): Promise<Map<string, HandlerPool>> {
  const failing = new AbortController();
  const signal = AbortSignal.any([options.signal, failing.signal]);
  // Each pool adds a listener. Node would report so many as a leak.
  setMaxListeners(0, signal);
  const starting = plans.map(async (plan) => {
    try {
      return await HandlerPool.start({ ...options, plan }, { signal });
    } catch (error) {
      // The first failure ends the other pools.
      failing.abort(error);
      throw error;
    }
  });
  const settled = await Promise.allSettled(starting);
  const started = settled.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  if (started.length < plans.length) {
    await Promise.all(started.map((pool) => pool.destroy()));
    options.signal.throwIfAborted();
    throw failing.signal.reason;
  }
  return new Map(started.map((pool) => [pool.plan.name, pool]));
}
