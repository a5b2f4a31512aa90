import { statSync, type Stats } from "node:fs";
import { dirname } from "node:path";

/**
 * Moves this process out of a working directory that was deleted, into the nearest parent folder that exists.
 *
 * Node does not start in a deleted directory (`uv_cwd`), so neither a worker nor a build would start. If the directory
 * was deleted and created again, the process enters the new one.
 *
 * Must be called after a first call of `process.cwd()`.
 *
 * @returns A warning for the log; `null` when the working directory exists.
 */
export function leaveDeletedFolder(): string | null {
  const before = process.cwd();
  const here = look(".");
  const named = look(before);
  if (named !== null && here !== null && named.dev === here.dev && named.ino === here.ino) {
    return null;
  }
  let folder = before;
  while (look(folder)?.isDirectory() !== true && dirname(folder) !== folder) {
    folder = dirname(folder);
  }
  process.chdir(folder);
  // Node caches the result until the next `chdir`. A later call could fail.
  process.cwd();
  return folder === before
    ? `the working directory ${before} was deleted and created again: new workers start in the new one`
    : `the working directory ${before} was deleted: new workers start in ${folder}, relative paths in handlers lead elsewhere (restart the server in a folder that stays)`;
}

function look(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    // The folder is gone, or this user may not enter a folder above it.
    return null;
  }
}
