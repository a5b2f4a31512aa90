import { type FSWatcher, readdirSync, realpathSync, type Stats, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Pause after a change before the reload: an editor that saves several files, or a checkout, causes one reload. */
const QUIET_MS = 80;

/** Longest wait for that pause, however many files change. */
const MOST_QUIET_MS = 1_000;

/**
 * How far the clock of a file system may run behind `Date.now()`. The kernel moves it once a tick (1 to 10 ms), and later
 * on a virtual machine without a CPU at that moment. Only files that were not watched yet are judged by it. A watched file
 * is older than its reload by `QUIET_MS`, so that this slack causes no second reload.
 */
const CLOCK_SLACK_MS = 50;

/** Names of files that editors write beside the one that they save. */
const TEMPORARY = /^\.|~$|^#.*#$|^4913$/;

const NOT_SOURCES = new Set(["node_modules", ".git"]);

export interface WatchTargets {
  /** Folders with all files below them, and single files. They exist. */
  trees: readonly string[];
  /** Files, or folders of which only the existence counts. They need not exist yet. */
  files: readonly string[];
  /** Folders of which the names in them count. They need not exist yet. */
  lists: readonly string[];
}

export interface WatchOptions {
  /** Returns the files to watch. Called again after each reload, which may have imported other files. */
  targets: () => WatchTargets;
  /** Time from which on changes count, also before the watcher was created: Unix time in ms. */
  sinceMs: number;
  /** Builds the handlers again. It reports its own failures and does not reject. */
  reload: () => Promise<void>;
  /** Called once for each folder that cannot be watched: no permission, or no more watches in the system (ENOSPC). */
  onError: (error: unknown) => void;
}

/**
 * Reloads when a source of the handlers changes, until it is closed.
 *
 * It watches folders, not files: a file that an editor replaces keeps its name, not its inode. It opens its watches before
 * it reads the times of files, and does both before and after each reload. So it misses no save, neither while the server
 * starts nor during a build.
 */
export class SourceWatcher {
  readonly #options: WatchOptions;
  readonly #reported = new Set<string>();
  #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Time of the first change since the last reload began; `null`: none. */
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

  /** Opens all watches again: another folder may have the name by now. */
  #watch(sinceMs: number): void {
    const { folders, newestMs } = survey(this.#options.targets());
    const before = this.#watchers;
    this.#watchers = [...folders].flatMap(([folder, names]) => this.#open(folder, names));
    for (const watcher of before) watcher.close();
    // A file may have changed before the watch of its folder was open.
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
    // The folder was removed: the watch of its parent reports that.
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
    // Opens the watch of a new folder before the build reads the folder.
    this.#watch(Infinity);
    await this.#options.reload();
    this.#isReloading = false;
    if (this.#isClosed) return;
    this.#watch(startedMs);
    if (this.#changedAtMs !== null) this.#schedule();
  }
}

interface Survey {
  /** The names that count in each folder; `null`: all. */
  folders: Map<string, Set<string> | null>;
  /** Time of the last change of a file that counts; `-Infinity`: there is none. */
  newestMs: number;
}

/** Finds the folders to watch, and the time of the last change. */
function survey({ trees, files, lists }: WatchTargets): Survey {
  const found: Survey = { folders: new Map(), newestMs: -Infinity };
  const seen = new Set<string>();
  for (const tree of trees) {
    addName(found, tree);
    addTree(found, tree, seen);
  }
  for (const file of files) {
    addName(found, file);
    const stats = look(file);
    // The time of a folder changes with its content, which does not count here.
    if (stats?.isFile() === true) note(found, stats);
  }
  for (const folder of lists) {
    addName(found, folder);
    const stats = look(folder);
    if (stats?.isDirectory() !== true) continue;
    found.folders.set(folder, null);
    note(found, stats);
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

/** Adds the name of a file in its folder. If that folder is missing, adds the first missing folder above it. */
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

/** Counts both times: a file that was moved keeps the time of its content, and gets a new time of change. */
function note(found: Survey, stats: Stats | undefined): void {
  if (stats === undefined) return;
  found.newestMs = Math.max(found.newestMs, stats.ctimeMs, stats.mtimeMs);
}

function look(path: string): Stats | undefined {
  return attempt(() => statSync(path, { throwIfNoEntry: false })) ?? undefined;
}

/** Returns `null` when the file is gone. */
function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
