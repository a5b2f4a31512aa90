import { assertNever } from "../lib/errors.ts";
import type { TableFallback, TableRoute } from "../generation/manifest.ts";
import { isGroupName, readHandlerFile } from "./handler-file.ts";
import { formatPattern } from "./pattern.ts";
import type { Segment } from "./pattern.ts";

/** The information in the names of the files of a handlers folder. */
export interface RouteTable {
  /** Files that take part, relative to the folder, sorted; routes and fallbacks name them by index. */
  modules: string[];
  /** Sorted by pattern. */
  routes: TableRoute[];
  /** Sorted by pattern. */
  fallbacks: TableFallback[];
  /** The middleware of each folder, sorted by pattern: it may guard files. */
  guards: TableGuard[];
  /** Python applications, sorted by pattern. They are not among the modules and routes. */
  apps: TableApp[];
  /** One line each, empty if the table can be used. */
  problems: string[];
}

/** The middleware of a folder, which guards the files below if its `config.files` says so. */
export interface TableGuard {
  /** The paths of the folder and all below: `/admin/**`. */
  pattern: string;
  /** The `_middleware` module of the folder. */
  module: number;
  /** It and those of the folders above, outermost first. */
  middleware: number[];
  /** The nearest `_error` module. */
  error: number | null;
  /** The folder, or one above, only groups: its paths are also those of other folders. */
  isGroup: boolean;
  /** The site that it belongs to; absent: the default one. */
  site?: string;
}

/** A Python application that is a file of the handlers folder. */
export interface TableApp {
  /** Relative to the folder. */
  path: string;
  pattern: string;
  segments: Segment[];
  /** The method in the name of the file; `null`: it answers all. */
  method: string | null;
  /** The site that it belongs to, with the real path of the folder of its handlers; absent: the default one. */
  ofSite?: { name: string; handlersDir: string };
}

/**
 * Decides which file answers which request. Pure: the same paths, in any order, give the same table.
 *
 * A path is matched first and then the method, so all files of one route must agree about its parameters' names, its
 * middleware and its error page.
 *
 * @param paths Files relative to the handlers folder, with `/`.
 * @param displayName The name of the folder in problems.
 */
export function createRouteTable(paths: readonly string[], displayName: string): RouteTable {
  const modules: string[] = [];
  const problems: string[] = [];
  const files: TableFile[] = [];
  for (const path of paths.toSorted(byCodeUnit)) {
    const file = readHandlerFile(path);
    if (file.kind === "ignored") continue;
    if (file.kind === "problem") {
      problems.push(`Cannot use ${displayName}/${path}: ${file.problem}`);
      continue;
    }
    const method = file.kind === "route" || file.kind === "app" ? file.method : null;
    files.push({ path, kind: file.kind, segments: file.segments, method, module: modules.length });
    if (file.kind !== "app") modules.push(path);
  }

  const scopes = new Scopes();
  const groups = new Map<string, TableFile[]>();
  for (const file of files) {
    const key = conflictKey(file);
    const rivals = groups.get(key);
    if (rivals) rivals.push(file);
    else groups.set(key, [file]);
    if (file.kind === "middleware" || file.kind === "error") scopes.add(file);
  }

  const routes: TableRoute[] = [];
  const fallbacks: TableFallback[] = [];
  const apps: TableApp[] = [];
  const guards: TableGuard[] = [];
  for (const group of groups.values()) {
    const [first] = group;
    if (first === undefined) continue;
    const conflict = findConflict(group, scopes);
    if (conflict !== null) {
      problems.push(describeConflict(conflict, displayName));
    } else if (first.kind === "app") {
      const { path, segments, method } = first;
      apps.push({ path, pattern: formatPattern(segments), segments, method });
    } else if (first.kind === "route") {
      routes.push(toRoute(first, group, scopes));
    } else if (first.kind === "middleware") {
      const pattern = formatPattern(fallbackSegments(first));
      const isGroup = folderOf(first.path).split("/").some(isGroupName);
      guards.push({ pattern, module: first.module, isGroup, ...scopes.find(first.path) });
    } else if (first.kind === "not-found") {
      const pattern = formatPattern(fallbackSegments(first));
      fallbacks.push({ pattern, module: first.module, ...scopes.find(first.path) });
    }
  }
  routes.sort((a, b) => byCodeUnit(a.pattern, b.pattern));
  fallbacks.sort((a, b) => byCodeUnit(a.pattern, b.pattern));
  apps.sort((a, b) => byCodeUnit(a.pattern, b.pattern));
  guards.sort((a, b) => byCodeUnit(a.pattern, b.pattern));
  return { modules, routes, fallbacks, guards, apps, problems };
}

/** Orders texts the same way on every machine, in any locale. */
export function byCodeUnit(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

interface TableFile {
  path: string;
  kind: "route" | "app" | "middleware" | "error" | "not-found";
  segments: Segment[];
  method: string | null;
  /** Not used for a Python application, which is no module of the table. */
  module: number;
}

/** The `_middleware` and `_error` files of each folder: by place in the tree, groups included, not by path. */
class Scopes {
  readonly #middleware = new Map<string, number>();
  readonly #error = new Map<string, number>();
  readonly #files = new Map<string, TableFile>();

  add(file: TableFile): void {
    const isMiddleware = file.kind === "middleware";
    const modules = isMiddleware ? this.#middleware : this.#error;
    modules.set(folderOf(file.path), file.module);
    if (isMiddleware) this.#files.set(folderOf(file.path), file);
  }

  /** Returns the outermost middleware above a file. */
  findMiddleware(path: string): TableFile | undefined {
    const folder = foldersAbove(path).find((above) => this.#files.has(above));
    return folder === undefined ? undefined : this.#files.get(folder);
  }

  find(path: string): { middleware: number[]; error: number | null } {
    const middleware: number[] = [];
    let error: number | null = null;
    for (const folder of foldersAbove(path)) {
      const wraps = this.#middleware.get(folder);
      if (wraps !== undefined) middleware.push(wraps);
      error = this.#error.get(folder) ?? error;
    }
    return { middleware, error };
  }
}

/** Files with equal keys answer the same paths or serve the same folder. */
function conflictKey(file: TableFile): string {
  switch (file.kind) {
    case "route":
    case "app":
      return `route ${shapeOf(file.segments)}`;
    case "not-found":
      return `not-found ${shapeOf(fallbackSegments(file))}`;
    case "middleware":
    case "error":
      return `${file.kind} ${folderOf(file.path)}`;
    default:
      return assertNever(file.kind);
  }
}

/** The pattern without the names of its parameters. */
function shapeOf(segments: readonly Segment[]): string {
  return formatPattern(
    segments.map((segment) => (segment.kind === "static" ? segment : { ...segment, name: "_" })),
  );
}

function fallbackSegments(file: TableFile): Segment[] {
  const last = file.segments.at(-1);
  // A folder `[...path]` covers all that is below its own folder already.
  const folder = last?.kind === "rest" ? file.segments.slice(0, -1) : file.segments;
  return [...folder, { kind: "rest", name: null }];
}

/** A guard that does not run must not look as if it did. */
const MIDDLEWARE_OF_PYTHON =
  "middleware does not run for a Python application, expected the .py file in a folder without _middleware above it, " +
  'or the application in the setting "mounts"';

interface Conflict {
  files: [TableFile, TableFile];
  problem: string;
}

function findConflict(group: readonly TableFile[], scopes: Scopes): Conflict | null {
  const [first] = group;
  if (first === undefined) return null;
  const app = group.find(({ kind }) => kind === "app");
  const rest = group.find((file) => file !== app);
  if (app !== undefined && rest !== undefined) {
    const problem = `both answer ${formatPattern(app.segments)}, expected one file: no two processes can share a route`;
    return { files: [rest, app], problem };
  }
  const guard = app === undefined ? undefined : scopes.findMiddleware(app.path);
  if (app !== undefined && guard !== undefined) {
    return { files: [app, guard], problem: MIDDLEWARE_OF_PYTHON };
  }
  const byMethod = new Map<string | null, TableFile>();
  for (const file of group) {
    const rival = byMethod.get(file.method);
    if (rival) {
      return { files: [rival, file], problem: `both are ${describe(file)}, expected one file` };
    }
    byMethod.set(file.method, file);
    if (formatPattern(file.segments) !== formatPattern(first.segments)) {
      const patterns = `${formatPattern(first.segments)} and ${formatPattern(file.segments)}`;
      const problem = `${patterns} match the same paths, expected the same parameter names`;
      return { files: [first, file], problem };
    }
    if (JSON.stringify(scopes.find(file.path)) !== JSON.stringify(scopes.find(first.path))) {
      const problem = `both are ${formatPattern(file.segments)}, but different _middleware or _error files serve them, expected both in one folder`;
      return { files: [first, file], problem };
    }
  }
  return null;
}

function describe(file: TableFile): string {
  switch (file.kind) {
    case "route":
    case "app":
      return `${file.method === null ? "" : `${file.method} `}${formatPattern(file.segments)}`;
    case "not-found":
      return `the fallback of ${formatPattern(fallbackSegments(file))}`;
    case "middleware":
    case "error":
      return `the _${file.kind} of one folder`;
    default:
      return assertNever(file.kind);
  }
}

function describeConflict({ files: [one, other], problem }: Conflict, displayName: string): string {
  return `Cannot use ${displayName}/${one.path} and ${displayName}/${other.path}: ${problem}`;
}

function toRoute(first: TableFile, group: readonly TableFile[], scopes: Scopes): TableRoute {
  const handlers = group.map(({ method, module }) => ({ method, module }));
  return { pattern: formatPattern(first.segments), handlers, ...scopes.find(first.path) };
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? "" : path.slice(0, slash);
}

/** Returns the folders that contain a file, the handlers folder ("") first. */
function foldersAbove(path: string): string[] {
  const folders = folderOf(path).split("/").filter(Boolean);
  return ["", ...folders.map((_, index) => folders.slice(0, index + 1).join("/"))];
}
