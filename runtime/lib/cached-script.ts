import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";

/** The parts of `import.meta` that a script of `dist/` uses. */
export interface ScriptMeta {
  readonly url: string;
  readonly resolve: (specifier: string) => string;
}

export interface ScriptScope {
  /** Stands for `import.meta`. */
  meta: ScriptMeta;
  /** Stands for `import()` of names that are known only at run time. */
  importModule: (specifier: string) => Promise<unknown>;
}

/** The names under which a script finds its scope. `scripts/build.mjs` writes the last two into the scripts. */
const PARAMETERS = ["exports", "module", "require", "edgicornMeta", "edgicornImport"];

/** The end of the name of a file with V8's code of the script beside it. */
const CACHE_EXTENSION = ".cache";

/**
 * A compiled CommonJS file with all its parts. If V8's code of an earlier run is in the file `<path>.cache`, V8 does not
 * parse the script, and compiles no function that ran then.
 *
 * The cache must be of this very script: V8 compares only lengths. So the name of a script contains a hash of its
 * content. V8 rejects a cache of another version of V8 or of other flags: the script then runs without it.
 */
export class CachedScript {
  readonly #path: string;
  readonly #script: Script;

  /**
   * @param path Absolute path of the file.
   * @param place The path at which the file will be when its cache is used. Default: `path`.
   */
  constructor(path: string, place = path) {
    this.#path = place;
    // The compiler writes ASCII only. Node reads these bytes faster as Latin-1.
    const source = readFileSync(path, "latin1");
    const cachedData = readCache(path, place);
    this.#script = new Script(`(function(${PARAMETERS.join(",")}){${source}\n})`, {
      filename: place,
      ...(cachedData !== null && { cachedData }),
    });
  }

  /** Whether V8 uses the code of an earlier run. */
  get isCached(): boolean {
    return this.#script.cachedDataRejected === false;
  }

  /** Runs the script, and returns its exports. */
  run({ meta, importModule }: ScriptScope): unknown {
    const module = { exports: {} };
    // The script is one function with these parameters.
    const run = this.#script.runInThisContext() as (...values: unknown[]) => void;
    run(module.exports, module, createRequire(meta.url), meta, importModule);
    return module.exports;
  }

  /** Writes V8's code of the script, with all functions that have run so far, into a file for `path`. */
  writeCache(path: string): void {
    const code = this.#script.createCachedData();
    writeFileSync(path + CACHE_EXTENSION, Buffer.concat([toHeader(this.#path), code]));
  }
}

/** Runs the script of this name, which is beside the module that `scope.meta` belongs to, and returns its exports. */
export function runScript(name: string, scope: ScriptScope): unknown {
  return new CachedScript(fileURLToPath(new URL(name, scope.meta.url))).run(scope);
}

function readCache(path: string, place: string): Uint8Array | null {
  let cache: Buffer;
  try {
    cache = readFileSync(path + CACHE_EXTENSION);
  } catch {
    // There is none, as in a package from a registry.
    return null;
  }
  const header = toHeader(place);
  return cache.subarray(0, header.length).equals(header) ? cache.subarray(header.length) : null;
}

/** V8's code contains the path of its script, which stack traces name. A copy in another folder cannot use it. */
function toHeader(place: string): Buffer {
  return Buffer.from(`${place}\n`);
}
