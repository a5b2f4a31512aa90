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
 * the default pool. A `_404` uses the pool of its folder's middleware. Pure.
 *
 * @param poolOf The pool that a module names, by its number; `null`: none.
 * @param display Returns the name of a module for messages.
 */
export function assignPools(
  table: { routes: readonly TableRoute[]; fallbacks: readonly TableFallback[] },
  {
    poolOf,
    display,
  }: { poolOf: (module: number) => string | null; display: (module: number) => string },
): AssignedPools {
  const problems: string[] = [];
  const folderPool = (middleware: readonly number[]): string =>
    middleware.reduce((pool, module) => poolOf(module) ?? pool, DEFAULT_POOL);

  const routes = table.routes.map((route): ManifestRoute => {
    const inherited = folderPool(route.middleware);
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
    pool: folderPool(fallback.middleware),
  }));
  return { routes, fallbacks, problems };
}
