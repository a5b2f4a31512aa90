import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Returns why a file cannot be written to, as far as that shows without opening it; `null`: there is no obstacle.
 * Creates no file: a check by root would leave one that the server may not write to.
 */
export function findWriteObstacle(path: string): string | null {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true) return `a folder, ${path}`;
    accessSync(stats === undefined ? dirname(path) : path, constants.W_OK);
    return null;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "ENOENT") return `no folder ${dirname(path)}`;
    return `that ${path} cannot be written (${code})`;
  }
}
