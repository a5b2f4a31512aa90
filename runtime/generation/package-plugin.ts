import type { Plugin } from "esbuild";

import { findOwnName, toPackageName } from "./packages.ts";
import type { PackageFinder } from "./packages.ts";

/**
 * Finds static imports of packages that are not installed while esbuild still knows their lines: otherwise a worker would
 * be the first to notice, and name a compiled file. Others (`require`, `import()`) may be meant to fail.
 */
export function createPackagePlugin(finder: PackageFinder, generationDir: string): Plugin {
  return {
    name: "packages",
    setup(build) {
      build.onResolve({ filter: /^[^./#]/ }, async (args) => {
        const { path, kind, importer, resolveDir } = args;
        const name = toPackageName(path);
        const isOurs = kind === "import-statement" && args.pluginData !== ASKING;
        if (name === null || !isOurs) return undefined;
        for (const folder of [resolveDir, generationDir]) {
          if ((await finder.find(name, folder)) !== null) return undefined;
        }
        // It may be an alias of tsconfig.json. Everything else that has no path is external to esbuild.
        const options = { kind, importer, resolveDir, pluginData: ASKING };
        const { errors, external } = await build.resolve(path, options);
        if (errors.length === 0 && !external) return undefined;
        // Yarn's Plug'n'Play has no node_modules, and a package may import itself by name.
        if (process.versions["pnp"] !== undefined) return undefined;
        if ((await findOwnName(resolveDir)) === name) return undefined;
        return {
          errors: [{ text: `Could not find package ${JSON.stringify(name)}: not installed` }],
        };
      });
    },
  };
}

/** Marks the question to esbuild, which comes back to the plugin. */
const ASKING = Symbol("asking");
