import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { isAbsolute, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { ManifestModule } from "../generation/manifest.ts";
import { describeError } from "./describe-error.ts";
import { findTopLevelAwait } from "./find-await.ts";
import { explainLoadError } from "./load-hints.ts";
import { locateError, sourcesOf, type SourcePosition } from "./error-location.ts";

export type ImportResult =
  | { ok: true; namespace: Readonly<Record<string, unknown>> }
  | { ok: false; failure: ImportFailure };

export interface ImportFailure {
  /** `ReferenceError: foo is not defined`; one line. */
  message: string;
  /** Position in the source; `null`: unknown. */
  position: SourcePosition | null;
  cause: unknown;
  /** Its top level has not ended in time, and may never end. */
  isPending?: boolean;
}

const TIMED_OUT = Symbol("timed out");

/**
 * Imports a compiled module. Never rejects: a module that throws, or whose top-level `await` takes longer than
 * `timeoutMs`, is a result. Such a module cannot be stopped; it is up to the caller to end the process.
 */
export async function importModule(
  generationDir: string,
  module: ManifestModule,
  timeoutMs: number,
): Promise<ImportResult> {
  const file = join(generationDir, module.compiled);
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<typeof TIMED_OUT>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, TIMED_OUT);
  });
  try {
    const importing = import(pathToFileURL(file).href) as Promise<Record<string, unknown>>;
    const namespace = await Promise.race([importing, timeout]);
    if (namespace !== TIMED_OUT) return { ok: true, namespace };
    const message = "its top-level await has not finished";
    const position = await findTopLevelAwait(file);
    return { ok: false, failure: { message, position, cause: undefined, isPending: true } };
  } catch (error) {
    return { ok: false, failure: await toFailure(error, file) };
  } finally {
    clearTimeout(timer);
  }
}

async function toFailure(error: unknown, compiledFile: string): Promise<ImportFailure> {
  if (!(error instanceof Error)) {
    return { message: describeError(error), position: null, cause: error };
  }
  const missing = MISSING.exec(error.message)?.groups ?? MISSING_CJS.exec(error.message)?.groups;
  if (missing?.["name"] !== undefined) {
    const { name, importer = compiledFile } = missing;
    const remedy = isAbsolute(name)
      ? "expected a file"
      : `not installed, run "npm install ${name}"`;
    return {
      message: `cannot find "${name}": ${remedy}`,
      position: await findImport(name, importer),
      cause: error,
    };
  }
  const failure = { position: locateError(error), cause: error };
  for (const wording of UNLINKED) {
    const names = wording.exec(error.message)?.groups;
    if (names === undefined) continue;
    return { ...failure, message: await describeUnlinked(names, compiledFile) };
  }
  const hint = explainLoadError(error);
  const message = describeError(error) + (hint === null ? "" : `: ${hint}`);
  return { ...failure, message };
}

/** Text of ERR_MODULE_NOT_FOUND. Only this text names the missing module and its importer. */
const MISSING = /^Cannot find (?:package|module) '(?<name>[^']+)' imported from (?<importer>.+?)$/m;

/** The same of `require`. */
const MISSING_CJS = /^Cannot find module '(?<name>[^']+)'\s+Require stack:\s+- (?<importer>.+?)$/m;

/** Text of Node's error for an import of a name that a module does not export. */
const UNLINKED = [
  /The requested module '(?<module>[^']+)' does not provide an export named '(?<name>[^']+)'/,
  /^Named export '(?<name>[^']+)' not found\. The requested module '(?<module>[^']+)'/,
];

/** Longest wait for a module that is loaded to see what it exports. */
const LIST_EXPORTS_MS = 1_000;

const MOST_NAMES = 8;

/** Names what the module exports instead. */
async function describeUnlinked(
  { name = "", module = "" }: Record<string, string>,
  compiledFile: string,
): Promise<string> {
  const text = `${JSON.stringify(module)} has no export ${JSON.stringify(name)}`;
  const names = await listExports(module, compiledFile);
  if (names === null) return text;
  const others = names.filter((each) => each !== "default" && each !== "module.exports");
  const shown = others.slice(0, MOST_NAMES).map((each) => JSON.stringify(each));
  const more = others.length > MOST_NAMES ? " and others" : "";
  const offers = shown.length > 0 ? `, it has ${shown.join(", ")}${more}` : "";
  // CommonJS whose names cannot be read without running it.
  const isWhole = others.length === 0 && names.includes("default") && name !== "default";
  if (!isWhole) return `${text}${offers}`;
  const whole = `import all from ${JSON.stringify(module)}; const { ${name} } = all`;
  return `${text}, only a default one: ${whole}`;
}

async function listExports(module: string, compiledFile: string): Promise<string[] | null> {
  try {
    const path = createRequire(compiledFile).resolve(module);
    const importing = import(pathToFileURL(path).href) as Promise<object>;
    // The process ends anyway, since the handlers do not load.
    const late = delay(LIST_EXPORTS_MS, null, { ref: false });
    const namespace = await Promise.race([importing, late]);
    return namespace === null ? null : Object.keys(namespace);
  } catch {
    // It is offered to `import` only, or cannot be loaded: then the text has to do.
    return null;
  }
}

/** The line of the first mention of a package in quotes in the sources of a module. */
async function findImport(name: string, importer: string): Promise<SourcePosition | null> {
  const mention = new RegExp(`(["'\`])${name.replaceAll(/[^\w/@-]/g, "\\$&")}(/[^"'\`]*)?\\1`);
  const sources = sourcesOf(importer);
  for (const file of sources.length > 0 ? sources : [importer]) {
    const position = await findInFile(file, mention);
    if (position !== null) return position;
  }
  return null;
}

/** Finds the first place of a text in a file; `null`: the text is not there, or the file cannot be read. */
export async function findInFile(file: string, pattern: RegExp): Promise<SourcePosition | null> {
  const text = await readFile(file, "utf8").catch(() => "");
  const lines = text.split("\n");
  const index = lines.findIndex((line) => pattern.test(line));
  const column = lines[index]?.search(pattern);
  return column === undefined ? null : { file, line: index + 1, column: column + 1 };
}
