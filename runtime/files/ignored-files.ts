import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { CODED_SIBLINGS } from "../http/content-coding.ts";
import { IgnorePatterns } from "../lib/ignore-patterns.ts";

/** Name of the file that tells which files of a public folder are not served, as Cloudflare names it. */
export const IGNORE_FILE = ".assetsignore";

/** Largest file that is read. */
const MOST_BYTES = 1024 * 1024;

/**
 * The files of one public folder that its `.assetsignore` names. They are not served.
 *
 * Reads the file before the first answer, at once: a file that it names must not be served meanwhile. If it cannot be read, all
 * files count as named.
 */
export class IgnoredFiles {
  readonly #path: string;
  readonly #log: { warn(fields: object, message: string): void };
  /** `null`: not read yet. */
  #version: string | null = null;
  /** `all`: the file cannot be read. `null`: no file is ignored. */
  #patterns: IgnorePatterns | "all" | null = null;

  /** @param rootPath Canonical path of the public folder. */
  constructor(rootPath: string, log: { warn(fields: object, message: string): void }) {
    this.#path = join(rootPath, IGNORE_FILE);
    this.#log = log;
  }

  /** Tells whether some files may be ignored, by the version that was read last. */
  get hasSome(): boolean {
    return this.#patterns !== null;
  }

  /** Reads the file again if it changed. Returns whether it did. */
  refresh(): boolean {
    const version = readVersion(this.#path);
    if (version === this.#version) return false;
    const isFirst = this.#version === null;
    this.#version = version;
    this.#patterns = version === NO_FILE ? null : this.#read();
    return !isFirst;
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
    if (this.#version === null) this.refresh();
    const patterns = this.#patterns;
    if (patterns === null || patterns === "all") return patterns === "all";
    const own = path.slice(1);
    const coded = CODED_SIBLINGS.find(({ suffix }) => own.endsWith(suffix));
    // A compressed form tells the content of its file.
    return (
      test(patterns, own) ||
      (coded !== undefined && test(patterns, own.slice(0, -coded.suffix.length)))
    );
  }

  #read(): IgnorePatterns | "all" {
    try {
      const bytes = readFileSync(this.#path);
      if (bytes.length <= MOST_BYTES) return new IgnorePatterns(bytes.toString());
      this.#refuse(`${bytes.length} bytes, expected at most 1 MiB`);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "an error";
      this.#refuse(`${code}, expected a file that can be read`);
    }
    return "all";
  }

  #refuse(found: string): void {
    this.#log.warn(
      { file: this.#path },
      `Cannot use ${this.#path}: found ${found}; no file of the folder is served until then`,
    );
  }
}

const NO_FILE = "none";

/** Returns a text that differs after a change of the file. */
function readVersion(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino}.${size}.${mtimeMs}.${ctimeMs}`;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "an error";
    // A link that leads nowhere has no file either.
    return code === "ENOENT" || code === "ENOTDIR" ? NO_FILE : code;
  }
}
