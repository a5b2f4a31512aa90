import { readFile } from "node:fs/promises";
import { join } from "node:path";

import type { AppFile, AppKind } from "../channel/messages.ts";
import { RuntimeError } from "../lib/errors.ts";

/**
 * The parts of a generation: written by the build beside the compiled modules, read by workers and by the primary.
 *
 * Module and route numbers are indexes into `modules` and `routes`; they are valid within one generation only.
 */
export interface Manifest {
  /** 3: routes may be those of a site. A version of Edgicorn that knows no sites refuses it. */
  formatVersion: 2 | 3;
  /** Names the generation; also its folder under `.edgicorn/generations/`. Sorts by time of creation. */
  id: string;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** How it was built: `development` by `edgicorn dev`. A production server does not roll back to such a build. */
  mode: "development" | "production";
  /** Absolute path of the handlers folder it was built from. */
  sourceDir: string;
  modules: ManifestModule[];
  /** The sites beside the default one that have handlers; absent: none. */
  sites?: ManifestSite[];
  routes: ManifestRoute[];
  /** Fallbacks for paths that no route matches, per folder with a `_404` file; empty: the runtime's own 404. */
  fallbacks: ManifestFallback[];
  /** Hash of the installed packages, from lock files and packages under development: see `hash-packages.ts`. */
  packages: string;
  /** Absolute paths of all local files that it was made of, also of those outside of the handlers folder. */
  inputs: string[];
  /** Warnings of the compiler, `file:line:column: text`. */
  warnings: string[];
}

export interface ManifestSite {
  name: string;
  /** Folder of its handlers, relative to `sourceDir`, with `/`. */
  dir: string;
  /** The pool of its handlers that name none. */
  pool: string;
}

export interface ManifestModule {
  /** Source file relative to `sourceDir`, with `/`: error messages name it. The paths of sites begin with `../`. */
  source: string;
  /** Compiled file relative to the generation's folder, with `/`. */
  compiled: string;
  /** Hash of the module and of everything local that it imports: equal hash, equal behaviour of the code. */
  hash: string;
  /** Whether it imports packages, directly or not: then `packages` counts too. */
  usesPackages: boolean;
  /** The Python application that it stands for. Its workers run it from its own folder: nothing is compiled. */
  app?: ManifestApp;
}

/** A Python application, as it was when the generation was built. */
export interface ManifestApp {
  /** `module:name`, `module:factory()`. */
  spec: string;
  /** Absolute path of the folder that Python looks in first. */
  dir: string;
  /** Absolute path of the interpreter, or a name to look for in `PATH`. */
  python: string;
  kind: AppKind;
  /** The path below which it answers, without a slash at the end. */
  mount: string;
  /** Its file in the folder of the handlers. Without it, `spec` names a module. */
  file?: AppFile;
}

/** The information in the names of a route's files. */
export interface TableRoute {
  /** `/api/users/:id`, `/docs/**:path`; parameters keep the names from the file names. */
  pattern: string;
  /** Which module answers which method; `null` is any method that no other entry names. At least one entry. */
  handlers: { method: string | null; module: number }[];
  /** `_middleware` modules that wrap the route, outermost first. */
  middleware: number[];
  /** The nearest `_error` module, in its folder or above. */
  error: number | null;
  /** The site that it belongs to; absent: the default one. */
  site?: string;
}

/** The information in the name of a fallback's file. */
export interface TableFallback {
  /** `/docs/**` for `docs/_404.ts`, `/**` for the one in the root. */
  pattern: string;
  module: number;
  middleware: number[];
  error: number | null;
  /** The site that it belongs to; absent: the default one. */
  site?: string;
  /** No `_404`: `module` is a middleware, and this is the chain that files of these paths pass through. */
  files?: true;
}

export interface ManifestRoute extends TableRoute {
  /** Name of the pool whose workers run it. */
  pool: string;
}

export interface ManifestFallback extends TableFallback {
  /** Name of the pool whose workers run it. */
  pool: string;
}

/** Name of the manifest's file in the folder of its generation. */
export const MANIFEST_FILE = "manifest.json";

/**
 * Loads the manifest of a generation.
 *
 * @param dir The generation's folder.
 * @throws RuntimeError ERR_HANDLER_LOAD when the manifest is missing, damaged, or of another version of Edgicorn.
 */
export async function loadManifest(dir: string): Promise<Manifest> {
  const path = join(dir, MANIFEST_FILE);
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw unusable(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
  const problem = findProblem(value);
  if (problem !== null) throw unusable(path, problem);
  // findProblem has looked at every field. Manifests of earlier versions do not name a mode.
  const manifest = value as Omit<Manifest, "mode"> & Partial<Manifest>;
  return { ...manifest, mode: manifest.mode ?? "production" };
}

/** Describes why a value is no manifest; `null` if it is one. Hand-written: workers load this, and start fast. */
function findProblem(value: unknown): string | null {
  if (!isRecord(value)) return "no object";
  const { formatVersion } = value;
  if (formatVersion !== 2 && formatVersion !== 3) {
    return `format version ${JSON.stringify(formatVersion)}, expected 2 or 3`;
  }
  const { modules, routes, fallbacks } = value;
  const count = Array.isArray(modules) ? modules.length : 0;
  const checks = {
    id: isText(value["id"]),
    createdAt: isText(value["createdAt"]),
    mode: [undefined, "development", "production"].some((mode) => mode === value["mode"]),
    sourceDir: isText(value["sourceDir"]),
    modules: isListOf(modules, isModule),
    sites: value["sites"] === undefined || isListOf(value["sites"], isSite),
    routes: isListOf(routes, (route) => isRoute(route, count)),
    fallbacks: isListOf(
      fallbacks,
      (fallback) =>
        isScope(fallback, count) &&
        isIndex(fallback["module"], count) &&
        (fallback["files"] === undefined || fallback["files"] === true),
    ),
    packages: isText(value["packages"]),
    inputs: isListOf(value["inputs"], isText),
    warnings: isListOf(value["warnings"], isText),
  };
  const wrong = Object.entries(checks).find(([, isRight]) => !isRight);
  return wrong ? `${JSON.stringify(wrong[0])} is missing or damaged` : null;
}

function isSite(value: unknown): boolean {
  return isRecord(value) && ["name", "dir", "pool"].every((key) => isText(value[key]));
}

function isModule(value: unknown): boolean {
  return (
    isRecord(value) &&
    isText(value["source"]) &&
    isText(value["compiled"]) &&
    isText(value["hash"]) &&
    typeof value["usesPackages"] === "boolean" &&
    (value["app"] === undefined || isApp(value["app"]))
  );
}

function isApp(value: unknown): boolean {
  return (
    isRecord(value) &&
    ["spec", "dir", "python", "mount"].every((key) => isText(value[key])) &&
    ["auto", "wsgi", "asgi"].some((kind) => kind === value["kind"]) &&
    (value["file"] === undefined || isAppFile(value["file"]))
  );
}

function isAppFile(value: unknown): boolean {
  return (
    isRecord(value) &&
    isText(value["path"]) &&
    isText(value["handlersDir"]) &&
    (value["depth"] === null || typeof value["depth"] === "number") &&
    (value["methods"] === null || isListOf(value["methods"], isText))
  );
}

function isRoute(value: unknown, count: number): boolean {
  if (!isScope(value, count)) return false;
  const { handlers } = value;
  return isListOf(handlers, (handler) => isHandler(handler, count)) && handlers.length > 0;
}

function isHandler(value: unknown, count: number): boolean {
  if (!isRecord(value) || !isIndex(value["module"], count)) return false;
  return value["method"] === null || isText(value["method"]);
}

/** The members that routes and fallbacks share. */
function isScope(value: unknown, count: number): value is Record<string, unknown> {
  return (
    isRecord(value) &&
    isText(value["pattern"]) &&
    isText(value["pool"]) &&
    (value["site"] === undefined || isText(value["site"])) &&
    isListOf(value["middleware"], (index) => isIndex(index, count)) &&
    (value["error"] === null || isIndex(value["error"], count))
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.every(isItem);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isIndex(value: unknown, count: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < count;
}

function unusable(path: string, problem: string, cause?: unknown): RuntimeError {
  const message = `Cannot use generation: ${path}: ${problem}`;
  return new RuntimeError("ERR_HANDLER_LOAD", message, { cause });
}
