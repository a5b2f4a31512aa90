import { sep } from "node:path";
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
  const { dirs, onChange } = options;
  const watcher = watch([...dirs, ...manifest().inputs], {
    ignoreInitial: true,
    ignored: (path) => path.includes(`${sep}node_modules`) || path.includes(`${sep}.git${sep}`),
  });
  let timer: NodeJS.Timeout | undefined;
  watcher.on("all", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // What the last change imported; a file that is watched already is not watched twice.
      watcher.add(manifest().inputs);
      onChange();
    }, QUIET_MS);
  });
}
