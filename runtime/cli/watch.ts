import { sep } from "node:path";
import { type FSWatcher, watch } from "chokidar";

/** An editor that saves several files at once causes one reload. */
const QUIET_MS = 60;

export interface WatchOptions {
  /** Watched with all that is below them. */
  dirs: readonly string[];
  /** The files that the last build read, wherever they are. */
  sources: () => readonly string[];
  /** Builds anew. What goes wrong is told elsewhere: it does not reject. */
  reload: () => Promise<void>;
  /** Something cannot be watched: there is no such right, or the system has no more watches (ENOSPC). */
  onError: (error: unknown) => void;
}

/**
 * Reloads when a source of the handlers changes: anything below the given folders, and the local files that the
 * handlers import from elsewhere. Watches until it is closed.
 */
export function watchSources({ dirs, sources, reload, onError }: WatchOptions): FSWatcher {
  const watcher = watch([...dirs, ...sources()], {
    ignoreInitial: true,
    ignored: (path) => path.includes(`${sep}node_modules`) || path.includes(`${sep}.git${sep}`),
  });
  let timer: NodeJS.Timeout | undefined;
  watcher.on("all", () => {
    clearTimeout(timer);
    timer = setTimeout(() => void refresh(), QUIET_MS);
  });
  watcher.on("error", onError);
  return watcher;

  async function refresh(): Promise<void> {
    await reload();
    // Also what a change has just imported, even if it cannot be built yet. What is watched already is not watched twice.
    watcher.add([...sources()]);
  }
}
