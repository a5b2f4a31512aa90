import { readdirSync } from "node:fs";

import { findChangedApp } from "./apps.ts";
import {
  type BuildRecord,
  type Fingerprints,
  hashFile,
  hashFolder,
  hashOutputs,
  loadRecord,
} from "./build-record.ts";
import { isGenerationId } from "./generation-id.ts";
import { toGenerationDir } from "./generation-store.ts";
import { hashPackages } from "./hash-packages.ts";
import { loadManifest, type Manifest } from "./manifest.ts";
import { PackageFinder } from "./packages.ts";

/** The last generation that was built under the same conditions, and its record. */
export interface LastBuild {
  id: string;
  record: BuildRecord;
}

/** Finds the last generation that was built under these conditions; `null`: there is none on disk. */
export function findLastBuild(stateDir: string, conditions: string): LastBuild | null {
  for (const id of listIds(stateDir)) {
    const record = loadRecord(toGenerationDir(stateDir, id));
    if (record?.conditions === conditions) return { id, record };
  }
  return null;
}

/**
 * Loads the manifest of an earlier build, if a build now would have the same result: the files, folders and packages
 * that it read have not changed, and neither have its own files. The caller holds a lease on the generation.
 *
 * Reads every file again and compares hashes. Times and sizes do not count: they miss edits that keep both.
 *
 * @returns `null` if anything differs.
 */
export async function loadUnchanged(
  stateDir: string,
  { id, record }: LastBuild,
): Promise<Manifest | null> {
  const dir = toGenerationDir(stateDir, id);
  // The cheapest first: a changed source is found before the outputs are read.
  if (!areSame(record.folders, hashFolder) || !areSame(record.files, hashFile)) return null;
  try {
    if (!(await seesSamePackages(record))) return null;
    if (!isSameList(record.outputs, hashOutputs(dir))) return null;
    const manifest = await loadManifest(dir);
    if ((await findChangedApp(manifest)) !== null) return null;
    const packages = await hashPackages(manifest.sourceDir, record.packageDirs);
    return packages === manifest.packages ? manifest : null;
  } catch {
    // The folder is damaged or gone: a build does not need it.
    return null;
  }
}

/** Newest first. */
function listIds(stateDir: string): string[] {
  try {
    return readdirSync(toGenerationDir(stateDir, ""))
      .filter(isGenerationId)
      .toSorted()
      .toReversed();
  } catch {
    // Nothing was built here yet.
    return [];
  }
}

function areSame(recorded: Fingerprints, read: (path: string) => string | null): boolean {
  return Object.entries(recorded).every(([path, hash]) => read(path) === hash);
}

function isSameList(recorded: Fingerprints, found: Fingerprints): boolean {
  const names = Object.keys(found);
  return (
    names.length === Object.keys(recorded).length &&
    names.every((name) => found[name] !== null && found[name] === recorded[name])
  );
}

async function seesSamePackages({ packages }: BuildRecord): Promise<boolean> {
  const finder = new PackageFinder();
  for (const [name, from, dir] of packages) {
    if ((await finder.find(name, from)) !== dir) return false;
  }
  return true;
}
