import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import type { OnLoadArgs, OnLoadResult, PartialMessage, Plugin } from "esbuild";

import { toDisplayPath } from "../lib/display-path.ts";
import { findOtherCase } from "./compile-hints.ts";
import { findThreads, type Mention, type Refusal, type Thread, type Threads } from "./threads.ts";

/** Names for values that a compiled module must not take from its own place. Sources declare their origin by them. */
export const SOURCE_DEFINES = {
  "import.meta.url": "__sourceUrl",
  "import.meta.filename": "__sourceFile",
  "import.meta.dirname": "__sourceDir",
  "import.meta.resolve": "__sourceResolve",
  // Only where a module does not declare them itself.
  __filename: "__sourceFile",
  __dirname: "__sourceDir",
};

/**
 * Marks the files as ES modules for Node, in spite of the nearest package.json about `.js`. A package.json beside
 * them would do so too, but would hide the project's own, which a project needs that imports itself by its name.
 */
export const COMPILED_EXTENSION = ".mjs";

/** One source file as the compiler saw it. */
export interface Source {
  /** Absolute path. */
  file: string;
  /** SHA-256 of its bytes, in hex. */
  hash: string;
  /** Characters that were put in front of its first line. */
  prefixLength: number;
  /** The text, for reading values from code without running it; `null` for files that are no code. */
  text: string | null;
}

/**
 * Reads the sources for esbuild: keeps their hashes, and makes `import.meta.url` and its relatives mean the original
 * file. These are declared in front of the first line, so lines keep their numbers.
 *
 * A thread that a source starts is compiled as well, so its URL means the compiled file.
 *
 * @param sources Receives each source by its absolute path.
 * @param threads Receives the additional files to compile.
 */
export function createSourcePlugin(sources: Map<string, Source>, threads: Threads): Plugin {
  return {
    name: "source",
    setup(build) {
      // Native add-ons are opened by path, at run time.
      build.onResolve({ filter: /^\.{0,2}\/.*\.node$/ }, ({ path, resolveDir }) => ({
        path: resolve(resolveDir, path),
        external: true,
      }));
      build.onLoad({ filter: /\.wasm$/, namespace: "file" }, ({ path }) => loadWasm(path, sources));
      build.onLoad({ filter: /(?:)/, namespace: "file" }, (args) =>
        loadSource(args, { sources, threads }),
      );
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
  { sources, threads }: { sources: Map<string, Source>; threads: Threads },
): Promise<OnLoadResult> {
  const bytes = await readFile(path).catch(() => null);
  if (bytes === null) return refuseMissing(path);
  const hash = createHash("sha256").update(bytes).digest("hex");
  if (!SCRIPT.test(path)) {
    sources.set(path + suffix, { file: path, hash, prefixLength: 0, text: null });
    return { contents: bytes, loader: "default" };
  }
  if (bytes.includes(0)) {
    const found = `${toDisplayPath(path)} is no text: found a byte 0`;
    return { errors: [{ text: `${found}, expected source code in UTF-8` }] };
  }
  const text = bytes.toString("utf8").replace(/^\uFEFF/, "");
  const { mentions, refusals, missing } = findThreads(text, path);
  for (const file of missing) threads.missing.add(file);
  const started = mentions.map(({ file }) => threads.add(file, path));
  const prefix = createPrefix(path, text, started);
  sources.set(path + suffix, { file: path, hash, prefixLength: prefix.length, text });
  const warnings = refusals.map((refusal) => toWarning(refusal, { path, text, prefix }));
  return { contents: prefix + replaceMentions(text, mentions), loader: "default", warnings };
}

/** Explains a missing file. esbuild accepts names that differ in upper and lower case only, like some file systems. */
function refuseMissing(path: string): OnLoadResult {
  const other = findOtherCase(path);
  const instead = other === null ? "" : `, the file is ${JSON.stringify(other)}`;
  return { errors: [{ text: `Could not read ${toDisplayPath(path)}${instead}` }] };
}

/** Replaces each URL by a call of the same length, so that lines and columns stay the same. */
function replaceMentions(text: string, mentions: readonly Mention[]): string {
  let replaced = text;
  for (const [index, { start, end }] of mentions.entries()) {
    const call = `__thread${index}()`;
    const rest = replaced.slice(start, end).slice(call.length).replaceAll(/[^\n]/g, " ");
    replaced = replaced.slice(0, start) + call + rest + replaced.slice(end);
  }
  return replaced;
}

function toWarning(
  { start, text }: Refusal,
  source: { path: string; text: string; prefix: string },
): PartialMessage {
  const before = source.text.slice(0, start).split("\n");
  const line = before.length;
  const lineText = (line === 1 ? source.prefix : "") + (source.text.split("\n")[line - 1] ?? "");
  const characters = (line === 1 ? source.prefix : "") + (before.at(-1) ?? "");
  const column = Buffer.byteLength(characters);
  return { text, location: { file: source.path, line, column, lineText } };
}

function createPrefix(path: string, text: string, started: readonly Thread[]): string {
  if (!/import\.meta|__dirname|__filename/.test(text)) return "";
  const url = pathToFileURL(path).href;
  const declarations = [
    `__sourceUrl=${JSON.stringify(url)}`,
    `__sourceFile=${JSON.stringify(path)}`,
    `__sourceDir=${JSON.stringify(dirname(path))}`,
  ];
  // The name `import.meta` makes a module an ES module, so it must not be put into others.
  if (text.includes("import.meta.resolve") || started.length > 0) {
    declarations.push("__sourceMeta=import.meta");
  }
  // Each compiled file is in a folder of its generation.
  for (const [index, { out }] of started.entries()) {
    const file = JSON.stringify(`../${out}${COMPILED_EXTENSION}`);
    declarations.push(`__thread${index}=()=>new URL(${file},__sourceMeta.url)`);
  }
  if (text.includes("import.meta.resolve")) {
    declarations.push(
      String.raw`__sourceResolve=(s)=>/^\.{0,2}\//.test(s)?new URL(s,__sourceUrl).href:__sourceMeta.resolve(s)`,
    );
  }
  // A `#!` line is valid only at the start of the file. Here it becomes a comment.
  const comment = text.startsWith("#!") ? "//" : "";
  return `const ${declarations.join(",")};${comment}`;
}

/** Makes a `.wasm` import a `WebAssembly.Module`, like on Cloudflare Workers. */
async function loadWasm(path: string, sources: Map<string, Source>): Promise<OnLoadResult> {
  const hash = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  sources.set(path, { file: path, hash, prefixLength: 0, text: null });
  const bytes = JSON.stringify(`wasm-bytes:${path}`);
  return {
    contents: `import bytes from ${bytes};export default new WebAssembly.Module(bytes);`,
    loader: "js",
  };
}
