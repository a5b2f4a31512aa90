import { type FSWatcher, readdirSync, realpathSync, type Stats, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";

/** An editor that saves several files at once, or a checkout of a branch, causes one reload. */
const QUIET_MS = 80;

/** A reload does not wait for longer than this, however many files change. */
const MOST_QUIET_MS = 1_000;

/**
 * How far the clock of a file system may run behind `Date.now()`. The kernel moves it once a tick (1 to 10 ms), and later
 * on a virtual machine whose CPU is taken away. Only files that were not watched yet are judged by it. A file that was
 * watched is older than a reload by `QUIET_MS`, so that this slack causes no second reload.
 */
const CLOCK_SLACK_MS = 50;

/** Names of files that editors write beside the one that they save. */
const TEMPORARY = /^\.|~$|^#.*#$|^4913$/;

const NOT_SOURCES = new Set(["node_modules", ".git"]);

export interface WatchTargets {
  /** Folders that count with all that is below them, and files that are there. */
  trees: readonly string[];
  /** Files, or folders of which only the existence counts. They need not be there yet. */
  files: readonly string[];
}

export interface WatchOptions {
  /** Asked again after each reload, which may have imported other files. */
  targets: () => WatchTargets;
  /** Changes since then count, also those before the watcher was made: Unix time in ms. */
  sinceMs: number;
  /** Builds anew. It reports its own failures and does not reject. */
  reload: () => Promise<void>;
  /** A folder cannot be watched: no permission, or the system has no more watches (ENOSPC). Once for each folder. */
  onError: (error: unknown) => void;
}

/**
 * Reloads when a source of the handlers changes, until it is closed.
 *
 * Folders are watched, not files: a file that an editor replaces keeps its name, not its inode. Watches are made before
 * the dates of files are looked at, and both before and after each reload, so that no save falls between two looks: not
 * while the server starts, not during a build.
 */
export class SourceWatcher {
  readonly #options: WatchOptions;
  readonly #reported = new Set<string>();
  #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** When the first change came that no reload has seen. */
  #changedAtMs: number | null = null;
  #isReloading = false;
  #isClosed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#watch(options.sinceMs);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
  }

  /** Makes all watches anew: a folder may have been replaced by another of the same name. */
  #watch(sinceMs: number): void {
    const { folders, newestMs } = survey(this.#options.targets());
    const before = this.#watchers;
    this.#watchers = [...folders].flatMap(([folder, names]) => this.#open(folder, names));
    for (const watcher of before) watcher.close();
    // Again, since a file may have changed before the watch of its folder was made.
    if (Math.max(newestMs, survey(this.#options.targets()).newestMs) >= sinceMs - CLOCK_SLACK_MS) {
      this.#schedule();
    }
  }

  #open(folder: string, names: ReadonlySet<string> | null): FSWatcher[] {
    try {
      const watcher = watch(folder, (_event, name) => {
        const isMeant =
          name === null ||
          (names === null ? !TEMPORARY.test(name) && !NOT_SOURCES.has(name) : names.has(name));
        if (isMeant) this.#schedule();
      });
      watcher.on("error", (error) => this.#report(folder, error));
      return [watcher];
    } catch (error) {
      this.#report(folder, error);
      return [];
    }
  }

  #report(folder: string, error: unknown): void {
    // It is gone, which its parent's watch tells.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
    if (this.#reported.has(folder)) return;
    this.#reported.add(folder);
    this.#options.onError(error);
  }

  #schedule(): void {
    if (this.#isClosed) return;
    const nowMs = performance.now();
    this.#changedAtMs ??= nowMs;
    if (this.#isReloading) return;
    clearTimeout(this.#timer);
    const ms = Math.min(QUIET_MS, Math.max(0, this.#changedAtMs + MOST_QUIET_MS - nowMs));
    this.#timer = setTimeout(() => void this.#reload(), ms);
  }

  async #reload(): Promise<void> {
    this.#changedAtMs = null;
    this.#isReloading = true;
    const startedMs = Date.now();
    // A folder that is new is watched before the build reads it.
    this.#watch(Infinity);
    await this.#options.reload();
    this.#isReloading = false;
    if (this.#isClosed) return;
    this.#watch(startedMs);
    if (this.#changedAtMs !== null) this.#schedule();
  }
}

interface Survey {
  /** By folder the names in it that count; `null`: all. */
  folders: Map<string, Set<string> | null>;
  /** When a file that counts changed last; `-Infinity`: there is none. */
  newestMs: number;
}

/** Looks at the folders that must be watched. */
function survey({ trees, files }: WatchTargets): Survey {
  const found: Survey = { folders: new Map(), newestMs: -Infinity };
  const seen = new Set<string>();
  for (const tree of trees) {
    addName(found, tree);
    addTree(found, tree, seen);
  }
  for (const file of files) {
    addName(found, file);
    const stats = look(file);
    // The time of a folder is that of its content, which does not count here.
    if (stats?.isFile() === true) note(found, stats);
  }
  return found;
}

function addTree(found: Survey, folder: string, seen: Set<string>): void {
  const real = attempt(() => realpathSync(folder));
  if (real === null || seen.has(real)) return;
  seen.add(real);
  const own = look(folder);
  note(found, own);
  if (own?.isDirectory() !== true) return;
  const entries = attempt(() => readdirSync(folder, { withFileTypes: true }));
  if (entries === null) return;
  found.folders.set(folder, null);
  for (const entry of entries) {
    if (TEMPORARY.test(entry.name) || NOT_SOURCES.has(entry.name)) continue;
    const path = join(folder, entry.name);
    const stats = look(path);
    if (stats?.isDirectory() === true) addTree(found, path, seen);
    else note(found, stats);
  }
}

/** The name in its folder; of a folder that is missing, the name of the first missing folder in the nearest one. */
function addName({ folders }: Survey, path: string): void {
  let folder = dirname(path);
  let name = basename(path);
  while (look(folder)?.isDirectory() !== true && folder !== dirname(folder)) {
    name = basename(folder);
    folder = dirname(folder);
  }
  const names = folders.get(folder);
  if (names === undefined) folders.set(folder, new Set([name]));
  else names?.add(name);
}

/** A file that is moved to its place keeps the time of its content, and gets a new time of change. */
function note(found: Survey, stats: Stats | undefined): void {
  if (stats === undefined) return;
  found.newestMs = Math.max(found.newestMs, stats.ctimeMs, stats.mtimeMs);
}

function look(path: string): Stats | undefined {
  return attempt(() => statSync(path, { throwIfNoEntry: false })) ?? undefined;
}

/** Returns `null` when the file disappears meanwhile. */
function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
