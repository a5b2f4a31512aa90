import type { ExchangeId } from "./channel/messages.ts";
import {
  type ChangedSetting,
  findChangedSettings,
  refuseRestarts,
} from "./config/reload-effect.ts";
import type { ReloadReport } from "./control/operations.ts";
import type { CertificateSwap } from "./front/acceptor.ts";
import type { Listeners } from "./front/listeners.ts";
import type { Manifest } from "./generation/manifest.ts";
import { LiveGeneration } from "./live-generation.ts";
import type { SharedParts } from "./handler-pool.ts";
import type { Logger } from "./log.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { InTurn } from "./reload/in-turn.ts";
import { findUnusedPools, planPools } from "./reload/pool-plan.ts";
import { proveGeneration } from "./reload/prove-generation.ts";
import type { RecentRequest } from "./reload/recent-requests.ts";
import type { StoredGenerations } from "./reload/stored-generations.ts";
import { haveSameCertificates, type Setup } from "./setup.ts";
import { FileIndex } from "./static/file-index.ts";

export interface ReloaderOptions {
  log: Logger;
  stored: StoredGenerations;
  shared: SharedParts;
  listeners: Listeners;
  /**
   * Reads the setup anew, for a reload.
   *
   * @throws RuntimeError for what cannot be used; the reload is then refused.
   */
  loadSetup: (options: { signal: AbortSignal }) => Promise<Setup>;
  /** Names each request of ours. */
  nextId: () => ExchangeId;
  /** What there is to try new workers with. */
  recent: () => readonly RecentRequest[];
  /** What counts now. Only the switch changes it. */
  serving: () => Serving;
  /** The one step. Nothing in it waits, and nothing in it fails. */
  switchTo: (proven: Proven) => void;
  /** Ends what builds and boots. */
  signal: AbortSignal;
}

/** What new requests meet. */
export interface Serving {
  readonly setup: Setup;
  readonly generation: LiveGeneration;
  readonly files: FileIndex | null;
}

/** All that the switch needs, open. */
export interface Proven {
  setup: Setup;
  generation: LiveGeneration;
  files: FileIndex | null;
  swaps: readonly CertificateSwap[];
}

/** What a move to another generation is made of. Nothing of it is seen before the switch. */
interface Move {
  from: Serving;
  setup: Setup;
  /** Of a generation that is leased, and held. */
  manifest: Manifest;
  /** It was just built, and not taken from the disk. */
  isBuilt: boolean;
  changed: readonly ChangedSetting[];
  /** Why all pools get new workers; `null`: only those that differ. */
  renewAll: string | null;
}

/**
 * Takes a primary from one generation to another: a reload or rollback, one at a time.
 *
 *     reading ──▶ building ──▶ booting ──▶ proving ──▶ switch ──▶ the old pools retire
 *        └───────────┴────────────┴───────────┴──fails──▶ what it had opened is closed, and all is as before
 *
 * The switch is one synchronous step that cannot fail: config, certificates, static files and handlers change together.
 * Between the last look at the signal and the switch nothing waits.
 */
export class Reloader {
  readonly #options: ReloaderOptions;
  readonly #signal: AbortSignal;
  readonly #turns = new InTurn();
  readonly #reloads = new OneAtATime(() => this.#turns.run(() => this.#reload()));

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#signal = options.signal;
  }

  /**
   * Builds the first generation and starts it. Its lease is held.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD`, `ERR_BOOT_LOOP`; the signal's reason.
   */
  async startFirst(setup: Setup): Promise<LiveGeneration> {
    const { stored } = this.#options;
    const manifest = await stored.build(setup.config, { signal: this.#signal });
    const generation = await stored.orDiscard(manifest, () =>
      this.#startGeneration({ from: null, setup, manifest, renewAll: null }),
    );
    await stored.recordServing(manifest, { isBuilt: true });
    return generation;
  }

  /** See `Primary.reload`. All who ask while one runs share the next one. */
  reload(): Promise<ReloadReport> {
    return this.#reloads.run();
  }

  /** See `Primary.rollback`. */
  rollback(id?: string): Promise<ReloadReport> {
    return this.#turns.run(() => this.#rollback(id));
  }

  /** Resolves when none runs and none waits. */
  async settled(): Promise<void> {
    await this.#reloads.idle();
    await this.#turns.idle();
  }

  async #reload(): Promise<ReloadReport> {
    const startedAtMs = performance.now();
    this.#signal.throwIfAborted();
    const { stored } = this.#options;
    const setup = await this.#loadSetup();
    const from = this.#options.serving();
    const changed = findChangedSettings(from.setup.config, setup.config);
    refuseRestarts(changed);
    const manifest = await stored.build(setup.config, { signal: this.#signal });
    const isSame =
      changed.length === 0 &&
      haveSameCertificates(setup, from.setup) &&
      from.generation.keepsAll(planPools(manifest, setup.config));
    const renewAll = isSame ? "asked for: nothing has changed" : null;
    const move = { from, setup, manifest, isBuilt: true, changed, renewAll };
    return stored.orDiscard(manifest, () => this.#move(move, startedAtMs));
  }

  async #loadSetup(): Promise<Setup> {
    try {
      return await this.#options.loadSetup({ signal: this.#signal });
    } catch (error) {
      this.#signal.throwIfAborted();
      throw error;
    }
  }

  async #rollback(wanted?: string): Promise<ReloadReport> {
    const startedAtMs = performance.now();
    this.#signal.throwIfAborted();
    const { stored } = this.#options;
    const from = this.#options.serving();
    const { setup, generation } = from;
    const id = await stored.find(wanted, generation.manifest);
    return stored.lend(id, (manifest) => {
      const move = { from, setup, manifest, isBuilt: false, changed: [], renewAll: null };
      return this.#move(move, startedAtMs);
    });
  }

  async #move(move: Move, startedAtMs: number): Promise<ReloadReport> {
    const { from, setup, manifest, isBuilt, changed } = move;
    const proven = await this.#prove(move);
    // From here to the switch nothing waits.
    if (this.#signal.aborted) await giveUp(proven, from);
    this.#signal.throwIfAborted();
    this.#options.switchTo(proven);
    const settings = new Set(changed.map(({ name }) => name));
    if (proven.swaps.length > 0) settings.add("certs");
    const previousId = from.generation.manifest.id;
    const report: ReloadReport = {
      generation: manifest.id,
      previous: previousId,
      durationMs: Math.round(performance.now() - startedAtMs),
      pools: [...proven.generation.changes],
      settings: [...settings],
      warnings: isBuilt ? [...setup.warnings, ...manifest.warnings] : [],
      moved: null,
    };
    const { keepGenerations: keepLast } = setup.config;
    await this.#options.stored.recordServing(manifest, { isBuilt });
    await this.#options.stored.tidyUp({ previousId, keep: manifest.id, keepLast });
    return report;
  }

  /** Opens all that the switch needs, and sees whether it works; or opens nothing. */
  async #prove(move: Move): Promise<Proven> {
    const { from, setup } = move;
    const { publicDir } = setup.config;
    // First what is quick to fail.
    const swaps = this.#prepareCertificates(move);
    let { files } = from;
    try {
      if (publicDir !== from.setup.config.publicDir) {
        const { log } = this.#options;
        files = publicDir === null ? null : await FileIndex.open(publicDir, { log });
      }
      const generation = await this.#startGeneration(move);
      return { setup, generation, files, swaps };
    } catch (error) {
      await giveUp({ generation: null, files, swaps }, from);
      throw error;
    }
  }

  #prepareCertificates({ from, setup }: Move): CertificateSwap[] {
    const { certificates } = setup;
    if (certificates === null || haveSameCertificates(setup, from.setup)) return [];
    return this.#options.listeners.prepareCertificates(certificates);
  }

  /** Starts the pools that the one before does not have, and tries them. */
  async #startGeneration({
    from,
    setup: { config },
    manifest,
    renewAll,
  }: Omit<Move, "from" | "changed" | "isBuilt"> & {
    from: Serving | null;
  }): Promise<LiveGeneration> {
    const { log, nextId, recent, shared } = this.#options;
    const signal = this.#signal;
    const previous = from?.generation ?? null;
    const generation = await LiveGeneration.start(
      { ...shared, config, manifest, previous, renewAll },
      { signal },
    );
    const unused = findUnusedPools(planPools(manifest, config), config);
    if (unused.length > 0) log.warn({ pools: unused }, "pools that no handler is in");
    try {
      await proveGeneration(generation, {
        isNew: (pool) => previous?.pools.get(pool.plan.name) !== pool,
        recent: recent(),
        nextId,
        log,
        signal,
      });
    } catch (error) {
      await generation.destroyNew(previous);
      throw error;
    }
    return generation;
  }
}

/** Closes what was opened for a move that will not be. */
async function giveUp(
  {
    generation,
    files,
    swaps,
  }: Pick<Proven, "files" | "swaps"> & { generation: LiveGeneration | null },
  from: Serving,
): Promise<void> {
  for (const swap of swaps) swap.discard();
  if (files !== from.files) await files?.destroy();
  await generation?.destroyNew(from.generation);
}
