import type { ExchangeId } from "../channel/messages.ts";
import {
  type ChangedSetting,
  findChangedSettings,
  refuseRestarts,
} from "../config/reload-effect.ts";
import type { ReloadReport } from "../control/operations.ts";
import type { CertificateSwap } from "../engine/uws/acceptor.ts";
import type { Listeners } from "../engine/listeners.ts";
import type { Manifest } from "../generation/manifest.ts";
import { LiveGeneration } from "../handlers/live-generation.ts";
import type { SharedParts } from "../handlers/handler-pool.ts";
import type { Logger } from "../log/log.ts";
import { OneAtATime } from "../lib/one-at-a-time.ts";
import { InTurn } from "./in-turn.ts";
import { findUnusedPools, planPools } from "../handlers/pool-plan.ts";
import { proveGeneration } from "./prove-generation.ts";
import type { RecentRequest } from "../observe/recent-requests.ts";
import type { StoredGenerations } from "./stored-generations.ts";
import { haveSameCertificates, type Setup } from "./setup.ts";
import { FileIndex } from "../files/file-index.ts";

export interface ReloaderOptions {
  log: Logger;
  stored: StoredGenerations;
  shared: SharedParts;
  listeners: Listeners;
  /**
   * Reads the setup again, for a reload.
   *
   * @throws RuntimeError for an invalid setup, which refuses the reload.
   */
  loadSetup: (options: { signal: AbortSignal }) => Promise<Setup>;
  /** Names each internal request. */
  nextId: () => ExchangeId;
  /** Recent requests, to try new workers with. */
  recent: () => readonly RecentRequest[];
  /** The present state. Only the switch changes it. */
  serving: () => Serving;
  /** Switches in one step, which must not wait and must not fail. */
  switchTo: (proven: Proven) => void;
  /** Ends builds and boots that are running. */
  signal: AbortSignal;
}

/** The parts that handle new requests. */
export interface Serving {
  readonly setup: Setup;
  readonly generation: LiveGeneration;
  readonly files: FileIndex | null;
}

/** All parts that the switch needs, open. */
export interface Proven {
  setup: Setup;
  generation: LiveGeneration;
  files: FileIndex | null;
  swaps: readonly CertificateSwap[];
}

/** The plan of one reload or rollback. Requests see nothing of it before the switch. */
interface Transition {
  from: Serving;
  setup: Setup;
  /** The manifest of a generation that is leased and held. */
  manifest: Manifest;
  /** The generation was just built, not taken from the disk. */
  isBuilt: boolean;
  changed: readonly ChangedSetting[];
  /** Why all pools get new workers; `null`: only pools that differ do. */
  renewAll: string | null;
}

/**
 * Takes a primary from one generation to another by a reload or a rollback, one at a time.
 *
 *     reading ──▶ building ──▶ booting ──▶ proving ──▶ switch ──▶ the old pools retire
 *        └───────────┴────────────┴───────────┴──fails──▶ all new parts are closed, and nothing has changed
 *
 * The switch is one synchronous step that cannot fail: config, certificates, static files and handlers change
 * together. Nothing waits between the last check of the signal and the switch.
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
   * Builds and starts the first generation, and holds its lease.
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

  /** See `Primary.reload`. All calls during a reload share the next one. */
  reload(): Promise<ReloadReport> {
    return this.#reloads.run();
  }

  /** See `Primary.rollback`. */
  rollback(id?: string): Promise<ReloadReport> {
    return this.#turns.run(() => this.#rollback(id));
  }

  /** Resolves when no reload or rollback runs or waits. */
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
    const renewAll = isSame ? "reload without a change" : null;
    const transition = { from, setup, manifest, isBuilt: true, changed, renewAll };
    return stored.orDiscard(manifest, () => this.#carryOut(transition, startedAtMs));
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
      const transition = { from, setup, manifest, isBuilt: false, changed: [], renewAll: null };
      return this.#carryOut(transition, startedAtMs);
    });
  }

  async #carryOut(transition: Transition, startedAtMs: number): Promise<ReloadReport> {
    const { from, setup, manifest, isBuilt, changed } = transition;
    const proven = await this.#prove(transition);
    // Nothing waits from here to the switch.
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

  /** Opens and tries all parts that the switch needs. If one fails, closes them again. */
  async #prove(transition: Transition): Promise<Proven> {
    const { from, setup } = transition;
    const { publicDir, publicLinks: links } = setup.config;
    const before = from.setup.config;
    // Do first what fails quickly.
    const swaps = this.#prepareCertificates(transition);
    let { files } = from;
    try {
      if (publicDir !== before.publicDir || links !== before.publicLinks) {
        const { log } = this.#options;
        files = publicDir === null ? null : await FileIndex.open(publicDir, { log, links });
      }
      const generation = await this.#startGeneration(transition);
      return { setup, generation, files, swaps };
    } catch (error) {
      await giveUp({ generation: null, files, swaps }, from);
      throw error;
    }
  }

  #prepareCertificates({ from, setup }: Transition): CertificateSwap[] {
    const { certificates } = setup;
    if (certificates === null || haveSameCertificates(setup, from.setup)) return [];
    return this.#options.listeners.prepareCertificates(certificates);
  }

  /** Starts the pools that the previous generation lacks, and tries them. */
  async #startGeneration({
    from,
    setup: { config },
    manifest,
    renewAll,
  }: Omit<Transition, "from" | "changed" | "isBuilt"> & {
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
    if (unused.length > 0) log.warn({ pools: unused }, "configured pools without handlers");
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

/** Closes the parts that were opened for a reload or rollback that failed. */
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
