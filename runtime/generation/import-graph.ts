import { createHash } from "node:crypto";

import type { Metafile } from "esbuild";

export interface HashOptions {
  metafile: Metafile;
  /** Hash of a source, by its path in the metafile; `null` for a generated one. */
  sourceHash: (path: string) => string | null;
  /** Hash of the compiler's settings. */
  settings: string;
  /** Describes an import of a package; it changes with the package's version. `null` for Node's own modules. */
  describePackage: (specifier: string) => string | null;
}

/**
 * Hashes a module with all its imports, direct or not.
 *
 * Covers the bytes of each local file and the versions of packages; not the packages' own imports, nor the compiler.
 * Does not depend on the place of the project, nor on files that the module does not reach.
 *
 * @param entry The module's path in the metafile.
 * @returns The hash, and whether a package is among its imports.
 */
export function hashModule(
  entry: string,
  { metafile, sourceHash, settings, describePackage }: HashOptions,
): { hash: string; usesPackages: boolean } {
  let usesPackages = false;
  const lines = new Set([`settings ${settings}`]);
  const reached = new Set([entry]);
  // A set keeps the order of insertion. Iterating it also visits members that are added meanwhile.
  for (const path of reached) {
    const hash = sourceHash(path);
    if (hash !== null) lines.add(`file ${path} ${hash}`);
    for (const { path: imported, external } of metafile.inputs[path]?.imports ?? []) {
      if (external !== true) {
        reached.add(imported);
        continue;
      }
      const description = describePackage(imported);
      usesPackages ||= description !== null;
      lines.add(`package ${description ?? imported}`);
    }
  }
  const hash = createHash("sha256").update([...lines].toSorted().join("\n"));
  return { hash: hash.digest("hex"), usesPackages };
}
