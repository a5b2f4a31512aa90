import type { ExchangeId } from "../channel/messages.ts";
import type { Config } from "../config/config.ts";
import type { GenerationInfo } from "../control/operations.ts";
import type { GenerationLeases } from "../generation/generation-leases.ts";
import { LiveGeneration } from "../handlers/live-generation.ts";
import type { HandlerPool, SharedParts } from "../handlers/handler-pool.ts";
import { findUnusedPools, planPools } from "../handlers/pool-plan.ts";
import { DEFAULT_POOL } from "../lib/pool-name.ts";
import type { Prepared } from "../lib/prepared.ts";
import type { RecentRequest } from "../observe/recent-requests.ts";
import type { Counts } from "../observe/served-counts.ts";
import type { Change } from "./part.ts";
import { proveGeneration } from "./prove-generation.ts";
import { RetiringPools } from "./retiring-pools.ts";

export interface LiveHandlersOptions {
  config: Config;
  shared: SharedParts;
  leases: GenerationLeases;
  /** Names each internal request. */
  nextId: () => ExchangeId;
  /** Recent requests, to try new workers with. */
  recent: () => readonly RecentRequest[];
  /** Returns the counts of the requests that a generation admits from now on. */
  beginCounts: (generationId: string) => Counts;
}

/** The handlers of a server: the generation that gets new requests, and replaced pools that still answer theirs. */
export class LiveHandlers {
  readonly #options: LiveHandlersOptions;
  readonly #retiring: RetiringPools;
  #generation: LiveGeneration;
  /** The generation has a lease of its own, beside those of its pools. */
  #isLeased = false;

  constructor(options: LiveHandlersOptions) {
    const { config, shared } = options;
    this.#options = options;
    this.#retiring = new RetiringPools(shared.log, config.mode);
    this.#generation = LiveGeneration.empty({ config });
  }

  /** The generation that gets new requests. Before the first one is ready, it has no routes. */
  get generation(): LiveGeneration {
    return this.#generation;
  }

  /** Replaced pools that still answer their requests. Oldest first. */
  get retiring(): readonly HandlerPool[] {
    return this.#retiring.all;
  }

  /** All pools, also retiring ones. */
  get pools(): HandlerPool[] {
    return [...this.#retiring.all, ...this.#generation.pools.values()];
  }

  /**
   * Starts the pools that the present generation lacks, and tries them.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD`, `ERR_BOOT_LOOP`; the signal's reason. The new pools are closed then.
   */
  async prepare(change: Change, { signal }: { signal: AbortSignal }): Promise<Prepared> {
    const { manifest, renewAll } = change;
    const { config } = change.to;
    const { shared, nextId, recent } = this.#options;
    const { log } = shared;
    const previous = change.from === null ? null : this.#generation;
    const next = await LiveGeneration.start(
      { ...shared, config, manifest, previous, renewAll },
      { signal },
    );
    const unused = findUnusedPools(planPools(manifest, config), config);
    if (unused.length > 0) log.warn({ pools: unused }, "configured pools without handlers");
    try {
      await proveGeneration(next, {
        isNew: (pool) => previous?.pools.get(pool.plan.name) !== pool,
        recent: recent(),
        nextId,
        log,
        signal,
      });
    } catch (error) {
      await next.destroyNew(previous);
      throw error;
    }
    return {
      commit: () => this.#switchTo(next, config),
      discard: () => next.destroyNew(previous),
    };
  }

  /**
   * Adds or removes one worker of the default pool, or where there is none of the first one; at least one stays. The
   * number counts until the pool is replaced, or the server starts anew.
   *
   * @returns The new number.
   */
  resize(change: 1 | -1): number {
    const { pools } = this.#generation;
    const [first] = pools.values();
    const pool = pools.get(DEFAULT_POOL) ?? first;
    return pool?.resize(change) ?? 0;
  }

  /** Returns the state of a generation on disk. */
  stateOf(id: string): GenerationInfo["state"] {
    const hasCodeOf = ({ manifest }: HandlerPool): boolean => manifest.id === id;
    if (this.#generation.manifest.id === id) return "serving";
    if ([...this.#generation.pools.values()].some(hasCodeOf)) return "shared";
    return this.#retiring.all.some(hasCodeOf) ? "retiring" : "stored";
  }

  /** Answers all admitted requests, then ends the workers. Cuts off requests that exceed the grace. */
  async close(graceMs: number): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.close(graceMs)));
  }

  /** Ends all workers now. */
  async destroy(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.destroy()));
  }

  /** Gives the lease of the generation back. No requests and no reloads may follow. */
  async release(): Promise<void> {
    if (!this.#isLeased) return;
    this.#isLeased = false;
    await this.#options.leases.release(this.#generation.manifest.id);
  }

  #switchTo(next: LiveGeneration, config: Config): void {
    const previous = this.#generation;
    this.#generation = next;
    this.#isLeased = true;
    next.counts = this.#options.beginCounts(next.manifest.id);
    for (const pool of next.pools.values()) pool.adopt(config);
    for (const [name, pool] of previous.pools) {
      if (next.pools.get(name) !== pool) this.#retiring.add(pool, config.drainGraceMs);
    }
  }
}
