import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";

import { isMissing } from "../bodies/nameless-file.ts";
import type { CacheKey } from "./cache-key.ts";
import { readFully } from "./entry-body.ts";
import {
  encodeTail,
  type FileTail,
  FOOTER_BYTES,
  isIntact,
  parseFooter,
  parseTail,
} from "./entry-file.ts";

/** An entry that was read from its file. */
export interface FoundFile extends FileTail {
  fileBytes: number;
  /** The body, if it was asked for. */
  bytes: Uint8Array | null;
}

/** Bytes that are read at the end of a file at first. The record of nearly every entry fits. */
const TAIL_GUESS_BYTES = 4096;

const FILE_MODE = 0o600;
const DIR_MODE = 0o700;
const TEMPORARY = "unfinished";

/** Characters of a file's name that its folder has as its name: 256 folders. */
const SHARD_LENGTH = 2;
const NAME = /^[0-9a-f]{32}-[0-9a-f]{16}$/;

/**
 * Files of entries. An entry has one file, which gets its name when it is complete. No name is used twice, so a file that
 * was opened by its name has the bytes of its entry.
 *
 * All methods throw the errors of the file system, unless they say otherwise.
 */
export class EntryFolder {
  readonly #dir: string;
  /** Names that this process has given; `null`: all further names need not be remembered. */
  #own: Set<string> | null = new Set();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Writes a complete entry. Returns its name and size. */
  async write(tail: FileTail, body: Uint8Array): Promise<{ name: string; fileBytes: number }> {
    const file = await this.createTemporary(tail.record.key);
    try {
      if (body.length > 0) await file.append(body);
      return { name: file.name, fileBytes: await file.publish(tail) };
    } catch (error) {
      await file.discard();
      throw error;
    }
  }

  /** Begins the file of an entry. It has another name until it is complete. */
  async createTemporary(key: CacheKey): Promise<TemporaryFile> {
    const name = `${hashKey(key)}-${randomBytes(8).toString("hex")}`;
    this.#own?.add(name);
    const unfinished = join(this.#dir, TEMPORARY);
    const path = join(unfinished, name);
    const handle = await this.#withFolder(unfinished, () => open(path, "wx", FILE_MODE));
    const publish = (): Promise<void> =>
      this.#withFolder(join(this.#dir, shardOf(name)), () => rename(path, this.#pathOf(name)));
    return new TemporaryFile(handle, { path, name, publish });
  }

  /**
   * Reads an entry.
   *
   * @param mostBytes Largest file whose body is read, too.
   * @returns `null`: there is no such file, or it is not an intact entry.
   */
  async read(name: string, mostBytes: number): Promise<FoundFile | null> {
    let handle: FileHandle;
    try {
      handle = await this.open(name);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
    try {
      const { size } = await handle.stat();
      return await readEntry(handle, size, mostBytes);
    } finally {
      await handle.close();
    }
  }

  open(name: string): Promise<FileHandle> {
    return open(this.#pathOf(name), constants.O_RDONLY);
  }

  /**
   * Replaces the part of a file behind the body. A process that ends meanwhile leaves a file that is no entry.
   *
   * @returns The new size of the file.
   */
  async rewriteTail(name: string, tail: FileTail): Promise<number> {
    const handle = await open(this.#pathOf(name), "r+");
    try {
      const bytes = encodeTail(tail);
      const { bodyBytes } = tail.record.head;
      await writeFully(handle, bytes, bodyBytes);
      await handle.truncate(bodyBytes + bytes.length);
      return bodyBytes + bytes.length;
    } finally {
      await handle.close();
    }
  }

  /** Does nothing when the file is gone. */
  async remove(name: string): Promise<void> {
    await unlinkIfThere(this.#pathOf(name));
  }

  /** Returns the folders that have files. Removes files that an earlier process left unfinished. */
  async listShards(): Promise<string[]> {
    const names = await readdirIfThere(this.#dir);
    for (const unfinished of await readdirIfThere(join(this.#dir, TEMPORARY))) {
      await this.#removeIfOld(join(this.#dir, TEMPORARY, unfinished));
    }
    return names.filter((name) => /^[0-9a-f]{2}$/.test(name));
  }

  /** Returns the names of the files in a folder, but not of those that this object has written. */
  async listShard(shard: string): Promise<string[]> {
    const names = await readdirIfThere(join(this.#dir, shard));
    return names.filter((name) => NAME.test(name) && this.#own?.has(name) !== true);
  }

  /** Frees the memory for the names of files that this object has written. No folder is listed from then on. */
  forgetOwn(): void {
    this.#own = null;
  }

  /** A file that another process writes at this moment stays, while the server is being replaced by a newer version. */
  async #removeIfOld(path: string): Promise<void> {
    try {
      const { mtimeMs } = await stat(path);
      if (Date.now() - mtimeMs > UNFINISHED_MS) await unlink(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async #withFolder<T>(dir: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (!isMissing(error)) throw error;
      await mkdir(dir, { recursive: true, mode: DIR_MODE });
      return action();
    }
  }

  #pathOf(name: string): string {
    return join(this.#dir, shardOf(name), name);
  }
}

/** Age of an unfinished file from which on its process has ended. Each piece of a body renews it. */
const UNFINISHED_MS = 60 * 60 * 1000;

/** A file that is being written. Exactly one of `publish` and `discard` ends it. */
export class TemporaryFile {
  readonly name: string;
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #publish: () => Promise<void>;
  #sizeBytes = 0;

  /** @param options.publish Gives the file its name. */
  constructor(
    handle: FileHandle,
    { path, name, publish }: { path: string; name: string; publish: () => Promise<void> },
  ) {
    this.#handle = handle;
    this.#path = path;
    this.name = name;
    this.#publish = publish;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await writeFully(this.#handle, bytes, this.#sizeBytes);
    this.#sizeBytes += bytes.length;
  }

  /** Completes the file, and gives it its name. Returns its size. */
  async publish(tail: FileTail): Promise<number> {
    await this.append(encodeTail(tail));
    await this.#handle.close();
    await this.#publish();
    return this.#sizeBytes;
  }

  /** Removes the file. Never throws: the file is then removed by a later start. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await unlinkIfThere(this.#path).catch(() => {});
  }
}

/** Returns the part of a file's name that stands for its key. */
export function hashKey({ page, search, cookies }: CacheKey): string {
  // A prefix of SHA-256: an attacker must not find two URLs that share it.
  const text = `${page}\n${search}\n${cookies}`;
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/** Returns the folder of a key or of a name. */
export function shardOf(hash: string): string {
  return hash.slice(0, SHARD_LENGTH);
}

async function readEntry(
  handle: FileHandle,
  fileBytes: number,
  mostBytes: number,
): Promise<FoundFile | null> {
  if (fileBytes < FOOTER_BYTES) return null;
  const isWhole = fileBytes <= mostBytes;
  const guess = isWhole ? fileBytes : Math.min(fileBytes, TAIL_GUESS_BYTES);
  const end = await readFully(handle, fileBytes - guess, guess);
  const sizes = end === null ? null : parseFooter(end.subarray(-FOOTER_BYTES), fileBytes);
  if (end === null || sizes === null) return null;
  const { bodyBytes, tailBytes } = sizes;
  const bytes =
    tailBytes <= end.length
      ? end.subarray(-tailBytes)
      : await readFully(handle, bodyBytes, tailBytes);
  const tail = bytes === null ? null : parseTail(bytes, sizes);
  if (tail === null) return null;
  if (!isWhole) return { ...tail, fileBytes, bytes: null };
  const body = end.subarray(0, bodyBytes);
  return isIntact(body, tail.checksums) ? { ...tail, fileBytes, bytes: body } : null;
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

async function readdirIfThere(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
