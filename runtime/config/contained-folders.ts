import { realpathSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";

/**
 * Returns the paths that are the folder or lie below it, links followed on both sides: a public folder must not contain
 * keys or sources.
 *
 * @param paths Absolute. A missing path counts as the place where a later call would create it.
 */
export function findContained<Path extends { path: string }>(
  folder: string,
  paths: readonly Path[],
): Path[] {
  const realFolder = toRealPath(folder);
  return paths.filter(({ path }) => isWithin(realFolder, toRealPath(path)));
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  // A name may begin with two dots.
  return way !== ".." && !way.startsWith(`..${sep}`);
}

function toRealPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(toRealPath(parent), basename(path));
  }
}
