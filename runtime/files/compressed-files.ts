import {
  mkdir,
  readdir,
  realpath,
  rename,
  stat,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { type CompressionLevel, encodeFile } from "../compress/encoders.ts";
import type { ContentCoding } from "../http/content-coding.ts";
import { type FileSource, toFileVersion } from "./static-file.ts";

export interface CompressedFilesOptions {
  /** Absolute path of the folder. Made when the first file is compressed. */
  dir: string;
  log: { warn(fields: object, message: string): void };
  /** Bytes of all files together. */
  limitBytes?: number;
}

/** Content of a file that is to be compressed. */
export interface CompressionJob {
  bytes: Uint8Array;
  /** Identifies the content: hexadecimal digits. */
  key: string;
  coding: ContentCoding;
  level: CompressionLevel;
}

/** Least share of a file that a coding must save. Less is not worth the time of a decoder. */
const LEAST_SAVING = 0.1;

const DEFAULT_LIMIT_BYTES = 256 * 1024 * 1024;

/** Turns that wait. A file beyond them is served as it is, and is tried again at a later request. */
const MOST_TURNS = 1000;

/** Names of useless forms that are kept. */
const MOST_USELESS = 1000;

/**
 * Keeps compressed forms of static files on disk, by their content: a file that a deployment copies is not compressed
 * again. Several servers may share the folder.
 *
 * One turn runs at a time. So the content of one file is in memory, and one thread compresses while the others are free
 * to read files. When the folder is full, the form that was not asked for the longest time goes.
 */
export class CompressedFiles {
  readonly #options: CompressedFilesOptions;
  readonly #limitBytes: number;
  /** Size of each file by its name. The files that were used last come last. */
  readonly #sizes = new Map<string, number>();
  /** Names of forms that save too little. */
  readonly #useless = new Set<string>();
  #totalBytes = 0;
  #folder: Promise<string> | null = null;
  #lastTurn: Promise<unknown> = Promise.resolve();
  #turns = 0;
  #isBrokenReported = false;

  constructor(options: CompressedFilesOptions) {
    this.#options = options;
    this.#limitBytes = options.limitBytes ?? DEFAULT_LIMIT_BYTES;
  }

  /** Bytes of all files. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  get isFull(): boolean {
    return this.#turns >= MOST_TURNS;
  }

  /** Runs a task after all earlier ones: it reads a file, and finds the forms of its content. */
  async inTurn(task: () => Promise<void>): Promise<void> {
    this.#turns++;
    const turn = this.#lastTurn.then(task);
    // An error is for the caller of its own turn.
    this.#lastTurn = turn.catch(() => {});
    try {
      await turn;
    } finally {
      this.#turns--;
    }
  }

  /**
   * Returns the compressed form of a content; `null`: there is none that is worth it, or the disk refused it. Must be
   * called in a turn.
   */
  async find(job: CompressionJob): Promise<FileSource | null> {
    const name = `${job.key}-${job.level}.${job.coding}`;
    if (this.#useless.has(name)) return null;
    try {
      this.#folder ??= this.#open();
      const path = join(await this.#folder, name);
      return (await this.#use(name, path)) ?? (await this.#make(name, path, job));
    } catch (error) {
      this.#folder = null;
      this.#report(error);
      return null;
    }
  }

  async #open(): Promise<string> {
    const { dir } = this.#options;
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const folder = await realpath(dir);
    const found: { name: string; sizeBytes: number; madeMs: number }[] = [];
    for (const name of await readdir(folder)) {
      const stats = await stat(join(folder, name)).catch(() => null);
      if (name.startsWith(UNFINISHED)) {
        // A server that was killed left it, unless another server writes it just now.
        const isOld = Date.now() - (stats?.ctimeMs ?? 0) > WRITING_MS;
        if (isOld) await unlink(join(folder, name)).catch(() => {});
      } else if (stats?.isFile() === true) {
        found.push({ name, sizeBytes: stats.size, madeMs: stats.ctimeMs });
      }
    }
    this.#sizes.clear();
    this.#totalBytes = 0;
    for (const { name, sizeBytes } of found.toSorted((a, b) => a.madeMs - b.madeMs)) {
      this.#note(name, sizeBytes);
    }
    return folder;
  }

  async #use(name: string, path: string): Promise<FileSource | null> {
    const stats = await stat(path).catch(() => null);
    if (stats === null) return null;
    this.#note(name, stats.size);
    return { realPath: path, version: toFileVersion(stats) };
  }

  async #make(name: string, path: string, { bytes, coding, level }: CompressionJob) {
    const coded = await encodeFile(bytes, coding, level);
    if (coded.length > bytes.length * (1 - LEAST_SAVING) || coded.length > this.#limitBytes) {
      if (this.#useless.size < MOST_USELESS) this.#useless.add(name);
      return null;
    }
    const unfinished = join(path, "..", UNFINISHED + randomBytes(8).toString("hex"));
    await writeFile(unfinished, coded, { mode: 0o600 });
    // A fixed time: the entity tag is made of the content then, and is equal on all machines.
    await utimes(unfinished, 0, 0);
    await rename(unfinished, path);
    const source = await this.#use(name, path);
    await this.#makeRoom(join(path, ".."));
    return source;
  }

  #note(name: string, sizeBytes: number): void {
    this.#totalBytes += sizeBytes - (this.#sizes.get(name) ?? 0);
    this.#sizes.delete(name);
    this.#sizes.set(name, sizeBytes);
  }

  async #makeRoom(folder: string): Promise<void> {
    for (const [name, sizeBytes] of this.#sizes) {
      if (this.#totalBytes <= this.#limitBytes) return;
      this.#sizes.delete(name);
      this.#totalBytes -= sizeBytes;
      await unlink(join(folder, name)).catch(() => {});
    }
  }

  #report(error: unknown): void {
    if (this.#isBrokenReported) return;
    this.#isBrokenReported = true;
    this.#options.log.warn(
      { err: error, folder: this.#options.dir },
      "Cannot keep compressed files: static files without a compressed sibling are sent as they are",
    );
  }
}

const UNFINISHED = "unfinished-";

/** Longest time in which a server writes a compressed form. */
const WRITING_MS = 60_000;
