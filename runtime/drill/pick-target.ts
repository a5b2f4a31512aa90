import type { ManifestRoute } from "../generation/manifest.ts";
import { DEFAULT_POOL } from "../lib/pool-name.ts";

/** The path that clients request, and the pool that answers it. */
export interface Target {
  readonly path: string;
  readonly pool: string;
}

/**
 * Picks the path that clients request: the given one, else `/` if a handler answers it, else the first route without
 * parameters that takes a GET, else `/`, which a Python application may answer. Pure.
 */
export function pickTarget(routes: readonly ManifestRoute[], path: string | null): Target {
  const plain = routes.filter(
    ({ pattern, handlers }) =>
      !/[:*]|edgicorn-drill/.test(pattern) &&
      handlers.some(({ method }) => method === null || method === "GET"),
  );
  const wanted = (path ?? "/").replace(/\?.*$/s, "");
  const route =
    plain.find(({ pattern }) => pattern === wanted) ?? (path === null ? plain[0] : null);
  const pool = route?.pool ?? findRest(routes, wanted)?.pool ?? DEFAULT_POOL;
  return { path: path ?? route?.pattern ?? "/", pool };
}

/** Returns the route that takes all paths below the nearest folder of this one. */
function findRest(routes: readonly ManifestRoute[], path: string): ManifestRoute | undefined {
  return routes
    .filter(
      (route) => route.pattern.endsWith("/**") && `${path}/`.startsWith(`${folderOf(route)}/`),
    )
    .toSorted((a, b) => b.pattern.length - a.pattern.length)[0];
}

function folderOf({ pattern }: ManifestRoute): string {
  return pattern.slice(0, -"/**".length);
}
