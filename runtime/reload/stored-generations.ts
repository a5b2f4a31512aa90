import type { Config } from "../config.ts";
import { RuntimeError } from "../errors.ts";
import { BuildError } from "../generation/build-error.ts";
import { buildInChild } from "../generation/build-process.ts";
import {
  listGenerations,
  pruneGenerations,
  removeGeneration,
  type StoredGeneration,
  toGenerationDir,
} from "../generation/generation-store.ts";
import { hashCode } from "../generation/hash-code.ts";
import { loadManifest, type Manifest } from "../generation/manifest.ts";
import type { Logger } from "../log.ts";
import { GenerationLeases } from "./generation-leases.ts";
import { ServedHistory } from "./served-history.ts";

/**
 * The generations on disk, as the process sees them that serves one of them: it builds new ones, goes back to old ones,
 * and holds a lease on whatever it uses.
 */
export class StoredGenerations {
  readonly leases: GenerationLeases;
  readonly #history: ServedHistory;
  readonly #stateDir: string;
  readonly #log: Logger;
  #sources: readonly string[] = [];
  /**
   * What a rollback goes to, or may go to once something else serves. Leased: builds, however many, must not push it off the
   * disk.
   */
  #spares: readonly string[] = [];
  /** What served last; in development, what did before it began: of its own nothing is kept. */
  readonly #lastServed: () => { readonly id: string; readonly code: string } | undefined;
  readonly #mode: Config["mode"];

  constructor(stateDir: string, log: Logger, mode: Config["mode"]) {
    this.leases = new GenerationLeases(stateDir);
    // What somebody tries while working on handlers is nothing that production goes back to.
    this.#history = new ServedHistory(stateDir, log, { persists: mode === "production" });
    this.#mode = mode;
    const [before] = this.#history.served;
    this.#lastServed = mode === "production" ? () => this.#history.served[0] : () => before;
    this.#stateDir = stateDir;
    this.#log = log;
  }

  /** The local files of which the handlers were built last, even when that failed. Absolute. */
  get sources(): readonly string[] {
    return this.#sources;
  }

  /** What was built last, when something else serves: the next build serves in its place. */
  get rolledBackFrom(): string | null {
    return this.#history.rolledBackFrom;
  }

  /** Newest first. */
  list(): Promise<StoredGeneration[]> {
    return listGenerations(this.#stateDir);
  }

  /** Builds a generation, and holds its lease. */
  async build(config: Config, { signal }: { signal: AbortSignal }): Promise<Manifest> {
    const { handlersDir, mode, keepGenerations } = config;
    const last = this.#lastServed();
    if (last !== undefined) await this.#holdSpares(last.code, { also: last.id });
    try {
      const manifest = await buildInChild({
        handlersDir,
        stateDir: this.#stateDir,
        mode,
        leaseTo: process.pid,
        // Until it has proven itself it takes nobody's place.
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

  /** A generation that was just built and does not come to serve leaves nothing on disk: nobody may go back to it. */
  async orDiscard<T>({ id }: Manifest, task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      await this.leases.release(id);
      await removeGeneration(this.#stateDir, id).catch((failure: unknown) =>
        this.#log.warn({ err: failure }, "cannot remove a generation that was refused"),
      );
      throw error;
    }
  }

  /**
   * Finds the generation to go back to.
   *
   * @param wanted The last that served and does something else than what serves now, unless told; over restarts, too.
   * @throws RuntimeError `ERR_HANDLER_LOAD` when there is no such generation or it serves already.
   */
  async find(wanted: string | undefined, current: Manifest): Promise<string> {
    if (wanted === current.id) {
      throw new RuntimeError(
        "ERR_HANDLER_LOAD",
        `Cannot roll back to ${wanted}: it serves already`,
      );
    }
    const all = await this.list();
    const found =
      wanted === undefined
        ? this.findBefore(all, current)
        : all.find(({ id }) => id === wanted)?.id;
    if (found !== undefined) return found;
    const others = all.filter(({ id }) => id !== current.id).map(({ id }) => id);
    const expected =
      others.length === 0 ? "and no other is on disk" : `expected one of ${others.join(", ")}`;
    throw new RuntimeError(
      "ERR_HANDLER_LOAD",
      wanted === undefined
        ? `Cannot roll back: found none that served before with other code than what serves, ${expected}`
        : `Cannot roll back to ${wanted}: found none, ${expected}`,
    );
  }

  /** Where a rollback goes that names none, of those on disk. */
  findBefore(all: readonly StoredGeneration[], current: Manifest): string | undefined {
    const code = hashCode(current);
    const served = this.#findServed(all, code);
    // Nobody has written down who served.
    return served ?? all.find((stored) => stored.code !== code && stored.id < current.id)?.id;
  }

  /** Lends a generation to the task; if that fails, its lease is given back. */
  async lend<T>(id: string, task: (manifest: Manifest) => Promise<T>): Promise<T> {
    // Leased first: after that nobody prunes it any more, and if somebody did before, it cannot be loaded.
    await this.leases.take(id);
    try {
      return await task(await loadManifest(toGenerationDir(this.#stateDir, id)));
    } catch (error) {
      await this.leases.release(id);
      throw error;
    }
  }

  /** It serves from now on. Never rejects. */
  async recordServing(manifest: Manifest, options: { isBuilt: boolean }): Promise<void> {
    const code = hashCode(manifest);
    await this.#history.add({ id: manifest.id, code }, options);
    if (this.#mode === "production") await this.#holdSpares(code);
  }

  /** Others may remove now what is kept for a rollback. */
  async releaseSpares(): Promise<void> {
    const spares = this.#spares;
    this.#spares = [];
    for (const spare of spares) await this.leases.release(spare);
  }

  /**
   * Leases what a rollback would go to from this code. Never rejects.
   *
   * @param options.also One that serves or did last: where a rollback goes from what is about to be built, if its code is
   *   other. After a restart nobody else has a lease on it.
   */
  async #holdSpares(code: string, { also }: { also?: string } = {}): Promise<void> {
    try {
      const all = await this.list();
      const isStored = all.some(({ id }) => id === also);
      const spares = [this.#findServed(all, code), isStored ? also : undefined].filter(
        (id) => id !== undefined,
      );
      for (const spare of spares) await this.leases.take(spare);
      await this.releaseSpares();
      this.#spares = spares;
    } catch (error) {
      this.#log.warn({ err: error }, "cannot keep what a rollback would go to");
    }
  }

  /** The last one that served with other code, of those on disk. */
  #findServed(all: readonly StoredGeneration[], code: string): string | undefined {
    const others = new Set(all.filter((stored) => stored.code !== code).map(({ id }) => id));
    return this.#history.served.find(({ id }) => others.has(id))?.id;
  }

  /** After a switch. What fails now is no reason to think that it did not happen. */
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
