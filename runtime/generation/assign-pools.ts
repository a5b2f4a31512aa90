import { DEFAULT_POOL } from "../lib/pool-name.ts";
import type { ManifestFallback, ManifestRoute, TableFallback, TableRoute } from "./manifest.ts";

export interface AssignedPools {
  routes: ManifestRoute[];
  fallbacks: ManifestFallback[];
  /** One line each, empty if all could be assigned. */
  problems: string[];
}

/**
 * Decides which pool runs each route: the pool that its handler names, else the pool of the nearest `_middleware`, else
 * the pool of its site. A `_404` uses the pool of its folder's middleware. Pure.
 *
 * @param poolOf The pool that a module names, by its number; `null`: none.
 * @param sites The pools of the sites beside the default one, whose pool is the default pool.
 * @param display Returns the name of a module for messages.
 */
export function assignPools(
  table: { routes: readonly TableRoute[]; fallbacks: readonly TableFallback[] },
  {
    poolOf,
    display,
    sites = [],
  }: {
    poolOf: (module: number) => string | null;
    display: (module: number) => string;
    sites?: readonly { name: string; pool: string }[];
  },
): AssignedPools {
  const problems: string[] = [];
  const siteOf = new Map<string | undefined, string>(sites.map(({ name, pool }) => [name, pool]));
  const folderPool = ({ site, middleware }: Pick<TableRoute, "site" | "middleware">): string =>
    middleware.reduce((pool, module) => poolOf(module) ?? pool, siteOf.get(site) ?? DEFAULT_POOL);

  const routes = table.routes.map((route): ManifestRoute => {
    const inherited = folderPool(route);
    const [first, ...others] = route.handlers.map(({ module }) => ({
      module,
      pool: poolOf(module) ?? inherited,
    }));
    const pool = first?.pool ?? inherited;
    const other = others.find((handler) => handler.pool !== pool);
    if (first !== undefined && other !== undefined) {
      const files = `${display(first.module)} and ${display(other.module)}`;
      const found = `"${pool}" and "${other.pool}"`;
      problems.push(
        `Cannot use ${files}: both are ${route.pattern}, but in the pools ${found}, expected one pool`,
      );
    }
    return { ...route, pool };
  });
  const fallbacks = table.fallbacks.map((fallback): ManifestFallback => ({
    ...fallback,
    pool: folderPool(fallback),
  }));
  return { routes, fallbacks, problems };
}
