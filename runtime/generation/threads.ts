import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, dirname, extname, relative, resolve, sep } from "node:path";

/** Threads and child processes are compiled to files in this folder of the generation. */
const FOLDER = "threads";

/** A file that a source starts, or may start, as a thread or as a process. */
export interface Thread {
  /** Absolute path of its source. */
  file: string;
  /** The compiled file, relative to the generation, without its extension. */
  out: string;
}

/** The threads and processes that sources start. Each is compiled as a separate entry. */
export class Threads {
  readonly #sourceDir: string;
  readonly #threads = new Map<string, Thread>();
  readonly #importers = new Map<string, Set<string>>();
  #compiled = 0;
  /** Absolute paths of threads that sources name, without a file there. */
  readonly missing = new Set<string>();

  constructor(sourceDir: string) {
    this.#sourceDir = sourceDir;
  }

  add(file: string, importer: string): Thread {
    const importers = this.#importers.get(file) ?? new Set();
    this.#importers.set(file, importers.add(importer));
    const known = this.#threads.get(file);
    if (known !== undefined) return known;
    // Equal in each build, and for each place of the project.
    const place = relative(this.#sourceDir, file).split(sep).join("/");
    const name = basename(file, extname(file)).replaceAll(/[^\w.-]/g, "-");
    const hash = createHash("sha256").update(place).digest("hex").slice(0, 8);
    const thread = { file, out: `${FOLDER}/${name}-${hash}` };
    this.#threads.set(file, thread);
    return thread;
  }

  /** Absolute paths of all threads. */
  get files(): string[] {
    return [...this.#threads.keys()];
  }

  /** Returns the threads found since the last call. */
  take(): Thread[] {
    const found = [...this.#threads.values()].slice(this.#compiled);
    this.#compiled += found.length;
    return found;
  }

  /** Pairs of a source and a thread that it starts. */
  get starts(): [importer: string, file: string][] {
    return [...this.#importers].flatMap(([file, importers]) =>
      [...importers].map((importer): [string, string] => [importer, file]),
    );
  }
}

/** A mention of a thread in a source. */
export interface Mention {
  /** Position of the expression in the text. */
  start: number;
  end: number;
  /** Absolute path of the source that it names. */
  file: string;
}

/** A thread that cannot be compiled, with the place of its start. The build warns of it and goes on. */
export interface Refusal {
  start: number;
  text: string;
}

const URL_OF_SOURCE =
  /\bnew\s+URL\(\s*(["'`])(\.{1,2}\/[^"'`$\n]+\.[mc]?[jt]sx?)\1\s*,\s*import\.meta\.url\s*,?\s*\)/g;

const TYPESCRIPT = /\.[mc]?tsx?$/;

/** Node runs JavaScript in its place, so a JavaScript file is compiled only where the source starts it. */
const STARTS = /(?:\bWorker\s*\(|\bfork\s*\(|\bPiscina\s*\(|\bfilename\s*:)\s*$/;

/** Calls that read the file itself, as text. */
const READS = /\b(?:read\w*|createReadStream|stat\w*|lstat\w*|open\w*|access\w*|fetch)\s*\(\s*$/;

/** A path that Node uses unchanged: relative to the working folder, or computed. */
const STARTED_BY_PATH = /\bnew\s+Worker\(\s*(?!new\s+URL)([^()]*(?:\([^()]*\)[^()]*)*)/g;

/**
 * Finds `new URL("./thread.ts", import.meta.url)` in a source.
 *
 * @returns All in the order of their places. `missing` are absolute paths without a file. `refusals` are threads whose
 *   file is missing, and TypeScript that a thread loads by its path, which Node cannot do. Refusals become warnings: the
 *   code may never run.
 */
export function findThreads(
  text: string,
  path: string,
): { mentions: Mention[]; refusals: Refusal[]; missing: string[] } {
  const mentions: Mention[] = [];
  const refusals: Refusal[] = [];
  const missing: string[] = [];
  if (/\bURL\(/.test(text) && text.includes("import.meta.url")) {
    for (const match of text.matchAll(URL_OF_SOURCE)) {
      const [expression, , specifier = ""] = match;
      const before = text.slice(Math.max(0, match.index - 80), match.index);
      const isStarted = STARTS.test(before);
      if (!isStarted && (!TYPESCRIPT.test(specifier) || READS.test(before))) continue;
      const file = resolve(dirname(path), specifier);
      if (existsSync(file)) {
        mentions.push({ start: match.index, end: match.index + expression.length, file });
        continue;
      }
      missing.push(file);
      if (isStarted) {
        refusals.push({ start: match.index, text: `Could not find ${JSON.stringify(specifier)}` });
      }
    }
  }
  if (!text.includes("Worker(")) return { mentions, refusals, missing };
  for (const match of text.matchAll(STARTED_BY_PATH)) {
    const [, argument = ""] = match;
    const name = /(["'`])([^"'`\n]*\.[mc]?tsx?)\1/.exec(argument)?.[2];
    if (name === undefined || argument.includes("import.meta.url")) continue;
    refusals.push({
      start: match.index,
      text: `A thread cannot load ${JSON.stringify(name)} by its path: Node does not compile TypeScript, expected new Worker(new URL(${JSON.stringify(`./${basename(name)}`)}, import.meta.url))`,
    });
  }
  return { mentions, refusals, missing };
}
