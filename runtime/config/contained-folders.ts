import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * Returns the paths that are one of the folders or lie below one, links followed on both sides: a public folder must not
 * contain keys or sources. The effort grows with the number of folders and paths, not with their product.
 *
 * @param paths Absolute. A missing path counts as the place where a later call would create it.
 */
export function findContained<Path extends { path: string }>(
  folders: readonly string[],
  paths: readonly Path[],
): { folder: string; found: Path }[] {
  if (folders.length === 0) return [];
  const byRealPath = new Map(folders.map((folder) => [toRealPath(folder), folder]));
  return paths.flatMap((found) => {
    for (let at = toRealPath(found.path); ; at = dirname(at)) {
      const folder = byRealPath.get(at);
      if (folder !== undefined) return [{ folder, found }];
      if (at === dirname(at)) return [];
    }
  });
}

function toRealPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(toRealPath(parent), basename(path));
  }
}
