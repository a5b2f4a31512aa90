import { createHash } from "node:crypto";
import { type Dirent, existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { toDisplayPath } from "../lib/display-path.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Manifest, ManifestApp, ManifestModule, ManifestRoute } from "./manifest.ts";

/** A Python application of a build. */
export interface BuiltApp extends ManifestApp {
  /** Name of the pool whose workers run it. */
  pool: string;
}

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
 * Makes routes of Python applications: for each, its mount point and all that lies below. Hashes the sources of each.
 *
 * @param options.taken The handlers: their routes go first, their numbers stay.
 */
export async function readApps(
  apps: readonly BuiltApp[],
  {
    sourceDir,
    taken,
  }: { sourceDir: string; taken: { modules: readonly string[]; routes: readonly ManifestRoute[] } },
): Promise<AppParts> {
  const parts: AppParts = { modules: [], routes: [], inputs: [], problems: [] };
  const folders = new Map<string, Promise<{ files: string[]; hash: string }>>();
  for (const { pool, ...app } of apps) {
    const reading = folders.get(app.dir) ?? hashFolder(app.dir);
    folders.set(app.dir, reading);
    const { files, hash } = await reading;
    const module = taken.modules.length + parts.modules.length;
    const source = relative(sourceDir, join(app.dir, toFile(app)))
      .split(sep)
      .join("/");
    parts.modules.push({ source, compiled: "", hash, usesPackages: false, app });
    parts.inputs.push(...files);
    // It takes the path of the mount itself, too.
    const pattern = `${app.mount}/**`;
    const nameOf = ({ handlers }: ManifestRoute): string =>
      toDisplayPath(join(sourceDir, taken.modules[handlers[0]?.module ?? 0] ?? ""));
    for (const route of taken.routes) {
      if (isSamePattern(route.pattern, pattern)) {
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
    parts.routes.push({ pattern, handlers, middleware: [], error: null, pool });
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
  for (const { app, hash } of modules) {
    if (app !== undefined && (await hashFolder(app.dir)).hash !== hash) return app;
  }
  return null;
}

/** Names of parameters do not count: `/**:path` takes the same paths as `/**`. */
function isSamePattern(one: string, other: string): boolean {
  return one.replace(/\*\*:\w+$/, "**") === other;
}

/** Returns the file of an application's module, relative to its folder. */
function toFile({ spec, dir }: ManifestApp): string {
  const path = spec.replace(/:.*$/s, "").split(".").join("/");
  const isPackage = !existsSync(join(dir, `${path}.py`)) && existsSync(join(dir, path));
  return isPackage ? `${path}/__init__.py` : `${path}.py`;
}

/** Hashes the sources below a folder. */
async function hashFolder(dir: string): Promise<{ files: string[]; hash: string }> {
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
