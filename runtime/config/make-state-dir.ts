import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { RuntimeError } from "../lib/errors.ts";

/**
 * Makes the state folder and those above it, where they are not there yet, and sees that it can be written.
 *
 * Not with Node's `recursive`: where a folder cannot be made although the one above it is there, as in `/proc`, that
 * tries again for ever.
 *
 * @param path Absolute.
 * @throws ERR_CONFIG in one line when there can be no such folder.
 */
export function makeStateDir(path: string): void {
  try {
    make(path);
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot use the state folder ${path}: ${reason}, expected a folder that can be made and written (--state-dir DIR)`,
      { cause },
    );
  }
}

/** From the top, one folder at a time, each tried once. */
function make(path: string): void {
  if (isFolder(path)) return;
  const parent = dirname(path);
  if (parent !== path) make(parent);
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have made it at this moment.
    if (!isFolder(path)) throw error;
  }
}

/** Links are followed. */
function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
