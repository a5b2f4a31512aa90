import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

import { context } from "esbuild";
import type { BuildOptions, BuildResult, Message, Metafile, Plugin } from "esbuild";

import { toDisplayPath } from "../lib/display-path.ts";
import { BuildError } from "./build-error.ts";
import { createPackagePlugin } from "./package-plugin.ts";
import { hintAt } from "./compile-hints.ts";
import { PackageLinks } from "./package-links.ts";
import type { PackageFinder } from "./packages.ts";
import { COMPILED_EXTENSION, createSourcePlugin, SOURCE_DEFINES } from "./source-plugin.ts";
import type { Source } from "./source-plugin.ts";
import { type Thread, Threads } from "./threads.ts";
import type { Tsconfig } from "./tsconfig.ts";

export interface CompileOptions {
  sourceDir: string;
  /** Entry points relative to `sourceDir`, with `/`. */
  modules: readonly string[];
  outDir: string;
  finder: PackageFinder;
  mode: "development" | "production";
  tsconfig: Tsconfig;
  signal?: AbortSignal | undefined;
}

export interface Compiled {
  /** Compiled file of each module, in the order of `modules`, relative to `outDir`. */
  files: string[];
  /** Paths in it are relative to `sourceDir`. */
  metafile: Metafile;
  /** Every source file by its absolute path. */
  sources: Map<string, Source>;
  /** Packages that compiled code asks Node for. Their links are not made yet. */
  links: PackageLinks;
  /** Absolute paths of files that influenced the result without being sources, also of missing files. */
  lookedAt: string[];
  warnings: string[];
}

/**
 * Compiles modules and all local code that they import. Shared code becomes one file, and so one instance.
 *
 * @throws BuildError ERR_HANDLER_LOAD with one line `file:line:column: text` per error; the signal's reason.
 */
export async function compileModules(options: CompileOptions): Promise<Compiled> {
  const { modules, signal, finder, outDir, sourceDir, tsconfig } = options;
  const sources = new Map<string, Source>();
  const files = modules.map((module, index) => `modules/${index}-${toFileName(module)}`);
  const links = new PackageLinks({ generationDir: outDir, sourceDir, finder });
  const threads = new Threads(sourceDir);
  const lookedAt = new Set<string>();
  const plugins = [
    createSourcePlugin(sources, threads),
    createPackagePlugin({ finder, links, tsconfig: tsconfig.chosen, lookedAt }),
  ];
  const describe = createDescribe(sourceDir, sources);
  let entries = modules.map((module, index) => ({
    in: resolve(sourceDir, module),
    out: files[index] ?? "",
  }));
  const metafile: Metafile = { inputs: {}, outputs: {} };
  const warnings: Message[] = [];
  try {
    do {
      const built = await runBuild({ ...toBuildOptions(options, entries), plugins }, signal);
      Object.assign(metafile.inputs, built.metafile.inputs);
      Object.assign(metafile.outputs, built.metafile.outputs);
      warnings.push(...built.warnings);
      // A thread has its own instance of all that it imports, so it is built apart.
      const found = threads.take();
      await Promise.all(found.map((thread) => writeStarter(thread, outDir)));
      entries = found.map(({ file, out }) => ({ in: file, out: `${out}${STARTED}` }));
    } while (entries.length > 0);
  } catch (cause) {
    signal?.throwIfAborted();
    const errors = toMessages(cause);
    if (errors === null) throw cause;
    const lines = errors.map(describe);
    const count = lines.length === 1 ? "1 error" : `${lines.length} errors`;
    const message = `Cannot compile ${toDisplayPath(sourceDir)}: ${count}\n${lines.join("\n")}`;
    const missing = errors.flatMap((each) => missingFiles(each, options));
    const inputs = [...sources.keys(), ...tsconfig.files, ...missing];
    throw new BuildError(message, { inputs, cause });
  }
  addThreads(metafile, { threads, sourceDir });
  return {
    files: files.map((file) => file + COMPILED_EXTENSION),
    metafile,
    sources,
    links,
    lookedAt: [...lookedAt, ...threads.files, ...threads.missing],
    warnings: [...tsconfig.warnings, ...new Set(warnings.map(describe))],
  };
}

type Options = ReturnType<typeof toBuildOptions> & { plugins: Plugin[] };

async function runBuild(
  options: Options,
  signal: AbortSignal | undefined,
): Promise<BuildResult<Options>> {
  signal?.throwIfAborted();
  const build = await context(options);
  const cancel = (): void => void build.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    const result = await build.rebuild();
    signal?.throwIfAborted();
    return result;
  } finally {
    signal?.removeEventListener("abort", cancel);
    await build.dispose();
  }
}

/** Ends the name of a thread's code; the thread begins in a file without it. */
const STARTED = ".code";

/**
 * Writes the file that a thread begins with. Node maps places to sources only in files that it loads after the setting,
 * and a thread does not inherit the setting.
 */
async function writeStarter({ out }: Thread, outDir: string): Promise<void> {
  const path = join(outDir, out + COMPILED_EXTENSION);
  const code = JSON.stringify(`./${basename(out)}${STARTED}${COMPILED_EXTENSION}`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `process.setSourceMapsEnabled(true);\nawait import(${code});\n`);
}

/** A thread that a module starts is part of its code. */
function addThreads(
  { inputs }: Metafile,
  { threads, sourceDir }: { threads: Threads; sourceDir: string },
): void {
  const paths = new Map(Object.keys(inputs).map((path) => [resolve(sourceDir, path), path]));
  for (const [importer, file] of threads.starts) {
    const path = paths.get(file);
    if (path !== undefined) {
      inputs[paths.get(importer) ?? ""]?.imports.push({ path, kind: "dynamic-import" });
    }
  }
}

function toBuildOptions(
  { sourceDir, outDir, mode, tsconfig }: CompileOptions,
  entryPoints: { in: string; out: string }[],
) {
  return {
    absWorkingDir: sourceDir,
    entryPoints,
    outdir: outDir,
    outExtension: { ".js": COMPILED_EXTENSION },
    chunkNames: "shared/[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: `node${process.versions.node}`,
    // The conditions of Node. An explicit list leaves out esbuild's "module".
    conditions: nodeConditions(),
    ...(tsconfig.chosen !== null && { tsconfig: tsconfig.chosen }),
    // Settings of the nearest tsconfig.json go first.
    jsx: "automatic",
    charset: "utf8",
    sourcemap: "linked",
    // A page with the source line is for development; in production the maps give file and line without it.
    sourcesContent: mode === "development",
    metafile: true,
    logLevel: "silent",
    logLimit: 0,
    loader: LOADERS,
    define: SOURCE_DEFINES,
    banner: { js: REQUIRE_BANNER },
  } as const satisfies BuildOptions;
}

/** Loaders for imports besides code and JSON: text as a string, other bytes as a `Uint8Array`. */
const LOADERS = {
  ".txt": "text",
  ".html": "text",
  ".css": "text",
  ".md": "text",
  ".sql": "text",
  ".svg": "text",
  ".graphql": "text",
  ".gql": "text",
  ".bin": "binary",
} as const;

/** CommonJS that is bundled into an ES module needs a `require` for packages. `var`: a module may declare its own. */
const REQUIRE_BANNER =
  'import{createRequire as __createRequire}from"node:module";var require=__createRequire(import.meta.url);';

/**
 * Returns the conditions of `exports` that esbuild does not know: the user's own, and conditions of newer versions of
 * Node.
 */
function nodeConditions(): string[] {
  const options = (process.env["NODE_OPTIONS"] ?? "").split(/\s+/);
  const own = options.flatMap((option, index) => {
    if (option === "-C" || option === "--conditions") return [options[index + 1] ?? ""];
    return option.startsWith("--conditions=") ? [option.slice("--conditions=".length)] : [];
  });
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const hasModuleSync = major > 22 || (major === 22 && minor >= 10);
  return [...own.filter(Boolean), ...(hasModuleSync ? ["module-sync"] : [])];
}

/** Returns a file name without brackets, because esbuild replaces `[name]`. */
function toFileName(module: string): string {
  return module
    .replace(/\.\w+$/, "")
    .replace(/^(?:\.\.\/)+/, "")
    .replace(/[^A-Za-z0-9_.-]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(-MOST_CHARACTERS);
}

/** File systems refuse names of more than 255 bytes. The number before the name makes it unique. */
const MOST_CHARACTERS = 200;

function toMessages(error: unknown): Message[] | null {
  if (!(error instanceof Error) || !("errors" in error) || !Array.isArray(error.errors))
    return null;
  // esbuild's BuildFailure, the only error with this field that it throws.
  return error.errors as Message[];
}

/** Returns the files that would resolve the import if they existed. The watcher of development watches them. */
function missingFiles({ text, location }: Message, { sourceDir }: CompileOptions): string[] {
  const specifier = /^Could not resolve "(\.[^"]*)"/.exec(text)?.[1];
  if (specifier === undefined || location === null) return [];
  const path = resolve(sourceDir, dirname(location.file), specifier);
  return ["", ".ts", ".tsx", ".js", ".mjs", ".jsx", ".json"].map((extension) => path + extension);
}

function createDescribe(sourceDir: string, sources: Map<string, Source>) {
  return function describe({ location: own, text, notes }: Message): string {
    // A message of a plugin about a file is shown at the import that leads there.
    const location = own ?? notes.find((note) => note.location !== null)?.location ?? null;
    const hints = notes.filter((note) => note.location === null && note.text !== "");
    const about = location === null ? sourceDir : resolve(sourceDir, location.file);
    const full = [text + hintAt(text, about), ...hints.map((note) => note.text)]
      .join(". ")
      .replaceAll("\n", " ");
    if (location === null) return full;
    const path = resolve(sourceDir, location.file);
    const prefixLength = location.line === 1 ? (sources.get(path)?.prefixLength ?? 0) : 0;
    // esbuild counts bytes from 0, people count characters from 1.
    const before = Buffer.from(location.lineText).subarray(0, location.column).toString();
    const column = before.length + 1 - prefixLength;
    return `${toDisplayPath(path)}:${location.line}:${column}: ${full}`;
  };
}
