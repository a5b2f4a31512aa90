import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseEnv } from "node:util";
import { RuntimeError } from "../lib/errors.ts";
import { showPath } from "./config-file.ts";

/** Files that a server reads where the operator names none. A later one wins. */
const DEFAULT_NAMES = [".env", ".env.local"] as const;

const VARIABLE = "EDGICORN_ENV_FILE";

export interface EnvFileSources {
  /** Value of `--env-file`: paths with commas between them. Node has checked that they exist. */
  flag: string | undefined;
  /** The environment of the process. It wins over all files. */
  env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  cwd: string;
}

/** Variables that files add to the environment. */
export interface EnvFiles {
  /** Absolute paths of the files that were read. */
  files: readonly string[];
  /** Values by name, without the names that the environment has already. */
  variables: Readonly<Record<string, string>>;
  /** The file of each of these variables, for messages. */
  places: Readonly<Record<string, string>>;
}

/**
 * Reads `.env` and `.env.local`, or the files that the operator names instead.
 *
 * `process.env` stays as it is: a reload reads the files anew, and a variable that left its file is then gone.
 *
 * @throws ERR_CONFIG when a file that was named is missing, when a file cannot be read, and when it holds a NUL.
 */
export function readEnvFiles(sources: EnvFileSources): EnvFiles {
  const files: string[] = [];
  const found: Record<string, string> = {};
  const places: Record<string, string> = {};
  for (const { path, label } of pickFiles(sources)) {
    const text = readFile(path, { label, cwd: sources.cwd });
    if (text === null) continue;
    refuseNul(text, showPath(path, sources.cwd));
    files.push(path);
    const own = parseEnvFile(text);
    Object.assign(found, own);
    for (const name of Object.keys(own)) places[name] = showPath(path, sources.cwd);
  }
  const added = Object.entries(found).filter(([name]) => sources.env[name] === undefined);
  return { files, variables: Object.freeze(Object.fromEntries(added)), places };
}

/** Returns the absolute paths of the files for which a start looks, whether they exist or not. */
export function listEnvFiles(sources: EnvFileSources): string[] {
  return pickFiles(sources).map(({ path }) => path);
}

/**
 * Parses the text of such a file as Node's `--env-file` does: quotes, values of several lines, `export`, comments.
 * A value in backticks or in quotes may hold `#`. Nothing is expanded.
 */
export function parseEnvFile(text: string): Record<string, string> {
  // Node takes a byte order mark for a part of the first name (20.20, 22.21, 24.11).
  const variables = parseEnv(text.replace(/^\uFEFF/, ""));
  // Node's types allow `undefined`, which the parser never makes.
  return { ...variables } as Record<string, string>;
}

/**
 * Returns a sentence for each line of the files that sets no variable or sets an odd value. None has the text of the line,
 * which may be a secret.
 */
export function describeEnvFileProblems(files: readonly string[], cwd: string): string[] {
  return files.flatMap((path) =>
    findOddLines(readFileSync(path, "utf8")).map(({ line, quote }) =>
      quote === null
        ? `${showPath(path, cwd)}:${line} sets no variable: found no "=", expected NAME=value, or # before a comment`
        : `${showPath(path, cwd)}:${line} has no value as meant: found a ${quote} that opens and never closes, expected a second one at the end of the value`,
    ),
  );
}

/** Returns `3 variables from .env, .env.local`; `null`: no file was read. Never a name or a value. */
export function describeEnvFiles(
  { envFiles, variables }: { envFiles: readonly string[]; variables: EnvFiles["variables"] },
  cwd: string,
): string | null {
  if (envFiles.length === 0) return null;
  const count = Object.keys(variables).length;
  const shown = envFiles.map((path) => showPath(path, cwd)).join(", ");
  return `${count} ${count === 1 ? "variable" : "variables"} from ${shown}`;
}

interface Candidate {
  path: string;
  /** The flag or variable that names the file; `null`: the file may be missing. */
  label: string | null;
}

function pickFiles({ flag, env, cwd }: EnvFileSources): Candidate[] {
  const named = flag ?? (env[VARIABLE] || undefined);
  if (flag === undefined && named === "off") return [];
  const label = flag === undefined ? VARIABLE : "--env-file";
  return named === undefined
    ? DEFAULT_NAMES.map((name) => ({ path: resolve(cwd, name), label: null }))
    : named.split(",").map((name) => ({ path: resolve(cwd, name.trim()), label }));
}

function readFile(
  path: string,
  { label, cwd }: { label: string | null; cwd: string },
): string | null {
  const shown = showPath(path, cwd);
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    // Errors of the file system have a code.
    const { code } = cause as NodeJS.ErrnoException;
    // A folder `.env` is a virtual environment of Python.
    if (label === null && (code === "ENOENT" || code === "EISDIR")) return null;
    const found = FOUND[code ?? ""] ?? String(cause);
    const message =
      label === null
        ? `Cannot read ${shown}: found ${found}, expected a file that this user may read, or EDGICORN_ENV_FILE=off`
        : `Cannot use ${label}: found ${found} at ${shown}, expected a file of NAME=value lines`;
    throw new RuntimeError("ERR_CONFIG", message, { cause });
  }
}

const FOUND: Readonly<Record<string, string>> = {
  ENOENT: "no file",
  EISDIR: "a folder",
  EACCES: "no permission",
};

/** Refuses a NUL: the system ends a variable there, so Node starts no worker with one. A file in UTF-16 is full of them. */
function refuseNul(text: string, shown: string): void {
  const at = text.indexOf("\0");
  if (at === -1) return;
  const line = text.slice(0, at).split("\n").length;
  const message = `Cannot use ${shown}:${line}: found a NUL character, expected a text file in UTF-8`;
  throw new RuntimeError("ERR_CONFIG", message);
}

interface OddLine {
  line: number;
  /** The quote that opens in the line and never closes; `null`: the line has no `=`. */
  quote: string | null;
}

/** Finds lines with such a quote, and lines without `=` that are neither empty, nor a comment, nor part of a value. */
function findOddLines(text: string): OddLine[] {
  const odd: OddLine[] = [];
  let quote: string | null = null;
  for (const [index, line] of text.split("\n").entries()) {
    if (quote !== null) {
      if (line.includes(quote)) quote = null;
      continue;
    }
    const [, opened, rest = ""] = /^[^=#]*=\s*(["'`])(.*)$/.exec(line) ?? [];
    if (opened !== undefined && !rest.includes(opened)) {
      // A quote that no later line closes is a character like any other.
      const later = text.split("\n").slice(index + 1);
      if (later.some((next) => next.includes(opened))) quote = opened;
      else odd.push({ line: index + 1, quote: opened });
    } else if (!/^\s*(?:#|$)/.test(line) && !line.includes("=")) {
      odd.push({ line: index + 1, quote: null });
    }
  }
  return odd;
}
