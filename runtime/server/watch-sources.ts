import { dirname, join } from "node:path";
import { CONFIG_FILES } from "../config/config-file.ts";
import { listSitePlaces } from "../config/read-sites.ts";
import { SETTINGS } from "../config/settings.ts";
import { SITES_FOLDER } from "../config/sites.ts";
import type { OpenServer } from "./open.ts";
import type { SourceWatcher } from "./source-watcher.ts";

/** Reloads a server in development whenever a file changes that its next build or start would read. */
export async function watchSources(
  { envFiles, log, primary }: OpenServer,
  reload: () => Promise<unknown>,
): Promise<SourceWatcher> {
  const { SourceWatcher: Watcher } = await import("./source-watcher.ts");
  const cwd = process.cwd();
  // The handlers and the settings are read after the start of this process, so a save since then is not lost.
  return new Watcher({
    sinceMs: performance.timeOrigin,
    targets: () => {
      const { handlersDir, configFile, publicDir, sites } = primary.config;
      const ofSites = sites.flatMap((site) => site.handlersDir ?? []);
      const folder = configFile === null ? cwd : dirname(configFile);
      return {
        trees: [handlersDir, ...ofSites, ...primary.stored.sources],
        files: [
          ...envFiles,
          ...(configFile === null ? CONFIG_FILES.map((name) => join(cwd, name)) : [configFile]),
          ...WATCHED_FILES.map((name) => join(cwd, name)),
          // While the folder exists, the server looks at it for each request.
          ...(publicDir === null ? [join(cwd, SETTINGS.public.default)] : []),
          ...listSitePlaces(folder),
        ],
        lists: [join(folder, SITES_FOLDER)],
      };
    },
    reload: async () => {
      // The log has the reason.
      await reload().catch(() => {});
    },
    onError: (error) =>
      log.warn({ err: error }, "cannot watch a source: its changes cause no reload"),
  });
}

/** Files of the working folder that a build reads. They need not exist yet. */
const WATCHED_FILES = [
  "tsconfig.json",
  "package.json",
  // Package managers write these when they have installed something.
  "node_modules/.package-lock.json",
  "node_modules/.modules.yaml",
  "node_modules/.yarn-state.yml",
];
