import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ManifestModule } from "../generation/manifest.ts";
import { describeError } from "./describe-error.ts";
import { explainMissing } from "./missing-global.ts";
import { locateError, sourcesOf, type SourcePosition } from "./error-location.ts";

export type ImportResult =
  | { ok: true; namespace: Readonly<Record<string, unknown>> }
  | { ok: false; failure: ImportFailure };

export interface ImportFailure {
  /** `ReferenceError: foo is not defined`; one line. */
  message: string;
  /** Where in the source; `null`: unknown. */
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
    return { ok: false, failure: { message, position: null, cause: undefined, isPending: true } };
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
  const missing = MISSING.exec(error.message)?.groups;
  if (missing?.["name"] !== undefined) {
    const importer = missing["importer"] ?? compiledFile;
    return {
      message: `cannot find "${missing["name"]}": is it installed?`,
      position: await findImport(missing["name"], importer),
      cause: error,
    };
  }
  const hint = explainMissing(error);
  const message = describeError(error) + (hint === null ? "" : `: ${hint}`);
  return { message, position: locateError(error), cause: error };
}

/** How Node words ERR_MODULE_NOT_FOUND, the only place where it names what is missing and who asked for it. */
const MISSING = /^Cannot find (?:package|module) '(?<name>[^']+)' imported from (?<importer>.+?)$/m;

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

/** Where a text first occurs in a file; `null` if it does not, or the file cannot be read. */
export async function findInFile(file: string, pattern: RegExp): Promise<SourcePosition | null> {
  const text = await readFile(file, "utf8").catch(() => "");
  const lines = text.split("\n");
  const index = lines.findIndex((line) => pattern.test(line));
  const column = lines[index]?.search(pattern);
  return column === undefined ? null : { file, line: index + 1, column: column + 1 };
}
