import { AsyncLocalStorage } from "node:async_hooks";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { RouteNumber } from "../channel/messages.ts";
import type { CacheCallers } from "./caches.ts";

/**
 * Returns the way in which a worker tells which site a call to `caches` belongs to.
 *
 * A worker of one site need not ask. A worker of several sites follows each exchange through its promises, which makes
 * promises slower: it does so only if a module uses `caches`, or a compiled file names it.
 *
 * @param sites A route of each site that the worker serves.
 */
export async function findCallers(
  sites: ReadonlyMap<string, RouteNumber>,
  { generationDir, isUsed }: { generationDir: string; isUsed: boolean },
): Promise<CacheCallers> {
  const [only = null] = sites.values();
  if (sites.size <= 1) return { only, running: null };
  const isWanted = isUsed || (await namesCaches(generationDir));
  return { only: null, running: isWanted ? new AsyncLocalStorage() : null };
}

/** Looks at compiled files only: a link of `node_modules` leads to a package, which can be any size and link back. */
async function namesCaches(dir: string): Promise<boolean> {
  const folders = [dir];
  // An array is visited to the end also while it grows.
  for (const folder of folders) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && entry.name !== "node_modules") folders.push(path);
      if (!entry.isFile() || !/\.[cm]?js$/.test(entry.name)) continue;
      if (/\bcaches\b/.test(await readFile(path, "utf8"))) return true;
    }
  }
  return false;
}
