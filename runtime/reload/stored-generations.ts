import type { Config } from "../config/config.ts";
import { listProxies } from "../config/proxies.ts";
import { RuntimeError } from "../lib/errors.ts";
import { refuseChangedApps } from "../generation/apps.ts";
import { BuildError } from "../generation/build-error.ts";
import { buildInChild, findBuildEntry } from "../generation/build-process.ts";
import { describeConditions } from "../generation/build-record.ts";
import {
  listGenerations,
  pruneGenerations,
  removeGeneration,
  type StoredGeneration,
  toGenerationDir,
} from "../generation/generation-store.ts";
import { hashCode } from "../generation/hash-code.ts";
import { loadManifest, type Manifest } from "../generation/manifest.ts";
import { findLastBuild, loadUnchanged } from "../generation/reuse.ts";
import type { Logger } from "../log/log.ts";
import { GenerationLeases } from "../generation/generation-leases.ts";
import type { BuiltSite } from "../generation/site-tables.ts";
import { ServedHistory } from "./served-history.ts";

/**
 * The generations on disk, for the process that serves one of them. Builds new ones, finds the target of a rollback,
 * and holds a lease on each generation in use.
 */
export class StoredGenerations {
  readonly leases: GenerationLeases;
  readonly #history: ServedHistory;
  readonly #stateDir: string;
  readonly #log: Logger;
  #sources: readonly string[] = [];
  /** Ids of generations that an earlier process built. */
  readonly #reused = new Set<string>();
  /**
   * Targets of a rollback, now or after the next switch. A lease on each keeps builds from removing them from the disk.
   */
  #spares: readonly string[] = [];
  /**
   * Returns the generation that served last. In development: the last one before this process, since development writes
   * no history.
   */
  readonly #lastServed: () => { readonly id: string; readonly code: string } | undefined;
  readonly #mode: Config["mode"];

  constructor(stateDir: string, log: Logger, mode: Config["mode"]) {
    this.leases = new GenerationLeases(stateDir);
    // Experiments of development must not become rollback targets of production.
    this.#history = new ServedHistory(stateDir, log, { persists: mode === "production" });
    this.#mode = mode;
    const [before] = this.#history.served;
    this.#lastServed = mode === "production" ? () => this.#history.served[0] : () => before;
    this.#stateDir = stateDir;
    this.#log = log;
  }

  /** The local files from which the handlers were built last, even if that build failed. Absolute paths. */
  get sources(): readonly string[] {
    return this.#sources;
  }

  /** The last built generation, if a rollback replaced it; `null`: it serves. */
  get rolledBackFrom(): string | null {
    return this.#history.rolledBackFrom;
  }

  /** Lists the generations on disk, the newest first. */
  list(): Promise<StoredGeneration[]> {
    return listGenerations(this.#stateDir);
  }

  /**
   * Returns the last build if a new build would have the same result, and builds otherwise. Holds the lease. For a
   * start only: a reload always builds.
   */
  async open(config: Config, options: { signal: AbortSignal }): Promise<Manifest> {
    return (await this.#reuse(config)) ?? this.build(config, options);
  }

  async #reuse(config: Config): Promise<Manifest | null> {
    const conditions = this.#describeConditions(config);
    const last = conditions === null ? null : findLastBuild(this.#stateDir, conditions);
    if (last === null) return null;
    // The lease comes first: no process removes a leased generation. If it is already gone, loading fails.
    await this.leases.take(last.id);
    const manifest = await loadUnchanged(this.#stateDir, last);
    if (manifest === null) {
      await this.leases.release(last.id);
      return null;
    }
    this.#reused.add(manifest.id);
    this.#sources = manifest.inputs;
    this.#log.debug(
      { generation: manifest.id },
      "handlers are unchanged since the last build: using it",
    );
    for (const warning of manifest.warnings) this.#log.warn(warning);
    return manifest;
  }

  #describeConditions(config: Config): string | null {
    const { handlersDir, mode, apps, fileApps } = config;
    const order = { handlersDir, stateDir: this.#stateDir, mode, apps, fileApps };
    return describeConditions(findBuildEntry(), { ...order, sites: listBuiltSites(config) });
  }

  /** Builds a generation and holds its lease. */
  async build(config: Config, { signal }: { signal: AbortSignal }): Promise<Manifest> {
    const { handlersDir, mode, keepGenerations } = config;
    const last = this.#lastServed();
    if (last !== undefined) await this.#holdSpares(last.code, { also: last.id });
    try {
      const manifest = await buildInChild({
        handlersDir,
        stateDir: this.#stateDir,
        mode,
        apps: config.apps,
        fileApps: config.fileApps,
        sites: listBuiltSites(config),
        isOptional: listProxies(config).length > 0,
        conditions: this.#describeConditions(config) ?? undefined,
        leaseTo: process.pid,
        // The new generation must not displace an older one before it was tested.
        keepLast: keepGenerations + 1,
        signal,
      });
      this.leases.hold(manifest.id);
      this.#sources = manifest.inputs;
      for (const warning of manifest.warnings) this.#log.warn(warning);
      return manifest;
    } catch (error) {
      if (error instanceof BuildError) this.#sources = error.inputs;
      throw error;
    }
  }

  /**
   * Runs the task. If it fails, releases the lease. If this process built the generation, also removes it from the
   * disk, so that it does not become a rollback target.
   */
  async orDiscard<T>({ id }: Manifest, task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      await this.leases.release(id);
      if (this.#reused.has(id)) throw error;
      await removeGeneration(this.#stateDir, id).catch((failure: unknown) =>
        this.#log.warn({ err: failure }, "cannot remove a generation that was refused"),
      );
      throw error;
    }
  }

  /**
   * Finds the generation for a rollback.
   *
   * @param wanted Id of a generation; `undefined`: the last one that served with different code, also before a restart.
   * @throws RuntimeError `ERR_HANDLER_LOAD` when there is no such generation, it serves already, or `edgicorn dev`
   *   built it and this server runs in production.
   */
  async find(wanted: string | undefined, current: Manifest): Promise<string> {
    if (wanted === current.id) {
      throw new RuntimeError(
        "ERR_HANDLER_LOAD",
        `Cannot roll back to ${wanted}: it serves already, expected another generation`,
      );
    }
    const all = await this.list();
    const targets = this.#targetsOf(all);
    const found =
      wanted === undefined
        ? this.findBefore(all, current)
        : targets.find(({ id }) => id === wanted)?.id;
    if (found !== undefined) return found;
    const others = targets.filter(({ id }) => id !== current.id).map(({ id }) => id);
    const expected =
      others.length > 0
        ? `expected one of ${others.join(", ")}`
        : all.length > targets.length
          ? "and edgicorn dev built the others on disk"
          : "and there is no other generation on disk";
    const isStored = all.some(({ id }) => id === wanted);
    throw new RuntimeError(
      "ERR_HANDLER_LOAD",
      wanted === undefined
        ? `Cannot roll back: found no earlier generation with different code, ${expected}`
        : `Cannot roll back to ${wanted}: ${isStored ? "edgicorn dev built it" : "it is not on disk"}, ${expected}`,
    );
  }

  /** Returns the target of a rollback without an id, among the generations on disk. */
  findBefore(all: readonly StoredGeneration[], current: Manifest): string | undefined {
    const code = hashCode(current);
    const targets = this.#targetsOf(all);
    const served = this.#findServed(targets, code);
    // Without a history, take the newest older generation with different code.
    return served ?? targets.find((stored) => stored.code !== code && stored.id < current.id)?.id;
  }

  /**
   * Returns the possible targets of a rollback. In production these are only generations that were built for
   * production.
   */
  #targetsOf(all: readonly StoredGeneration[]): readonly StoredGeneration[] {
    return this.#mode === "production" ? onlyProduction(all) : all;
  }

  /** Leases a generation and runs the task. Releases the lease if the task fails. */
  async lend<T>(id: string, task: (manifest: Manifest) => Promise<T>): Promise<T> {
    // The lease comes first: no process removes a leased generation. If it is already gone, loading fails.
    await this.leases.take(id);
    try {
      const manifest = await loadManifest(toGenerationDir(this.#stateDir, id));
      await refuseChangedApps(manifest);
      return await task(manifest);
    } catch (error) {
      await this.leases.release(id);
      throw error;
    }
  }

  /** Records that a generation serves from now on. Never rejects. */
  async recordServing(manifest: Manifest, options: { isBuilt: boolean }): Promise<void> {
    const code = hashCode(manifest);
    await this.#history.add({ id: manifest.id, code }, options);
    if (this.#mode === "production") await this.#holdSpares(code);
  }

  /** Releases the leases on rollback targets. */
  async releaseSpares(): Promise<void> {
    const spares = this.#spares;
    this.#spares = [];
    for (const spare of spares) await this.leases.release(spare);
  }

  /**
   * Leases the rollback target of production for this code. Never rejects.
   *
   * @param options.also The generation that serves, or served last. It becomes the rollback target if the next build
   *   has different code. After a restart no pool has a lease on it.
   */
  async #holdSpares(code: string, { also }: { also?: string } = {}): Promise<void> {
    try {
      const all = await this.list();
      const isStored = all.some(({ id }) => id === also);
      const spares = [
        this.#findServed(onlyProduction(all), code),
        isStored ? also : undefined,
      ].filter((id) => id !== undefined);
      for (const spare of spares) await this.leases.take(spare);
      await this.releaseSpares();
      this.#spares = spares;
    } catch (error) {
      this.#log.warn({ err: error }, "cannot lease the target of a rollback");
    }
  }

  /** Returns the last generation on disk that served with different code. */
  #findServed(all: readonly StoredGeneration[], code: string): string | undefined {
    const others = new Set(all.filter((stored) => stored.code !== code).map(({ id }) => id));
    return this.#history.served.find(({ id }) => others.has(id))?.id;
  }

  /** Removes old generations after a switch. A failure does not undo the switch. */
  async tidyUp({
    previousId,
    keep,
    keepLast,
  }: {
    previousId: string;
    keep: string;
    keepLast: number;
  }): Promise<void> {
    try {
      await this.leases.release(previousId);
      await pruneGenerations({ stateDir: this.#stateDir, keepLast, keep });
    } catch (error) {
      this.#log.warn({ err: error }, "cannot remove old generations");
    }
  }
}

function listBuiltSites({ sites }: Config): BuiltSite[] {
  return sites.flatMap(({ name, handlersDir, pool }) =>
    handlersDir === null ? [] : [{ name, handlersDir, pool }],
  );
}

function onlyProduction(all: readonly StoredGeneration[]): readonly StoredGeneration[] {
  return all.filter(({ mode }) => mode === "production");
}
