import type { ManifestRoute } from "../generation/manifest.ts";
import { DEFAULT_POOL } from "../lib/pool-name.ts";

/** The path that clients request, and the pool that answers it. */
export interface Target {
  readonly path: string;
  readonly pool: string;
}

/**
 * Picks the path that clients request: the given one, else `/` if a handler answers it, else the first route without
 * parameters that takes a GET. Pure.
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
  return { path: path ?? route?.pattern ?? "/", pool: route?.pool ?? DEFAULT_POOL };
}
