import { type BigIntStats, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

import type { Metafile } from "esbuild";

import {
  type BuildRecord,
  type Fingerprints,
  hashFile,
  hashFolder,
  hashOutputs,
  RECORD_FILE,
} from "./build-record.ts";
import type { PackageFinder } from "./packages.ts";
import type { Source } from "./source-plugin.ts";
import { readAliases, toCandidates } from "./tsconfig.ts";

export interface RecordOptions {
  /** See `describeConditions`. */
  conditions: string;
  /** When the build started to read, in ms since the epoch. */
  startedAtMs: number;
  /** The folder of the generation, before it is published. */
  dir: string;
  sourceDir: string;
  /** All compiled source files. */
  sources: ReadonlyMap<string, Source>;
  metafile: Metafile;
  finder: PackageFinder;
  /** Real folders of the packages that Node loads. */
  packageDirs: readonly string[];
  /** Files that set options of the compiler. */
  tsconfigs: readonly string[];
  /** Other files that influenced the result, also missing files. */
  lookedAt: readonly string[];
  /** Folders whose names of files influenced the result. */
  folders: readonly string[];
}

/**
 * Records everything that decided a build, for `loadUnchanged`. All files of the generation are written by then.
 *
 * Writes no record if a file changed during the build, or in the last moment before it: the compiler may have read the
 * file as it was before. The next start then builds again.
 */
export async function recordBuild(options: RecordOptions): Promise<void> {
  const { conditions, dir, finder, packageDirs, sources, startedAtMs } = options;
  const lookups = await finder.lookups();
  const places = await listPlaces(options);
  if (places === null) return;
  const { files, folders } = places;
  for (const found of [...packageDirs, ...lookups.flatMap((lookup) => lookup.dir ?? [])]) {
    files.add(join(found, "package.json"));
  }
  const compiled = new Map([...sources.values()].map(({ file, hash }) => [file, hash]));
  for (const path of compiled.keys()) files.delete(path);
  if (![...files, ...folders].every((path) => isSettled(path, startedAtMs))) return;
  if (![...compiled].every(([path, hash]) => hashFile(path) === hash)) return;
  const record: BuildRecord = {
    formatVersion: 1,
    conditions,
    files: { ...hashAll(files, hashFile), ...Object.fromEntries(compiled) },
    folders: hashAll(folders, hashFolder),
    packages: lookups.map(({ name, from, dir: found }) => {
      // The draft is renamed, and had no packages of its own when the compiler asked.
      return [name, from === dir ? dirname(dir) : from, found];
    }),
    packageDirs,
    outputs: hashOutputs(dir),
  };
  await writeFile(join(dir, RECORD_FILE), JSON.stringify(record));
}

/** Files that decide about all sources in their folder and below. */
const SETTING_FILES = [
  "package.json",
  "tsconfig.json",
  "jsconfig.json",
  ".pnp.cjs",
  ".pnp.data.json",
];

/** The places of files and folders that decided a build. */
class Places {
  readonly files = new Set<string>();
  readonly folders = new Set<string>();
  readonly #above = new Set<string>();

  /**
   * Adds a place where the compiler looked for a local file. It tries several names there, so another file of the
   * folder, or a link that leads elsewhere, can change what is imported.
   */
  addCandidate(path: string): void {
    this.addFolder(dirname(path));
    if (statOf(path)?.isDirectory() !== true) return;
    this.addFolder(path);
    this.files.add(join(path, "package.json"));
  }

  /** Adds a folder, and the files that set options for it. */
  addFolder(path: string): void {
    this.folders.add(path);
    for (let at = path; !this.#above.has(at); at = dirname(at)) {
      this.#above.add(at);
      for (const name of SETTING_FILES) this.files.add(join(at, name));
    }
  }
}

/** @returns `null` for imports that a record does not describe. */
async function listPlaces(options: RecordOptions): Promise<Places | null> {
  const { metafile, sourceDir, sources, tsconfigs, lookedAt, folders } = options;
  const places = new Places();
  for (const folder of [sourceDir, ...folders]) places.addFolder(folder);
  for (const path of [...lookedAt, ...[...sources.values()].map(({ file }) => file)]) {
    places.files.add(path);
    places.addCandidate(path);
  }
  const found = await Promise.all(
    [...places.files, ...tsconfigs]
      .filter((path) => tsconfigs.includes(path) || CONFIG.test(path))
      .filter((path) => statOf(path) !== null)
      .map((path) => readAliases(path)),
  );
  for (const file of [...tsconfigs, ...found.flatMap(({ files }) => files)]) places.files.add(file);
  const aliases = found.flatMap((config) => config.aliases);
  for (const [importer, { imports }] of Object.entries(metafile.inputs)) {
    const folder = dirname(resolve(sourceDir, importer));
    for (const { path, original = path } of imports) {
      const specifier = original.replace(/[?#].*$/, "");
      const candidates = LOCAL.test(specifier)
        ? [resolve(folder, specifier)]
        : aliases.flatMap((alias) => toCandidates(alias, specifier));
      // The hash of a folder leaves out names that begin with a dot.
      if (candidates.some((candidate) => basename(candidate).startsWith("."))) return null;
      for (const candidate of candidates) places.addCandidate(candidate);
    }
  }
  return places;
}

const CONFIG = /[/\\][jt]sconfig\.json$/;

/** `./x`, `../x`, `/x`, `.` and `..`. */
const LOCAL = /^(?:\.{0,2}\/|\.{1,2}$)/;

function hashAll(paths: Iterable<string>, read: (path: string) => string | null): Fingerprints {
  return Object.fromEntries([...paths].map((path) => [path, read(path)]));
}

/** Coarser clocks of file systems: FAT counts in two seconds. */
const COARSE_MS = 2_000;

/** Linux sets times by a clock that stands still between two ticks. */
const TICK_MS = 50;

/**
 * Tells whether the last change of a file or folder was before the build began, so that the build saw the present state.
 * Changes of permissions count, too. A missing file is settled.
 */
function isSettled(path: string, startedAtMs: number): boolean {
  const stats = statOf(path);
  if (stats === null) return true;
  const { ctimeNs, mtimeNs } = stats;
  const changedNs = ctimeNs > mtimeNs ? ctimeNs : mtimeNs;
  const marginMs = ctimeNs % 1_000_000_000n === 0n ? COARSE_MS : TICK_MS;
  return Number(changedNs / 1_000_000n) + marginMs < startedAtMs;
}

function statOf(path: string): BigIntStats | null {
  try {
    return statSync(path, { bigint: true });
  } catch {
    return null;
  }
}
