import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { RuntimeError } from "../lib/errors.ts";

/**
 * Creates the state folder and the folders above it, where they are missing, and checks that the state folder can be
 * written.
 *
 * Does not use Node's `recursive`: where the system refuses a folder although its parent exists, as in `/proc`, Node
 * tries again for ever.
 *
 * @param path Absolute.
 * @throws ERR_CONFIG in one line when the folder cannot be created or written.
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

/** Creates one folder after the other, from the top, and tries each once. */
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

/** Whether the path is a folder. Follows links. */
function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
