import { readFile } from "node:fs/promises";
import { dirname, join, sep } from "node:path";

import type { ResolveResult } from "esbuild";

/** A package whose files beyond this number are not looked through. */
const MOST_FILES = 500;

const TYPESCRIPT = /\.(?:[mc]?tsx?|jsx)$/;
const DECLARATION = /\.d\.[mc]?ts$/;

/** Text in comments and strings is found too: at worst a package is compiled that Node could load. */
const SPECIFIER = /(?:\bfrom|\bimport|\brequire\s*\(|\bimport\s*\()\s*["']([^"'\n]+)["']/g;

/** Finds out which packages outside of `node_modules` (workspaces, `npm link`) Node cannot load as they are. */
export class LinkedSources {
  readonly #resolve: (specifier: string, resolveDir: string) => Promise<ResolveResult>;
  readonly #lookedAt: Set<string>;
  readonly #files = new Map<string, Promise<boolean>>();
  readonly #packages = new Map<string, Promise<boolean>>();

  /** @param lookedAt Receives the absolute path of each file whose text decides. */
  constructor(
    resolve: (specifier: string, resolveDir: string) => Promise<ResolveResult>,
    lookedAt: Set<string>,
  ) {
    this.#resolve = resolve;
    this.#lookedAt = lookedAt;
  }

  /**
   * Tells whether JavaScript of a package must be compiled. It must if the package offers TypeScript under another
   * name, which would otherwise have its own instance of their common imports, or if the file reaches TypeScript.
   */
  async needCompiler(file: string, packageDir: string): Promise<boolean> {
    this.#lookedAt.add(join(packageDir, "package.json"));
    return (
      (await remember(this.#packages, packageDir, () => offersTypeScript(packageDir))) ||
      remember(this.#files, file, () => this.#reachesTypeScript(file))
    );
  }

  async #reachesTypeScript(entry: string): Promise<boolean> {
    const reached = new Set([entry]);
    // A set is visited to its end also while it grows.
    for (const file of reached) {
      this.#lookedAt.add(file);
      if (TYPESCRIPT.test(file)) return true;
      if (reached.size > MOST_FILES) return false;
      const text = await readFile(file, "utf8").catch(() => "");
      for (const [, specifier = ""] of text.matchAll(SPECIFIER)) {
        if (specifier.startsWith("node:")) continue;
        const { path, errors, external } = await this.#resolve(specifier, dirname(file));
        if (errors.length > 0 || external || path.includes(`${sep}node_modules${sep}`)) continue;
        if (/\.(?:[mc]?[jt]sx?)$/.test(path)) reached.add(path);
      }
    }
    return false;
  }
}

async function offersTypeScript(packageDir: string): Promise<boolean> {
  const text = await readFile(join(packageDir, "package.json"), "utf8").catch(() => "{}");
  try {
    const { exports, main } = JSON.parse(text) as { exports?: unknown; main?: unknown };
    return hasTypeScript(exports) || hasTypeScript(main);
  } catch {
    // esbuild reports the problem.
    return false;
  }
}

function hasTypeScript(value: unknown): boolean {
  if (typeof value === "string") return TYPESCRIPT.test(value) && !DECLARATION.test(value);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, each]) => key !== "types" && hasTypeScript(each));
}

function remember(
  known: Map<string, Promise<boolean>>,
  key: string,
  find: () => Promise<boolean>,
): Promise<boolean> {
  let found = known.get(key);
  if (found === undefined) {
    found = find();
    known.set(key, found);
  }
  return found;
}
