import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import type { OnLoadArgs, OnLoadResult, Plugin } from "esbuild";

/** Names for what a compiled module must not take from its own place. Sources then say where they came from. */
export const SOURCE_DEFINES = {
  "import.meta.url": "__sourceUrl",
  "import.meta.filename": "__sourceFile",
  "import.meta.dirname": "__sourceDir",
  "import.meta.resolve": "__sourceResolve",
  // Only where a module does not declare them itself.
  __filename: "__sourceFile",
  __dirname: "__sourceDir",
};

/** One source file as the compiler saw it. */
export interface Source {
  /** SHA-256 of its bytes, in hex. */
  hash: string;
  /** Characters that were put in front of its first line. */
  prefixLength: number;
  /** What is in it, for what is read out of code without running it; `null` for what is no code. */
  text: string | null;
}

/**
 * Reads the sources for esbuild: keeps their hashes, and makes `import.meta.url` and its relatives mean the original
 * file. They are declared in front of the first line, so lines stay what they are.
 *
 * @param sources Receives each source by its absolute path.
 */
export function createSourcePlugin(sources: Map<string, Source>): Plugin {
  return {
    name: "source",
    setup(build) {
      // Native add-ons are opened by path, at run time.
      build.onResolve({ filter: /^\.{0,2}\/.*\.node$/ }, ({ path, resolveDir }) => ({
        path: resolve(resolveDir, path),
        external: true,
      }));
      build.onLoad({ filter: /\.wasm$/, namespace: "file" }, ({ path }) => loadWasm(path, sources));
      build.onLoad({ filter: /(?:)/, namespace: "file" }, (args) => loadSource(args, sources));
      build.onResolve({ filter: /^wasm-bytes:/ }, ({ path }) => ({ path, namespace: WASM }));
      build.onLoad({ filter: /(?:)/, namespace: WASM }, async ({ path }) => ({
        contents: await readFile(path.slice("wasm-bytes:".length)),
        loader: "binary",
      }));
    },
  };
}

const WASM = "wasm-bytes";

const SCRIPT = /\.(?:[mc]?[jt]s|[jt]sx)$/;

async function loadSource(
  { path, suffix }: OnLoadArgs,
  sources: Map<string, Source>,
): Promise<OnLoadResult> {
  const bytes = await readFile(path);
  const hash = createHash("sha256").update(bytes).digest("hex");
  if (!SCRIPT.test(path)) {
    sources.set(path + suffix, { hash, prefixLength: 0, text: null });
    return { contents: bytes, loader: "default" };
  }
  const text = bytes.toString("utf8").replace(/^\uFEFF/, "");
  const prefix = createPrefix(path, text);
  sources.set(path + suffix, { hash, prefixLength: prefix.length, text });
  return { contents: prefix + text, loader: "default" };
}

function createPrefix(path: string, text: string): string {
  if (!/import\.meta|__dirname|__filename/.test(text)) return "";
  const url = pathToFileURL(path).href;
  const declarations = [
    `__sourceUrl=${JSON.stringify(url)}`,
    `__sourceFile=${JSON.stringify(path)}`,
    `__sourceDir=${JSON.stringify(dirname(path))}`,
  ];
  if (text.includes("import.meta.resolve")) {
    // The name `import.meta` makes a module an ES module, so it must not be put into others.
    declarations.push(
      "__sourceMeta=import.meta",
      String.raw`__sourceResolve=(s)=>/^\.{0,2}\//.test(s)?new URL(s,__sourceUrl).href:__sourceMeta.resolve(s)`,
    );
  }
  // A first line for the shell is one only in front; here it becomes a comment.
  const comment = text.startsWith("#!") ? "//" : "";
  return `const ${declarations.join(",")};${comment}`;
}

/** As on Cloudflare Workers, a `.wasm` import gives a `WebAssembly.Module`. */
async function loadWasm(path: string, sources: Map<string, Source>): Promise<OnLoadResult> {
  const hash = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  sources.set(path, { hash, prefixLength: 0, text: null });
  const bytes = JSON.stringify(`wasm-bytes:${path}`);
  return {
    contents: `import bytes from ${bytes};export default new WebAssembly.Module(bytes);`,
    loader: "js",
  };
}
