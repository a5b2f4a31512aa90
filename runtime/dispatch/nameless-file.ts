import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, unlinkSync } from "node:fs";
import { type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { join } from "node:path";

/** What the names of these files begin with, in the moment in which they have one. */
export const SPOOL_FILE_PREFIX = "body-";

/** For reading and writing; not one that is there already. */
const FLAGS = "wx+";
const FILE_MODE = 0o600;
const DIR_OPTIONS = { recursive: true, mode: 0o700 } as const;

/**
 * Creates a file that has no name any more when it is there: the system removes it whatever becomes of this process.
 *
 * @param dir Made, with mode 0700, if it is not there.
 * @throws What the disk says; nothing is open then.
 */
export async function createNameless(dir: string): Promise<FileHandle> {
  const path = toPath(dir);
  const handle = await open(path, FLAGS, FILE_MODE).catch(async (error: unknown) => {
    if (!isMissing(error)) throw error;
    await mkdir(dir, DIR_OPTIONS);
    return open(path, FLAGS, FILE_MODE);
  });
  try {
    await unlink(path);
  } catch (error) {
    // Another process that starts removes what it finds, this one's too.
    if (!isMissing(error)) {
      await handle.close();
      throw error;
    }
  }
  return handle;
}

/** As `createNameless`, for who cannot wait. Returns a file descriptor. */
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

/** Whether what went wrong is that a file, or its folder, is not there. */
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
