import { statSync } from "node:fs";

/** Tells whether a path is a folder that this user can reach. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // It is missing, or lies in a folder that this user may not enter: the server cannot use it.
    return false;
  }
}
