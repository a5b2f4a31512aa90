import { createHash } from "node:crypto";
import { resolve } from "node:path";

import type { Metafile } from "esbuild";

import { toPackageName } from "./packages.ts";
import type { PackageUse } from "./packages.ts";

/** What the sources import from packages. */
export function listPackageUses(metafile: Metafile, sourceDir: string): PackageUse[] {
  const uses: PackageUse[] = [];
  for (const [path, { imports }] of Object.entries(metafile.inputs)) {
    for (const { path: specifier, external } of imports) {
      const name = external === true ? toPackageName(specifier) : null;
      if (name !== null) uses.push({ name, importer: resolve(sourceDir, path) });
    }
  }
  return uses;
}

export interface HashOptions {
  metafile: Metafile;
  /** Hash of a source, by its path in the metafile; `null` for what is not a file but made from one. */
  sourceHash: (path: string) => string | null;
  /** What is installed for an import from a package: changes with its version. */
  packageVersion: (specifier: string, importer: string) => string;
}

/**
 * Hashes a module with all that it imports, directly or not.
 *
 * Covers the bytes of each local file and the versions of packages; not what packages import in their turn, nor the
 * compiler and its settings. Does not depend on where the project lies, nor on anything that the module does not reach.
 *
 * @param entry The module's path in the metafile.
 * @returns The hash, and whether a package is among what it imports.
 */
export function hashModule(
  entry: string,
  { metafile, sourceHash, packageVersion }: HashOptions,
): { hash: string; usesPackages: boolean } {
  let usesPackages = false;
  const lines = new Set<string>();
  const reached = new Set([entry]);
  // A set keeps the order of insertion and visits what is added on the way.
  for (const path of reached) {
    const hash = sourceHash(path);
    if (hash !== null) lines.add(`file ${path} ${hash}`);
    for (const { path: imported, external } of metafile.inputs[path]?.imports ?? []) {
      if (external !== true) {
        reached.add(imported);
        continue;
      }
      usesPackages ||= toPackageName(imported) !== null;
      lines.add(`package ${imported} ${packageVersion(imported, path)}`);
    }
  }
  const hash = createHash("sha256").update([...lines].toSorted().join("\n"));
  return { hash: hash.digest("hex"), usesPackages };
}
