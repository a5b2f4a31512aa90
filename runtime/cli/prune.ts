import { lstatSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { RuntimeError } from "../lib/errors.ts";
import { findUwsPackages, type InstalledUws, PRUNED_MARK } from "../engine/uws/uws-packages.ts";

/** The system and the version of Node for which a binary was built, from its file name. */
export interface BinaryTarget {
  platform: string;
  arch: string;
  /** Version of Node's binary interface. */
  abi: string;
}

/** Removes the binaries of other systems and prints a list of them. */
export function runPrune(): void {
  const { platform, arch, versions } = process;
  const target = { platform, arch, abi: versions.modules };
  const { installed } = findUwsPackages("auto");
  refuseForeignFolders(installed, process.cwd());
  let files = 0;
  let bytes = 0;
  for (const { dir } of installed) {
    const removed = pruneBinaries(dir, target);
    files += removed.files;
    bytes += removed.bytes;
  }
  const kept = `${platform}-${arch} with Node ${process.version}`;
  process.stdout.write(
    files === 0
      ? `nothing to remove: all binaries are for ${kept}\n`
      : `removed ${files} binaries (${Math.round(bytes / 1e6)} MB) that are not for ${kept}; "npm ci" brings them back\n`,
  );
}

/**
 * Removes the binaries of uWebSockets.js in a package that are for another system or another Node, and marks the
 * package, so that a later failure can name the cause.
 */
export function pruneBinaries(
  dir: string,
  { platform, arch, abi }: BinaryTarget,
): { files: number; bytes: number } {
  const kept = `uws_${platform}_${arch}_${abi}.node`;
  const foreign = readdirSync(dir, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && BINARY.test(entry.name) && entry.name !== kept,
  );
  let bytes = 0;
  for (const { parentPath, name } of foreign) {
    const path = join(parentPath, name);
    bytes += lstatSync(path).size;
    rmSync(path);
  }
  if (foreign.length > 0) writeFileSync(join(dir, PRUNED_MARK), "");
  return { files: foreign.length, bytes };
}

const BINARY = /^uws_\w+\.node$/;

/** Refuses a folder that other projects may share, as with some package managers: they may need these binaries. */
function refuseForeignFolders(installed: readonly InstalledUws[], cwd: string): void {
  for (const { dir } of installed) {
    if (ancestorsOf(cwd).some((parent) => dir.startsWith(join(parent, "node_modules") + sep))) {
      continue;
    }
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot prune: found a package at ${dir}, expected it in node_modules of ${cwd} or of a folder above it`,
    );
  }
}

function ancestorsOf(dir: string): string[] {
  const parent = dirname(dir);
  return parent === dir ? [dir] : [dir, ...ancestorsOf(parent)];
}
