import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from "node:fs";
import { join } from "node:path";
import { CODED_SIBLINGS } from "../http/content-coding.ts";
import { codeOf } from "../lib/errors.ts";
import { IgnorePatterns, MOST_LINE } from "../lib/ignore-patterns.ts";

/** Name of the file that tells which files of a public folder are not served, as Cloudflare names it. */
export const IGNORE_FILE = ".assetsignore";

/** Largest file that is read. */
const MOST_BYTES = 1024 * 1024;
/** Time after a change in which the file may still be written: `cp` empties it first. */
const YOUNG_MS = 2000;

/** `all`: the file cannot be used. `null`: no file is ignored. */
type Rules = IgnorePatterns | "all" | null;

interface IgnoredFilesOptions {
  log: { warn(fields: object, message: string): void };
  /** Monotonic, in milliseconds. */
  now?: () => number;
}

/**
 * The files of one public folder that its `.assetsignore` names. They are not served.
 *
 * Reads the file before the first answer, at once: a file that it names must not be served meanwhile. If it cannot be used, all
 * files count as named. After a change, files that the former version names count as named for {@link YOUNG_MS} more.
 */
export class IgnoredFiles {
  readonly #path: string;
  readonly #log: IgnoredFilesOptions["log"];
  readonly #now: () => number;
  #isRead = false;
  /** `null`: the file must be read at the next look, since it was not read or the system refused to read it. */
  #version: string | null = null;
  #rules: Rules = null;
  /** Rules before the change at `#changedMs`. They hold beside the present rules while the change is young. */
  #former: Rules = null;
  #changedMs = 0;
  #warning = "";

  /** @param rootPath Canonical path of the public folder. */
  constructor(rootPath: string, { log, now = () => performance.now() }: IgnoredFilesOptions) {
    this.#path = join(rootPath, IGNORE_FILE);
    this.#log = log;
    this.#now = now;
  }

  /** Tells whether some files may be ignored, by the version that was read last. */
  get hasSome(): boolean {
    return this.#rules !== null || this.#former !== null;
  }

  /** Reads the file again if it changed or could not be read. Returns whether other files may be ignored by now. */
  refresh(): boolean {
    const isFirst = !this.#isRead;
    this.#isRead = true;
    const found = readIfChanged(this.#path, this.#version);
    if (found !== null) {
      this.#version = found.version;
      this.#warn(found.problem);
      if (!isSame(found.rules, this.#rules)) {
        // While one change is young, a second one keeps the rules from before the first.
        this.#former ??= this.#rules;
        this.#rules = found.rules;
        this.#changedMs = this.#now();
        return !isFirst;
      }
    }
    if (this.#former === null || this.#now() - this.#changedMs < YOUNG_MS) return false;
    this.#former = null;
    return true;
  }

  /**
   * Tells whether a path is ignored, if none of the folders on the way to it is.
   *
   * @param path Decoded, with a slash at its start alone.
   */
  has(path: string, isFolder: boolean): boolean {
    return this.#matches(path, (patterns, each) => patterns.ignores(each, isFolder));
  }

  /** Tells whether a path or a folder on the way to it is ignored. */
  hides(path: string, isFolder: boolean): boolean {
    return this.#matches(path, (patterns, each) => patterns.hides(each, isFolder));
  }

  #matches(path: string, test: (patterns: IgnorePatterns, path: string) => boolean): boolean {
    if (!this.#isRead) this.refresh();
    if (!this.hasSome) return false;
    const own = path.slice(1);
    const coded = CODED_SIBLINGS.find(({ suffix }) => own.endsWith(suffix));
    const isNamed = (rules: Rules): boolean => {
      if (rules === null || rules === "all") return rules === "all";
      // A compressed form tells the content of its file.
      return (
        test(rules, own) || (coded !== undefined && test(rules, own.slice(0, -coded.suffix.length)))
      );
    };
    return isNamed(this.#rules) || isNamed(this.#former);
  }

  /** Logs a problem once, until the file can be used. */
  #warn(problem: string): void {
    const isNews = problem !== "" && problem !== this.#warning;
    this.#warning = problem;
    if (!isNews) return;
    this.#log.warn(
      { file: this.#path },
      `Cannot use ${this.#path}: found ${problem}; no file of the folder is served until the server can read it`,
    );
  }
}

function isSame(a: Rules, b: Rules): boolean {
  return (
    a === b || (a instanceof IgnorePatterns && b instanceof IgnorePatterns && a.text === b.text)
  );
}

interface Found {
  /** Differs after a change of the file. `null`: read again, since the system refused to read the file. */
  version: string | null;
  rules: Rules;
  /** Empty: none. */
  problem: string;
}

/** Reads the file, unless it has the known version. */
function readIfChanged(path: string, known: string | null): Found | null {
  try {
    const stats = statSync(path);
    const version = [stats.ino, stats.size, stats.mtimeMs, stats.ctimeMs].join(".");
    if (version === known) return null;
    try {
      // Before it is opened: to open a pipe or a device may have an effect.
      refuseUnfit(stats);
      return { version, rules: new IgnorePatterns(readText(path)), problem: "" };
    } catch (error) {
      if (!(error instanceof UnfitError)) throw error;
      return { version, rules: "all", problem: error.message };
    }
  } catch (error) {
    const code = codeOf(error);
    // A link that leads nowhere has no file either.
    if (code === "ENOENT" || code === "ENOTDIR") {
      return known === NO_FILE ? null : { version: NO_FILE, rules: null, problem: "" };
    }
    return { version: null, rules: "all", problem: `${code}, expected a file that can be read` };
  }
}

const NO_FILE = "none";

/** The file was found, and cannot be used until it changes. */
class UnfitError extends Error {}

function refuseUnfit(stats: Stats): void {
  if (!stats.isFile()) {
    const kind = stats.isDirectory() ? "a folder" : "a pipe, socket or device";
    throw new UnfitError(`${kind}, expected a regular file`);
  }
  refuseSize(stats.size);
}

function refuseSize(bytes: number): void {
  if (bytes > MOST_BYTES) throw new UnfitError(`${bytes} bytes, expected at most 1 MiB`);
}

/** Reads a regular file. Does not wait if a pipe took its place since the caller looked. */
function readText(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    refuseUnfit(fstatSync(fd));
    const bytes = Buffer.alloc(MOST_BYTES + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length;) {
      count = readSync(fd, bytes, length, bytes.length - length, null);
      length += count;
    }
    refuseSize(length);
    return toText(bytes.subarray(0, length));
  } finally {
    closeSync(fd);
  }
}

function toText(bytes: Buffer): string {
  const text = bytes.toString();
  const lines = text.split("\n");
  const index = lines.findIndex((line) => line.length > MOST_LINE && !line.startsWith("#"));
  const length = lines[index]?.length;
  if (length === undefined) return text;
  throw new UnfitError(
    `line ${index + 1} with ${length} characters, expected at most ${MOST_LINE}`,
  );
}
