import { realpath } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";

import { type DiscoveredRoutes, discoverRoutes } from "../route/discover.ts";
import type { ManifestSite, TableFallback, TableRoute } from "./manifest.ts";

/** A site whose handlers are a part of the build. Plain data. */
export interface BuiltSite {
  name: string;
  /** Absolute path of the folder of its handlers. */
  handlersDir: string;
  /** The pool of its handlers that name none. */
  pool: string;
}

/** Folders that are walked through at the same time. */
const AT_A_TIME = 16;

/**
 * Adds the handlers of sites to the table of the default site. Names of modules stay relative to its folder, so those of
 * sites begin with `../`. Sites with the same folder share its modules.
 *
 * @param sourceDir The folder to which the names are relative. Real path.
 * @throws RuntimeError ERR_HANDLER_LOAD as `discoverRoutes` does.
 */
export async function addSites(
  table: DiscoveredRoutes,
  sites: readonly BuiltSite[],
  { sourceDir }: { sourceDir: string },
): Promise<{ table: DiscoveredRoutes; sites: ManifestSite[] }> {
  const dirs = [...new Set(sites.map(({ handlersDir }) => resolve(handlersDir)))];
  const found = new Map<string, { dir: string; own: DiscoveredRoutes }>();
  const waiting = [...dirs];
  const walkInTurn = async (): Promise<void> => {
    for (let dir = waiting.pop(); dir !== undefined; dir = waiting.pop()) {
      const own = await discoverRoutes(dir);
      found.set(dir, { dir: await realpath(dir), own });
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, walkInTurn));

  const all: DiscoveredRoutes = {
    modules: [...table.modules],
    routes: [...table.routes],
    fallbacks: [...table.fallbacks],
    guards: [...table.guards],
    apps: [...table.apps],
    problems: [...table.problems],
    warnings: [...table.warnings],
    folders: [...table.folders],
    read: [...table.read],
  };
  const firsts = new Map<string, number>();
  for (const key of dirs) {
    const folder = found.get(key);
    if (folder === undefined) continue;
    firsts.set(key, all.modules.length);
    const { dir, own } = folder;
    all.modules.push(...own.modules.map((path) => toName(sourceDir, join(dir, path))));
    all.warnings.push(...own.warnings);
    all.folders.push(...own.folders);
    all.read.push(...own.read);
  }
  const described: ManifestSite[] = [];
  for (const { name: site, handlersDir, pool } of sites) {
    const folder = found.get(resolve(handlersDir));
    const first = firsts.get(resolve(handlersDir)) ?? 0;
    if (folder === undefined) continue;
    const { own, dir } = folder;
    described.push({ name: site, dir: toName(sourceDir, dir), pool });
    for (const app of own.apps) {
      const path = toName(sourceDir, join(dir, app.path));
      all.apps.push({ ...app, path, ofSite: { name: site, handlersDir: dir } });
    }
    const shift = <Scope extends Pick<TableRoute, "middleware" | "error">>(
      scope: Scope,
    ): Scope => ({
      ...scope,
      middleware: scope.middleware.map((number) => number + first),
      error: scope.error === null ? null : scope.error + first,
      site,
    });
    for (const route of own.routes) {
      const handlers = route.handlers.map(({ method, module }) => ({
        method,
        module: module + first,
      }));
      all.routes.push({ ...shift(route), handlers } satisfies TableRoute);
    }
    for (const guard of own.guards) {
      all.guards.push({ ...shift(guard), module: guard.module + first });
    }
    for (const fallback of own.fallbacks) {
      all.fallbacks.push({
        ...shift(fallback),
        module: fallback.module + first,
      } satisfies TableFallback);
    }
  }
  return { table: all, sites: described };
}

function toName(sourceDir: string, path: string): string {
  return relative(sourceDir, path).split(sep).join("/");
}
