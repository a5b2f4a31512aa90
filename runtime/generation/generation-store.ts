import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { RuntimeError } from "../lib/errors.ts";
import { hashCode } from "./hash-code.ts";
import { createGenerationId, isGenerationId } from "./generation-id.ts";
import { isLeased } from "./lease.ts";
import { loadManifest, type Manifest } from "./manifest.ts";

/** A folder that a generation is built in. Ends by `publish` or `discard`. */
export interface Draft {
  id: string;
  /** Beside its final place, so that relative paths in its files stay true. */
  dir: string;
  /** Makes it a generation, in one step, and returns its folder. */
  publish: () => Promise<string>;
  /** Removes the build. */
  discard: () => Promise<void>;
}

/** The folder of a generation. */
export function toGenerationDir(stateDir: string, id: string): string {
  return join(stateDir, "generations", id);
}

/**
 * Opens a draft under a fresh id.
 *
 * @throws RuntimeError ERR_HANDLER_LOAD if the state folder cannot be written.
 */
export async function createDraft(stateDir: string): Promise<Draft> {
  const id = createGenerationId();
  const dir = toGenerationDir(stateDir, `${BUILDING}${id}`);
  try {
    await mkdir(dir, { recursive: true });
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot build handlers into ${stateDir}: ${problem}, expected a folder that can be written`;
    throw new RuntimeError("ERR_HANDLER_LOAD", message, { cause });
  }
  return {
    id,
    dir,
    async publish() {
      const finalDir = toGenerationDir(stateDir, id);
      await rename(dir, finalDir);
      return finalDir;
    },
    async discard() {
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** The facts about a generation on disk that need no loading. */
export interface StoredGeneration {
  id: string;
  /** RFC 3339. */
  createdAt: string;
  /** `development`: `edgicorn dev` built it. */
  mode: Manifest["mode"];
  routes: number;
  /** Hash of its code: equal for two that do the same. */
  code: string;
}

/**
 * Lists the usable generations on disk, newest first. Leaves out generations of another version of the manifest.
 */
export async function listGenerations(stateDir: string): Promise<StoredGeneration[]> {
  const names = await readdir(toGenerationDir(stateDir, "")).catch((): string[] => []);
  const ids = names.filter(isGenerationId).toSorted().toReversed();
  const found = await Promise.all(
    ids.map(async (id) => {
      const manifest = await loadManifest(toGenerationDir(stateDir, id)).catch(() => null);
      if (manifest === null) return [];
      const { createdAt, mode, routes } = manifest;
      return [{ id, createdAt, mode, routes: routes.length, code: hashCode(manifest) }];
    }),
  );
  return found.flat();
}

/** Removes a generation, in one step for other processes. Keeps a generation that a process uses (see `writeLease`). */
export async function removeGeneration(stateDir: string, id: string): Promise<void> {
  const dir = toGenerationDir(stateDir, id);
  if (await isLeased(dir)) return;
  // The rename comes first: no process must find half a generation. Without a folder, another build prunes too.
  const removing = toGenerationDir(stateDir, `${REMOVING}${id}`);
  await rename(dir, removing).catch(ignoreMissing);
  // A process that reuses the generation may have leased it between the question and the new name.
  if (await isLeased(removing)) await rename(removing, dir);
  else await rm(removing, { recursive: true, force: true });
}

export interface PruneOptions {
  stateDir: string;
  /** Number of newest generations to keep. */
  keepLast: number;
  /** The generation that the caller has just built. It stays even if all others are newer. */
  keep: string;
}

/**
 * Removes old generations that no process uses, and drafts that a build has left behind when it was
 * killed.
 */
export async function pruneGenerations({ stateDir, keepLast, keep }: PruneOptions): Promise<void> {
  const names = (await readdir(toGenerationDir(stateDir, ""))).toSorted();
  const generations = names.filter(isGenerationId);
  const old = generations.slice(0, Math.max(0, generations.length - keepLast));
  for (const id of old) {
    if (id !== keep) await removeGeneration(stateDir, id);
  }
  for (const name of names) {
    if (!name.startsWith(BUILDING) && !name.startsWith(REMOVING)) continue;
    const dir = toGenerationDir(stateDir, name);
    const stats = await stat(dir).catch(ignoreMissing);
    if (stats && Date.now() - stats.mtimeMs > ABANDONED_MS) {
      await rm(dir, { recursive: true, force: true });
    }
  }
}

const BUILDING = ".building-";
const REMOVING = ".removing-";

/** Far longer than any build takes. */
const ABANDONED_MS = 60 * 60 * 1000;

function ignoreMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw error;
}
