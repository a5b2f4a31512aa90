import { createHash } from "node:crypto";
import { type Dirent, existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { toDisplayPath } from "../lib/display-path.ts";
import { RuntimeError } from "../lib/errors.ts";
import { toAppPool } from "../lib/pool-name.ts";
import { formatPattern } from "../route/pattern.ts";
import type { Segment } from "../route/pattern.ts";
import type { TableApp } from "../route/route-table.ts";
import type { AppFile } from "../channel/messages.ts";
import type { Manifest, ManifestApp, ManifestModule, ManifestRoute } from "./manifest.ts";

/** A Python application of a build. */
export interface BuiltApp extends ManifestApp {
  /** Name of the pool whose workers run it. */
  pool: string;
  /** The site that it belongs to; absent: the default one. */
  site?: string;
}

/** Settings of the applications that are files among the handlers. */
export type FileAppDefaults = Pick<ManifestApp, "dir" | "python" | "kind">;

/** The parts of a manifest that stand for Python applications. */
export interface AppParts {
  modules: ManifestModule[];
  routes: ManifestRoute[];
  /** Absolute paths of the files that count. */
  inputs: string[];
  /** One line each. */
  problems: string[];
}

/** Files that define the behaviour of an application: its code, and templates, which it keeps in memory. */
const SOURCES: ReadonlySet<string> = new Set([
  ".py",
  ".pyd",
  ".so",
  ".html",
  ".jinja",
  ".jinja2",
  ".j2",
  ".mo",
  ".toml",
]);

/** Folders with packages, with files that programs write, and with files for clients. */
const SKIPPED: ReadonlySet<string> = new Set([
  "node_modules",
  "__pycache__",
  "site-packages",
  "media",
  "public",
  "static",
  "staticfiles",
]);

/** A folder with more files is no application, but a home folder or a root. */
const MOST_FILES = 20_000;

/**
 * Returns the applications that are files among the handlers, each with a pool of its own. Pure.
 *
 * The mount of a file is its route without the rest: `/legacy` for `legacy/[...path].py`.
 *
 * @param apps The applications of the settings. Their pools keep their names.
 */
export function toFileApps(
  files: readonly TableApp[],
  {
    defaults,
    apps,
    sourceDir,
  }: { defaults: FileAppDefaults; apps: readonly BuiltApp[]; sourceDir: string },
): FileApp[] {
  const pools = new Set(apps.map(({ pool }) => pool));
  return files.map(({ path, pattern, segments, method, ofSite }) => {
    const own = segments.at(-1)?.kind === "rest" ? segments.slice(0, -1) : segments;
    const mount = own.length === 0 ? "" : formatPattern(own);
    const file: AppFile = {
      path: join(sourceDir, path),
      handlersDir: ofSite?.handlersDir ?? sourceDir,
      depth: own.every(isPlain) ? null : own.length,
      methods: method === null ? null : method === "GET" ? ["GET", "HEAD"] : [method],
    };
    const spec = toDisplayPath(file.path);
    const site = ofSite?.name;
    const pool = toAppPool(`${site ?? ""}${mount}`, pools);
    const place = { spec, file, source: path, pattern, ...(site !== undefined && { site }) };
    return { ...defaults, pool, mount, ...place };
  });
}

/** An application that is a file among the handlers. */
export interface FileApp extends BuiltApp {
  /** Relative to the handlers folder. */
  source: string;
  pattern: string;
}

/** Its text is the same in a path, however the path is encoded. */
function isPlain(segment: Segment): boolean {
  return segment.kind === "static" && /^[\w.~-]*$/.test(segment.text);
}

/**
 * Makes routes of Python applications: for each, its mount point and all that lies below. Hashes the sources of each.
 *
 * @param options.taken The handlers: their routes go first, their numbers stay.
 */
export async function readApps(
  apps: readonly (BuiltApp | FileApp)[],
  {
    sourceDir,
    taken,
  }: { sourceDir: string; taken: { modules: readonly string[]; routes: readonly ManifestRoute[] } },
): Promise<AppParts> {
  const parts: AppParts = { modules: [], routes: [], inputs: [], problems: [] };
  const folders: Folders = new Map();
  for (const built of apps) {
    const { pool, site } = built;
    const app = toManifestApp(built);
    const { files, hash } = await hashApp(app, folders);
    const module = taken.modules.length + parts.modules.length;
    const source = "source" in built ? built.source : toSource(app, sourceDir);
    parts.modules.push({ source, compiled: "", hash, usesPackages: false, app });
    parts.inputs.push(...files);
    // It takes the path of the mount itself, too.
    const pattern = "pattern" in built ? built.pattern : `${app.mount}/**`;
    const nameOf = ({ handlers }: ManifestRoute): string =>
      toDisplayPath(join(sourceDir, taken.modules[handlers[0]?.module ?? 0] ?? ""));
    // Each application has one module and one route, in the same order.
    const rival = parts.routes.findIndex(
      (route) => route.site === site && isSamePattern(route.pattern, pattern),
    );
    if (rival !== -1) {
      const other = parts.modules[rival]?.app?.spec ?? "";
      parts.problems.push(
        `Cannot use ${app.spec} and the application ${other}: both answer ${pattern}, expected one of them`,
      );
    }
    for (const route of taken.routes) {
      if (route.site === site && isSamePattern(route.pattern, pattern)) {
        parts.problems.push(
          `Cannot use ${nameOf(route)} and the application ${app.spec}: both answer ${pattern}, expected one of them`,
        );
      } else if (route.pool === pool) {
        parts.problems.push(
          `Cannot use ${nameOf(route)}: its pool "${pool}" is that of the application ${app.spec}, expected another name`,
        );
      }
    }
    const handlers = [{ method: null, module }];
    const own = { middleware: [], error: null, pool, ...(site !== undefined && { site }) };
    parts.routes.push({ pattern, handlers, ...own });
  }
  return parts;
}

/**
 * Refuses a generation whose Python applications are not on disk as they were when it was built: Python runs them from
 * their own folders, so there is no copy to go back to.
 *
 * @throws RuntimeError `ERR_HANDLER_LOAD`.
 */
export async function refuseChangedApps(manifest: Manifest): Promise<void> {
  const app = await findChangedApp(manifest);
  if (app === null) return;
  throw new RuntimeError(
    "ERR_HANDLER_LOAD",
    `Cannot roll back to ${manifest.id}: found that the files of the application ${app.spec} in ${toDisplayPath(app.dir)} have changed, ` +
      "expected them as they were then (restore them, and reload)",
  );
}

/** Finds an application whose files are not as they were when the generation was built; `null`: all are. */
export async function findChangedApp({ modules }: Manifest): Promise<ManifestApp | null> {
  const folders: Folders = new Map();
  for (const { app, hash } of modules) {
    if (app !== undefined && (await hashApp(app, folders)).hash !== hash) return app;
  }
  return null;
}

/** Names of parameters do not count: `/**:path` takes the same paths as `/**`. */
function isSamePattern(one: string, other: string): boolean {
  const [first, second] = [one, other].map((pattern) => pattern.replace(/\*\*:\w+$/, "**"));
  return first === second;
}

/** Returns the file of an application's module, relative to its folder. */
function toFile({ spec, dir }: ManifestApp): string {
  const path = spec.replace(/:.*$/s, "").split(".").join("/");
  const isPackage = !existsSync(join(dir, `${path}.py`)) && existsSync(join(dir, path));
  return isPackage ? `${path}/__init__.py` : `${path}.py`;
}

function toManifestApp({ spec, dir, python, kind, mount, file }: BuiltApp): ManifestApp {
  return { spec, dir, python, kind, mount, ...(file !== undefined && { file }) };
}

/** Returns the file of an application's module, relative to the handlers folder. */
function toSource(app: ManifestApp, sourceDir: string): string {
  return relative(sourceDir, join(app.dir, toFile(app)))
    .split(sep)
    .join("/");
}

/** Hashes of folders, so that applications share them. */
type Folders = Map<string, Promise<Sources>>;

interface Sources {
  /** Absolute paths. */
  files: string[];
  hash: string;
}

/** Hashes the code of an application: its folder and, for a file among the handlers, the folder of the handlers. */
async function hashApp({ dir, file }: ManifestApp, folders: Folders): Promise<Sources> {
  const read = (folder: string): Promise<Sources> => {
    const reading = folders.get(folder) ?? hashFolder(folder);
    folders.set(folder, reading);
    return reading;
  };
  const own = await read(dir);
  if (file === undefined || own.files.includes(file.path)) return own;
  const beside = await read(file.handlersDir);
  // Its folder may have a name such as `static`, which the walk skips.
  const text = await readFile(file.path).catch(() => "");
  const hash = createHash("sha256").update(own.hash).update(beside.hash).update(text);
  const files = new Set([...own.files, ...beside.files, file.path]);
  return { files: [...files], hash: hash.digest("hex").slice(0, 16) };
}

/** Hashes the sources below a folder. */
async function hashFolder(dir: string): Promise<Sources> {
  const files: string[] = [];
  await collect(dir, files);
  files.sort();
  const hash = createHash("sha256");
  for (const file of files) {
    // A file may go between the walk and here: the next build sees that.
    const bytes = await readFile(file).catch(() => Buffer.alloc(0));
    hash.update(`${relative(dir, file)}\0${bytes.length}\0`).update(bytes);
  }
  return { files, hash: hash.digest("hex").slice(0, 16) };
}

async function collect(folder: string, files: string[]): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((): Dirent[] => []);
  // A virtual environment, whatever its name.
  if (entries.some(({ name }) => name === "pyvenv.cfg")) return;
  for (const entry of entries) {
    if (files.length >= MOST_FILES) return;
    const { name } = entry;
    if (name.startsWith(".") || SKIPPED.has(name)) continue;
    if (entry.isDirectory()) await collect(join(folder, name), files);
    else if (SOURCES.has(extname(name))) files.push(join(folder, name));
  }
}
