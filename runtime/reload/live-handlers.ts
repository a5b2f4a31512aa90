import type { ExchangeId } from "../channel/messages.ts";
import type { Config } from "../config/config.ts";
import type { GenerationInfo } from "../control/operations.ts";
import type { GenerationLeases } from "../generation/generation-leases.ts";
import { LiveGeneration } from "../handlers/live-generation.ts";
import type { HandlerPool, SharedParts } from "../handlers/handler-pool.ts";
import { findUnusedPools, planPools } from "../handlers/pool-plan.ts";
import { DEFAULT_POOL } from "../lib/pool-name.ts";
import type { Prepared } from "../lib/prepared.ts";
import { settledWithin } from "../lib/settled-within.ts";
import type { RecentRequest } from "../observe/recent-requests.ts";
import type { Counts } from "../observe/served-counts.ts";
import type { SocketPlace } from "../sockets/socket-home.ts";
import type { SocketSettings } from "../sockets/socket-settings.ts";
import type { Change } from "./part.ts";
import { proveGeneration } from "./prove-generation.ts";
import { RetiringPools } from "./retiring-pools.ts";

export interface LiveHandlersOptions {
  config: Config;
  shared: SharedParts;
  leases: GenerationLeases;
  /** Resolves when the requests that wait before the handlers now have been passed on to them. */
  untilPassed: () => Promise<void>;
  /** Returns an id for each internal request. */
  nextId: () => ExchangeId;
  /** Returns recent requests with which new workers are tested. */
  recent: () => readonly RecentRequest[];
  /** Returns the counts of the requests that a generation admits from now on. */
  beginCounts: (generationId: string) => Counts;
}

/** Share of the grace period in which pools without requests stay, for calls of handlers of other pools. */
const CALLS_SHARE = 0.8;

/** The handlers of a server: the generation that gets new requests, and replaced pools that still answer older ones. */
export class LiveHandlers {
  readonly #options: LiveHandlersOptions;
  readonly #retiring: RetiringPools;
  #generation: LiveGeneration;
  /** This class holds a lease on the generation, in addition to those of its pools. */
  #isLeased = false;

  constructor(options: LiveHandlersOptions) {
    const { config, shared } = options;
    this.#options = options;
    this.#retiring = new RetiringPools(shared.log, config.mode);
    this.#generation = LiveGeneration.empty({ config });
  }

  /** The generation that gets new requests. It has no routes until the first real one is ready. */
  get generation(): LiveGeneration {
    return this.#generation;
  }

  /** Replaced pools that still answer requests, the oldest first. */
  get retiring(): readonly HandlerPool[] {
    return this.#retiring.all;
  }

  /** All pools, with the retiring ones. */
  get pools(): HandlerPool[] {
    return [...this.#retiring.all, ...this.#generation.pools.values()];
  }

  /** Requests in all queues, and requests that workers answer now. */
  get load(): { queued: number; inFlight: number } {
    const loads = this.pools.map(({ dispatcher }) => dispatcher.load);
    return {
      queued: loads.reduce((sum, { queued }) => sum + queued, 0),
      inFlight: loads.reduce((sum, { inFlight }) => sum + inFlight, 0),
    };
  }

  /**
   * Starts the pools that the present generation lacks, and tests them.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD`, `ERR_BOOT_LOOP`; the signal's reason. The new pools are then closed.
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

  /** Finds the handlers that answer for a WebSocket now; `null`: none takes it. */
  locateSocket({ site, url }: { site: string; url: string }): SocketPlace | null {
    const found = this.#generation.routesOf(site)?.locate(new URL(url).pathname) ?? null;
    if (found === null) return null;
    const { responder, params } = found;
    const { pool, route } = responder;
    return pool.takesSockets(route) ? { pool, route, params, homes: pool.homes } : null;
  }

  /** Returns the settings of WebSockets of the route that has this URL now. */
  socketSettings({ site, url }: { site: string; url: string }): SocketSettings {
    const found = this.#generation.routesOf(site)?.locate(new URL(url).pathname) ?? null;
    return found === null ? this.#generation.config : found.responder.rulesOf("GET");
  }

  /**
   * Adds or removes one worker of the default pool, or of the first pool if there is no default one. At least one
   * stays. The number applies until the pool is replaced or the server restarts.
   *
   * @returns The new number.
   */
  resize(change: 1 | -1): number {
    const { pools } = this.#generation;
    const [first] = pools.values();
    const pool = pools.get(DEFAULT_POOL) ?? first;
    return pool?.resize(change) ?? 0;
  }

  /** Replaces a worker of the serving generation. Returns the name of its pool; `null`: no ready worker has this number. */
  recycle(workerId: number): string | null {
    const pools = [...this.#generation.pools];
    return pools.find(([, pool]) => pool.recycle(workerId))?.[0] ?? null;
  }

  /** Returns the state of a generation on disk. */
  stateOf(id: string): GenerationInfo["state"] {
    const hasCodeOf = ({ manifest }: HandlerPool): boolean => manifest.id === id;
    if (this.#generation.manifest.id === id) return "serving";
    if ([...this.#generation.pools.values()].some(hasCodeOf)) return "shared";
    return this.#retiring.all.some(hasCodeOf) ? "retiring" : "stored";
  }

  /** Answers all admitted requests, then ends the workers. Cuts off requests that exceed the grace period. */
  async close(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    const { pools } = this;
    // A handler may call one of another pool until its own request has its answer.
    if (this.#options.shared.calls.isUsed) {
      const idle = Promise.all(pools.map(({ dispatcher }) => dispatcher.idle()));
      await settledWithin(idle, graceMs * CALLS_SHARE);
    }
    const leftMs = Math.max(0, deadlineMs - performance.now());
    await Promise.all(pools.map((pool) => pool.close(leftMs)));
  }

  /** Ends all workers now. */
  async destroy(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.destroy()));
  }

  /** Releases the lease of the generation. No requests and no reloads may follow. */
  async release(): Promise<void> {
    if (!this.#isLeased) return;
    this.#isLeased = false;
    await this.#options.leases.release(this.#generation.manifest.id);
  }

  #switchTo(next: LiveGeneration, config: Config): void {
    const previous = this.#generation;
    const after = this.#options.untilPassed();
    this.#generation = next;
    this.#isLeased = true;
    next.limitStates.commit();
    next.counts = this.#options.beginCounts(next.manifest.id);
    for (const pool of next.pools.values()) pool.adopt(config, () => next.codeTags);
    const { sockets } = this.#options.shared;
    for (const [name, pool] of previous.pools) {
      if (next.pools.get(name) === pool) continue;
      pool.releaseSockets(config.drainGraceMs);
      this.#retiring.add(pool, config.drainGraceMs, after);
    }
    sockets.closeStrays(config.drainGraceMs);
  }
}
