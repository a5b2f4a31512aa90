import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, extname, relative, resolve } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { BuildFailure, Plugin } from "esbuild";
import { RuntimeError } from "../lib/errors.ts";

export interface ConfigFile {
  /** Absolute. */
  path: string;
  /** Path for messages: relative to the working directory where that is shorter. */
  shownAs: string;
  /** The file's default export: plain data, not yet checked. */
  values: Record<string, unknown>;
}

/**
 * Finds `edgicorn.config.ts` (or `.mts`, `.js`, `.mjs`, `.json`) in a folder.
 *
 * @returns Its absolute path, or `null`.
 * @throws ERR_CONFIG if there are two: it would be unclear which of them counts.
 */
export function findConfigFile(dir: string): string | null {
  const found = CONFIG_FILES.filter((name) => existsSync(resolve(dir, name)));
  const [first, second] = found;
  if (first === undefined) return null;
  if (second === undefined) return resolve(dir, first);
  throw new RuntimeError(
    "ERR_CONFIG",
    `Cannot choose a config file: found ${found.join(" and ")}, expected one of them, or --config FILE`,
  );
}

/**
 * Evaluates a config file once, in a process that ends after that.
 *
 * The file may import anything. Its modules must not stay in the primary's memory, block its event loop or crash it. It is
 * compiled in memory and given to the child through its standard input, so that nothing is written next to it. Its
 * output goes to this process's standard error. Its working directory is the file's folder.
 *
 * @param path Absolute path.
 * @param options.cwd Messages name files relative to it.
 * @param options.namedBy The source of the file's name, for messages: `--config`.
 * @throws ERR_CONFIG naming file and line if the file does not compile, throws, exports no object, or holds something
 *   that is not plain data (a function, a class instance); an `AbortError` if the signal aborts.
 */
export async function loadConfigFile(
  path: string,
  options: {
    cwd: string;
    namedBy: string;
    /** Added to the environment that the file sees. */
    variables?: Readonly<Record<string, string>>;
    timeoutMs?: number;
    signal?: AbortSignal | undefined;
  },
): Promise<ConfigFile> {
  const shownAs = showPath(path, options.cwd);
  if (!existsSync(path)) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot use ${options.namedBy}: found no file ${shownAs}, expected a config file`,
    );
  }
  if (!EXTENSIONS.includes(extname(path))) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot use ${options.namedBy}: found ${shownAs}, expected a file that ends with ${EXTENSIONS.join(", ")}`,
    );
  }
  const result = await evaluate(compile(path, options.cwd), { path, ...options });
  if ("error" in result) {
    const where = lineOf(result.error.stack, options.cwd) ?? shownAs;
    // A child that reads its program from standard input knows it by that name only.
    const problem = oneLine(result.error.message.replace(/ imported from .*\[eval1\]$/, ""));
    throw new RuntimeError("ERR_CONFIG", `Cannot load ${where}: ${problem}`);
  }
  return { path, shownAs, values: checkPlainData(result.config, shownAs) };
}

/** The path relative to the working directory, if it is inside. */
export function showPath(path: string, cwd: string): string {
  const inside = relative(cwd, path);
  return inside === "" ? "." : inside.startsWith("..") ? path : inside;
}

const EXTENSIONS = [".ts", ".mts", ".js", ".mjs", ".json"];

/** Names that a config file may have. */
export const CONFIG_FILES: readonly string[] = EXTENSIONS.map(
  (extension) => `edgicorn.config${extension}`,
);
const DEFAULT_TIMEOUT_MS = 20_000;

/** Marks values that JSON cannot carry: the child writes it, `checkPlainData` finds it. */
const NOT_DATA = "edgicorn:not-plain-data";

/** Stands for the wrapper in stack traces. */
const ENTRY_NAME = "edgicorn-config-entry";

/** Runs first in the child: reports uncaught errors, even an import that cannot be resolved. */
const REPORT_ERRORS = `
import { writeFileSync } from "node:fs";
process.on("uncaughtException", (error) => {
  const message = error instanceof Error ? error.name + ": " + error.message : "threw " + String(error);
  writeFileSync(3, JSON.stringify({ error: { message, stack: String(error?.stack) } }));
  process.exit(1);
});`;

/** Wraps the file in the child: writes its export as JSON to descriptor 3, out of reach of console.log(). */
function entryFor(path: string): string {
  return `
import * as file from ${JSON.stringify(`./${basename(path)}`)};
import { writeFileSync } from "node:fs";
function replace(key) {
  const value = this[key]; // As it was before toJSON(): a Date is not plain data.
  const problem = describeNotData(value);
  return problem === null ? value : { ${JSON.stringify(NOT_DATA)}: problem };
}
function describeNotData(value) {
  if (value === null || ["undefined", "string", "boolean"].includes(typeof value)) return null;
  if (typeof value === "number") return Number.isFinite(value) ? null : String(value);
  if (typeof value !== "object") return "a " + typeof value;
  if (Array.isArray(value)) return null;
  const prototype = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return isPlain ? null : "a " + (prototype.constructor?.name ?? "class instance");
}
const config = await (file.default ?? null);
writeFileSync(3, JSON.stringify({ config }, replace));
process.exit(0);`;
}

async function compile(path: string, cwd: string): Promise<string> {
  // 40 ms and 10 MB: only for projects with a config file.
  const { build, stop } = await import("esbuild");
  try {
    const result = await build({
      stdin: { contents: entryFor(path), resolveDir: dirname(path), sourcefile: ENTRY_NAME },
      absWorkingDir: cwd,
      bundle: true,
      format: "esm",
      logLevel: "silent",
      outdir: dirname(path),
      packages: "external",
      platform: "node",
      plugins: [keepModulePaths, provideDefineConfig],
      define: MODULE_PATHS,
      sourcemap: "inline",
      target: `node${process.versions.node}`,
      write: false,
    });
    return result.outputFiles.map((file) => file.text).join("");
  } catch (error) {
    const first = isBuildFailure(error) ? error.errors[0] : undefined;
    if (first === undefined) throw error;
    const { location } = first;
    const where = location === null ? showPath(path, cwd) : `${location.file}:${location.line}`;
    throw new RuntimeError("ERR_CONFIG", `Cannot load ${where}: ${oneLine(first.text)}`, {
      cause: error,
    });
  } finally {
    // The compiler's process would live as long as this one. The primary compiles nothing else: a child compiles handlers.
    await stop();
  }
}

const MODULE_PATHS = {
  "import.meta.url": "__edgicorn_url",
  "import.meta.dirname": "__edgicorn_dirname",
  "import.meta.filename": "__edgicorn_filename",
};

/** A bundle has one `import.meta`: each module gets its own back. On its first line, to keep line numbers. */
const keepModulePaths: Plugin = {
  name: "keep-module-paths",
  setup(build) {
    build.onLoad({ filter: /\.m?[jt]s$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      if (!source.includes("import.meta")) return null;
      const paths = {
        __edgicorn_url: pathToFileURL(path).href,
        __edgicorn_dirname: dirname(path),
        __edgicorn_filename: path,
      };
      const constants = Object.entries(paths).map(
        ([name, value]) => `const ${name} = ${JSON.stringify(value)};`,
      );
      return { contents: constants.join("") + source, loader: path.endsWith("ts") ? "ts" : "js" };
    });
  },
};

/** `import { defineConfig } from "edgicorn"` works wherever the program is installed, and costs nothing. */
const provideDefineConfig: Plugin = {
  name: "provide-define-config",
  setup(build) {
    build.onResolve({ filter: /^edgicorn$/ }, () => ({ path: "edgicorn", namespace: "edgicorn" }));
    build.onLoad({ filter: /.*/, namespace: "edgicorn" }, () => ({
      contents: "export const defineConfig = (config) => config;",
    }));
  },
};

type Evaluation = { config: unknown } | { error: { message: string; stack: string } };

/** Starts the process while the program is still being compiled: Node takes as long to start. */
async function evaluate(
  compiling: Promise<string>,
  options: {
    path: string;
    variables?: Readonly<Record<string, string>>;
    timeoutMs?: number;
    signal?: AbortSignal | undefined;
  },
): Promise<Evaluation> {
  const { path, variables = {}, timeoutMs = DEFAULT_TIMEOUT_MS, signal: stop } = options;
  const child = spawn(
    process.execPath,
    [
      "--enable-source-maps",
      "--import",
      `data:text/javascript,${encodeURIComponent(REPORT_ERRORS)}`,
      "--input-type=module",
      "-",
    ],
    {
      // A program from standard input resolves packages from its working directory.
      cwd: dirname(path),
      env: { ...variables, ...process.env },
      stdio: ["pipe", 2, 2, "pipe"],
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      signal: stop,
    },
  );
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>(
    (settle, fail) => {
      child.once("error", fail);
      child.once("close", (code, signal) => settle({ code, signal }));
    },
  );
  // Awaited below, unless the program does not compile.
  exited.catch(() => {});
  // The child may end before it has read all of its program: its exit says more than EPIPE.
  child.stdin?.on("error", () => {});
  try {
    child.stdin?.end(await compiling);
  } catch (error) {
    child.kill("SIGKILL");
    await exited.catch(() => {});
    throw error;
  }
  const result = child.stdio[3];
  const [output, { code, signal }] = await Promise.all([
    result instanceof Readable ? text(result) : "",
    exited,
  ]);
  if (output !== "") {
    // Written by REPORT_ERRORS or by `entryFor`, in this shape.
    return JSON.parse(output) as Evaluation;
  }
  const how =
    signal === "SIGKILL"
      ? `it did not finish within ${timeoutMs} ms`
      : code === UNSETTLED_TOP_LEVEL_AWAIT
        ? "a top-level await never finished"
        : `it ended the process with ${signal ?? `exit code ${code}`}`;
  return { error: { message: how, stack: "" } };
}

/** Node's exit code for it. */
const UNSETTLED_TOP_LEVEL_AWAIT = 13;

function checkPlainData(config: unknown, shownAs: string): Record<string, unknown> {
  const found = findNotData(config, "");
  if (found !== null) {
    const where = found.key === "" ? "the default export" : found.key;
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot use ${where} in ${shownAs}: found ${found.problem}, expected plain data`,
    );
  }
  if (!isRecord(config)) {
    const exported = config === null ? "no default export" : describeValue(config);
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot use ${shownAs}: found ${exported}, expected "export default defineConfig({ ... })"`,
    );
  }
  return config;
}

function findNotData(value: unknown, key: string): { key: string; problem: string } | null {
  if (typeof value !== "object" || value === null) return null;
  for (const [name, inner] of Object.entries(value)) {
    if (name === NOT_DATA) return { key, problem: String(inner) };
    const found = findNotData(inner, key === "" ? name : `${key}.${name}`);
    if (found !== null) return found;
  }
  return null;
}

/** Quotes a value for a message: `"8080x"`, `65536`, `null`, `an array`. */
export function describeValue(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length > 80 ? `${shown.slice(0, 76)}..."` : shown;
}

/** Returns `file:line` of the topmost stack frame that is neither Node's nor a package's. */
function lineOf(stack: string, cwd: string): string | null {
  for (const frame of stack.split("\n")) {
    const match = /[ (]((?:file:\/\/)?\/[^()]+):(\d+):\d+\)?$/.exec(frame);
    const [, file = "", line] = match ?? [];
    const isOurs = file.endsWith("[eval1]") || basename(file) === ENTRY_NAME;
    if (line === undefined || isOurs || file.includes("/node_modules/")) continue;
    const path = file.startsWith("file:") ? fileURLToPath(file) : file;
    return `${showPath(path, cwd)}:${line}`;
  }
  return null;
}

function oneLine(message: string): string {
  return message.replaceAll(/\s*\n\s*/g, " ").trim();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && "errors" in error && Array.isArray(error.errors);
}
