import { buildSync } from "esbuild";
import { join } from "node:path";
import { type Owner, temporaryFolder } from "./temporary-folder.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Packages of CommonJS require modules of Node. */
const REQUIRE =
  'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

/**
 * Compiles a program for a process of its own, with all that it imports: a process that loads TypeScript takes five times
 * the processor time. The program must not look for files beside its modules.
 *
 * @param program The path of its module, or its text, whose imports begin with `./runtime/` or `./test/`.
 * @returns The path of a module, which goes with the owner.
 */
export function compileProgram(
  t: Owner,
  program: { readonly path: string } | { readonly text: string },
): string {
  const outfile = join(temporaryFolder(t), "program.mjs");
  buildSync({
    ...("path" in program
      ? { entryPoints: [program.path] }
      : { stdin: { contents: program.text, resolveDir: ROOT, loader: "ts" } }),
    absWorkingDir: ROOT,
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    banner: { js: REQUIRE },
  });
  return outfile;
}
