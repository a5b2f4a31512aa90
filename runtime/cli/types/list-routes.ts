import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../config/config.ts";
import { listNamedSites } from "../../config/sites.ts";
import { toDisplayPath } from "../../lib/display-path.ts";
import { discoverRoutes } from "../../route/discover.ts";
import type { TypedRoute } from "./write-types.ts";

/**
 * Returns the routes of all sites, as the names of their files say. Python applications are not among them.
 *
 * @throws RuntimeError `ERR_HANDLER_LOAD` for folders that cannot be read, and for names that cannot be routed.
 */
export async function listRoutes(
  config: Pick<Config, "handlersDir" | "sites">,
): Promise<TypedRoute[]> {
  const named = listNamedSites(config).map(({ name, handlersDir }) => ({
    site: name,
    dir: handlersDir,
  }));
  const { handlersDir } = config;
  // A project may consist of files, proxies or Python applications alone.
  const own = existsSync(handlersDir) ? handlersDir : null;
  const folders = [{ site: null, dir: own }, ...named];
  const lists = folders.map(({ site, dir }) =>
    dir === null ? Promise.resolve([]) : listFolder(site, dir),
  );
  return (await Promise.all(lists)).flat();
}

async function listFolder(site: string | null, dir: string): Promise<TypedRoute[]> {
  const { routes, modules } = await discoverRoutes(dir);
  return routes.map(({ pattern, handlers }) => {
    const numbers = [...new Set(handlers.map(({ module }) => module))];
    const methods = handlers.map(({ method }) => method);
    return {
      site,
      pattern,
      files: numbers.map((module) => toDisplayPath(join(dir, modules[module] ?? ""))),
      methods: methods.every((method) => method !== null) ? methods : null,
    };
  });
}
