import { resolve, sep } from "node:path";
import { watch } from "chokidar";
import type { Manifest } from "../generation/manifest.ts";

/** An editor that saves several files at once causes one reload. */
const QUIET_MS = 60;

/**
 * Calls back when a source of the handlers changes: anything below the given folders, and the local files that the
 * handlers import from elsewhere. Watches as long as the process lives.
 */
export function watchSources(
  manifest: () => Manifest,
  options: { dirs: readonly string[]; onChange: () => void },
): void {
  const watcher = watch([...options.dirs], {
    ignoreInitial: true,
    ignored: (path) => path.includes(`${sep}node_modules`) || path.includes(`${sep}.git${sep}`),
  });
  let timer: NodeJS.Timeout | undefined;
  watcher.on("all", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      watcher.add(sourcesOf(manifest()));
      options.onChange();
    }, QUIET_MS);
  });
  watcher.add(sourcesOf(manifest()));
}

function sourcesOf({ sourceDir, inputs }: Manifest): string[] {
  return inputs.map((input) => resolve(sourceDir, input));
}
