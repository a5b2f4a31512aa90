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

async function namesCaches(dir: string): Promise<boolean> {
  for (const name of await readdir(dir, { recursive: true })) {
    if (!/\.[cm]?js$/.test(name)) continue;
    if (/\bcaches\b/.test(await readFile(join(dir, name), "utf8"))) return true;
  }
  return false;
}
