import { randomBytes } from "node:crypto";
import { close, closeSync, mkdirSync, open, openSync, unlinkSync } from "node:fs";
import { mkdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** Prefix of these files' names, for the short time in which they have one. */
export const SPOOL_FILE_PREFIX = "body-";

/** Reads and writes, and refuses a file that exists. */
const FLAGS = "wx+";
const FILE_MODE = 0o600;
const DIR_OPTIONS = { recursive: true, mode: 0o700 } as const;

const openFile = promisify(open);
const closeFile = promisify(close);

/**
 * Creates a file and unlinks it at once: the system removes it however this process ends.
 *
 * @param dir Created with mode 0700 if it is missing.
 * @returns A file descriptor.
 * @throws Error of the file system; nothing is open then.
 */
export async function createNameless(dir: string): Promise<number> {
  const path = toPath(dir);
  const file = await openFile(path, FLAGS, FILE_MODE).catch(async (error: unknown) => {
    if (!isMissing(error)) throw error;
    await mkdir(dir, DIR_OPTIONS);
    return openFile(path, FLAGS, FILE_MODE);
  });
  try {
    await unlink(path);
  } catch (error) {
    // Another process that starts removes all files that it finds, also this one.
    if (!isMissing(error)) {
      await closeFile(file);
      throw error;
    }
  }
  return file;
}

/** Does the same synchronously. */
export function createNamelessSync(dir: string): number {
  const path = toPath(dir);
  const file = openOrMakeDir(dir, path);
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isMissing(error)) {
      closeSync(file);
      throw error;
    }
  }
  return file;
}

/** Tells whether an error means that a file or its folder is missing. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function openOrMakeDir(dir: string, path: string): number {
  try {
    return openSync(path, FLAGS, FILE_MODE);
  } catch (error) {
    if (!isMissing(error)) throw error;
    mkdirSync(dir, DIR_OPTIONS);
    return openSync(path, FLAGS, FILE_MODE);
  }
}

function toPath(dir: string): string {
  return join(dir, SPOOL_FILE_PREFIX + randomBytes(12).toString("hex"));
}
