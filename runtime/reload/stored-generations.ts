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
import { loadManifest, type Manifest } from "../generation/manifest.ts";
import type { Logger } from "../log.ts";
import { GenerationLeases } from "./generation-leases.ts";

/**
 * The generations on disk, as the process sees them that serves one of them: it builds new ones, goes back to old ones,
 * and holds a lease on whatever it uses.
 */
export class StoredGenerations {
  readonly leases: GenerationLeases;
  readonly #stateDir: string;
  readonly #log: Logger;
  #sources: readonly string[] = [];

  constructor(stateDir: string, log: Logger) {
    this.leases = new GenerationLeases(stateDir);
    this.#stateDir = stateDir;
    this.#log = log;
  }

  /** The local files of which the handlers were built last, even when that failed. Absolute. */
  get sources(): readonly string[] {
    return this.#sources;
  }

  /** Newest first. */
  list(): Promise<StoredGeneration[]> {
    return listGenerations(this.#stateDir);
  }

  /** Builds a generation, and holds its lease. */
  async build(config: Config, { signal }: { signal: AbortSignal }): Promise<Manifest> {
    const { handlersDir, mode, keepGenerations } = config;
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
   * @param wanted The one that served before, unless told; after a start, the one that was built before it.
   * @param options.previousId What served before in this process; `null`: nothing did.
   * @throws RuntimeError `ERR_HANDLER_LOAD` when there is no such generation or it serves already.
   */
  async find(
    wanted: string | undefined,
    { currentId, previousId }: { currentId: string; previousId: string | null },
  ): Promise<string> {
    if (wanted === currentId) {
      throw new RuntimeError(
        "ERR_HANDLER_LOAD",
        `Cannot roll back to ${wanted}: it serves already`,
      );
    }
    const ids = (await this.list()).map(({ id }) => id);
    const before = ids.find((id) => id === previousId) ?? ids.find((id) => id < currentId);
    const found = wanted === undefined ? before : ids.find((id) => id === wanted);
    if (found !== undefined) return found;
    throw new RuntimeError(
      "ERR_HANDLER_LOAD",
      `Cannot roll back to ${wanted ?? "the generation before"}: found none, expected one of ${ids.join(", ")}`,
    );
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
