import { findChangedSettings, refuseRestarts } from "../config/reload-effect.ts";
import type { ReloadReport } from "../control/operations.ts";
import type { Manifest } from "../generation/manifest.ts";
import { planPools } from "../handlers/pool-plan.ts";
import { OneAtATime } from "../lib/one-at-a-time.ts";
import { InTurn } from "./in-turn.ts";
import type { LiveHandlers } from "./live-handlers.ts";
import { type Change, type Part, switchAll } from "./part.ts";
import { haveSameCertificates, type Setup } from "./setup.ts";
import type { StoredGenerations } from "./stored-generations.ts";

export interface ReloaderOptions {
  stored: StoredGenerations;
  handlers: LiveHandlers;
  /** All parts that a reload may change, in the order of preparation. Parts that fail quickly come first. */
  parts: readonly Part[];
  /**
   * Reads the setup again, for a reload.
   *
   * @throws RuntimeError for an invalid setup, which refuses the reload.
   */
  loadSetup: (options: { signal: AbortSignal }) => Promise<Setup>;
  /** The present setup. Only the last part changes it. */
  setup: () => Setup;
  /** Aborts running builds and boots. */
  signal: AbortSignal;
}

/**
 * Takes a server from one generation to another by a reload or a rollback, one at a time.
 *
 *     reading ──▶ building ──▶ preparing part by part ──▶ commit of all parts
 *        └───────────┴───────────────┴──fails──▶ all prepared parts are discarded, and nothing has changed
 *
 * The commit is one synchronous step that cannot fail: config, certificates, static files and handlers change
 * together. Nothing waits between the last check of the signal and the commit.
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
   * Starts the first generation and holds its lease. Uses the last build if nothing has changed since, otherwise makes
   * a new one.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD`, `ERR_BOOT_LOOP`; the signal's reason.
   */
  async startFirst(setup: Setup): Promise<void> {
    const { stored, handlers } = this.#options;
    const signal = this.#signal;
    const manifest = await stored.open(setup.config, { signal });
    const change = { from: null, to: setup, manifest, renewAll: null };
    const prepared = await stored.orDiscard(manifest, () => handlers.prepare(change, { signal }));
    prepared.commit();
    await stored.recordServing(manifest, { isBuilt: true });
  }

  /** Reloads the server (see `Primary.reload`). All calls during a reload share the next one. */
  reload(): Promise<ReloadReport> {
    return this.#reloads.run();
  }

  /** Rolls the server back (see `Primary.rollback`). */
  rollback(id?: string): Promise<ReloadReport> {
    return this.#turns.run(() => this.#rollback(id));
  }

  /** Runs a task while no reload or rollback runs. */
  between<T>(task: () => Promise<T>): Promise<T> {
    return this.#turns.run(task);
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
    const to = await this.#loadSetup();
    const from = this.#options.setup();
    refuseRestarts(findChangedSettings(from.config, to.config));
    const manifest = await stored.build(to.config, { signal: this.#signal });
    const renewAll = this.#isSame(from, to, manifest) ? "reload without a change" : null;
    const change = { from, to, manifest, renewAll };
    const report = await stored.orDiscard(manifest, () => this.#carryOut(change, startedAtMs));
    await this.#record(report, change, { isBuilt: true });
    return { ...report, warnings: [...to.warnings, ...manifest.warnings] };
  }

  async #loadSetup(): Promise<Setup> {
    try {
      return await this.#options.loadSetup({ signal: this.#signal });
    } catch (error) {
      this.#signal.throwIfAborted();
      throw error;
    }
  }

  /** Tells whether a reload would change nothing. In that case the operator wants fresh workers. */
  #isSame(from: Setup, to: Setup, manifest: Manifest): boolean {
    return (
      findChangedSettings(from.config, to.config).length === 0 &&
      haveSameCertificates(to, from) &&
      this.#options.handlers.generation.keepsAll(planPools(manifest, to.config))
    );
  }

  async #rollback(wanted?: string): Promise<ReloadReport> {
    const startedAtMs = performance.now();
    this.#signal.throwIfAborted();
    const { stored, handlers } = this.#options;
    const setup = this.#options.setup();
    const id = await stored.find(wanted, handlers.generation.manifest);
    return stored.lend(id, async (manifest) => {
      const change = { from: setup, to: setup, manifest, renewAll: null };
      const report = await this.#carryOut(change, startedAtMs);
      await this.#record(report, change, { isBuilt: false });
      return report;
    });
  }

  /** Prepares all parts, and commits them. */
  async #carryOut(
    change: Change & { from: Setup },
    startedAtMs: number,
  ): Promise<ReloadReport & { previous: string }> {
    const { from, to, manifest } = change;
    const { parts, handlers } = this.#options;
    const previous = handlers.generation.manifest.id;
    await switchAll(parts, change, { signal: this.#signal });
    const changed = findChangedSettings(from.config, to.config);
    const settings = new Set(changed.map(({ name }) => name));
    if (!haveSameCertificates(from, to)) settings.add("certs");
    return {
      generation: manifest.id,
      previous,
      durationMs: Math.round(performance.now() - startedAtMs),
      pools: [...handlers.generation.changes],
      settings: [...settings],
      warnings: [],
      moved: null,
    };
  }

  /** Records on disk that the generation serves. Never rejects. */
  async #record(
    { previous }: { previous: string },
    { to, manifest }: Change,
    { isBuilt }: { isBuilt: boolean },
  ): Promise<void> {
    const { stored } = this.#options;
    await stored.recordServing(manifest, { isBuilt });
    const { keepGenerations: keepLast } = to.config;
    await stored.tidyUp({ previousId: previous, keep: manifest.id, keepLast });
  }
}
