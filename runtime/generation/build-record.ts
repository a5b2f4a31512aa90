import { createHash } from "node:crypto";
import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import type { BuiltApp, FileAppDefaults } from "./apps.ts";
import type { BuiltSite } from "./site-tables.ts";

/** Hashes by path. `null`: there is no file or folder, or it cannot be read. */
export type Fingerprints = Readonly<Record<string, string | null>>;

/**
 * Everything that decided a build, as the build found it. The record lies in the folder of the generation, and is
 * complete or absent. A later start compares it with the disk (see `loadUnchanged`).
 */
export interface BuildRecord {
  formatVersion: 1;
  /** See `describeConditions`. */
  conditions: string;
  /** Sources and files of settings by absolute path, also of places where no file was found. */
  files: Fingerprints;
  /** Folders in which the build looked for sources, by absolute path. */
  folders: Fingerprints;
  /** The real folder of each package `name` that files in the folder `from` see; `null`: they see no package. */
  packages: readonly (readonly [name: string, from: string, dir: string | null])[];
  /** Real folders of the packages that Node loads: see `hashPackages`. */
  packageDirs: readonly string[];
  /** Files and links of the generation, by their paths relative to its folder. */
  outputs: Fingerprints;
}

/** Name of the record's file in the folder of its generation. */
export const RECORD_FILE = "build-record.json";

/**
 * Describes the programs and the settings that decide a build. Two builds with the same description have the same
 * result if they read the same files.
 *
 * @param entry The module of the build process.
 * @returns `null` if the runtime runs from source: it is being developed, so an earlier build proves nothing.
 */
export function describeConditions(
  entry: URL,
  {
    handlersDir,
    stateDir,
    mode,
    apps = [],
    fileApps = null,
    sites = [],
  }: {
    handlersDir: string;
    stateDir: string;
    mode: "development" | "production";
    apps?: readonly BuiltApp[];
    fileApps?: FileAppDefaults | null;
    sites?: readonly BuiltSite[];
  },
): string | null {
  // Yarn's Plug'n'Play finds packages in ways that a record does not describe.
  if (entry.pathname.endsWith(".ts") || process.versions["pnp"] !== undefined) return null;
  const { env, versions, platform, arch } = process;
  const require = createRequire(entry);
  return JSON.stringify({
    // The names of the modules that the entry imports have hashes of their contents.
    runtime: [entry.href, hashFile(fileURLToPath(entry))],
    compiler: hashFile(require.resolve("esbuild/package.json")),
    node: [versions.node, platform, arch],
    mode,
    apps,
    fileApps,
    sites,
    handlersDir: resolve(handlersDir),
    stateDir: resolve(stateDir),
    // Warnings name files relative to it.
    cwd: process.cwd(),
    env: [env["NODE_OPTIONS"], env["NODE_PATH"], env["ESBUILD_BINARY_PATH"]],
  });
}

/** Hashes bytes: SHA-256 in hex. */
export function hashBytes(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Hashes the content of a file. `null`: there is no file that can be read. */
export function hashFile(path: string): string | null {
  try {
    return hashBytes(readFileSync(path));
  } catch {
    return null;
  }
}

/**
 * Hashes the real path of a folder and the names in it, with the kind of each and the place that a link leads to. Names
 * that begin with a dot do not count: editors, Git and this program put files there. `null`: there is no folder.
 */
export function hashFolder(path: string): string | null {
  try {
    const lines = readdirSync(path, { withFileTypes: true })
      .filter(({ name }) => !name.startsWith("."))
      .map((entry) => {
        if (entry.isSymbolicLink())
          return `${entry.name} -> ${describeTarget(join(path, entry.name))}`;
        return `${entry.name} ${entry.isDirectory() ? "folder" : entry.isFile() ? "file" : "other"}`;
      });
    return hashBytes([realpathSync.native(path), ...lines.toSorted()].join("\n"));
  } catch {
    return null;
  }
}

/** Describes the end of a chain of links. */
export function describeTarget(link: string): string {
  try {
    const path = realpathSync.native(link);
    return `${path} ${statSync(path).isDirectory() ? "folder" : "file"}`;
  } catch {
    return "nothing";
  }
}

/**
 * Hashes all files of a generation and the places that its links lead to, without the files of leases and the record.
 *
 * @param dir The folder of the generation.
 */
export function hashOutputs(dir: string): Fingerprints {
  const found: Record<string, string | null> = {};
  const folders = [""];
  // An array is visited to the end also while it grows.
  for (const folder of folders) {
    for (const entry of readdirSync(join(dir, folder), { withFileTypes: true })) {
      const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (name === RECORD_FILE || /^lease-\d+$/.test(name)) continue;
      const path = join(dir, name);
      if (entry.isDirectory()) folders.push(name);
      else found[name] = entry.isSymbolicLink() ? describeTarget(path) : hashFile(path);
    }
  }
  return found;
}

/** Loads the record of a generation. `null`: there is none, or none of this version. */
export function loadRecord(dir: string): BuildRecord | null {
  try {
    const value: unknown = JSON.parse(readFileSync(join(dir, RECORD_FILE), "utf8"));
    return isRecord(value) ? value : null;
  } catch {
    // Without a record a generation cannot be reused, which costs a build.
    return null;
  }
}

function isRecord(value: unknown): value is BuildRecord {
  if (typeof value !== "object" || value === null) return false;
  const { formatVersion, conditions, files, folders, packages, packageDirs, outputs } =
    value as Partial<Record<keyof BuildRecord, unknown>>; // A field of another type is `unknown`.
  return (
    formatVersion === 1 &&
    typeof conditions === "string" &&
    [files, folders, outputs].every((each) => typeof each === "object" && each !== null) &&
    [packages, packageDirs].every((each) => Array.isArray(each))
  );
}
