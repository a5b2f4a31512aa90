import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";

import { RuntimeError } from "../lib/errors.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import { isIgnoredFolder, readHandlerFile, SPECIAL } from "./handler-file.ts";
import { describeMisnamed, findMeantName } from "./misnamed.ts";
import { hasApplication } from "./python-file.ts";
import { createRouteTable } from "./route-table.ts";
import type { RouteTable } from "./route-table.ts";

/**
 * Walks a handlers folder and decides which file answers which request.
 *
 * Symbolic links are followed: the operator has put them there on purpose.
 *
 * @param handlersDir Absolute path.
 * @throws RuntimeError ERR_HANDLER_LOAD for a folder that cannot be read, and for names and conflicts that cannot be
 *   routed: all of them, one line each.
 */
export async function discoverRoutes(handlersDir: string): Promise<DiscoveredRoutes> {
  const displayName = toDisplayPath(handlersDir);
  const paths: string[] = [];
  const misplaced: string[] = [];
  const folders: string[] = [];
  await collectFiles({ root: handlersDir, folder: "", parents: [], paths, misplaced, folders });
  const python = await readPythonFiles(handlersDir, paths);
  const table = createRouteTable(
    paths.filter((path) => !python.others.has(path)),
    displayName,
  );
  if (table.problems.length > 0) {
    throw new RuntimeError("ERR_HANDLER_LOAD", table.problems.join("\n"));
  }
  const warnings = misplaced.toSorted().map((path) => {
    const found = `${toDisplayPath(join(handlersDir, path))}/ is a folder, and nothing in it is used`;
    return `${found}: expected a file such as "${path.slice(path.lastIndexOf("/") + 1)}.ts"`;
  });
  const misnamed = await findMisnamed(handlersDir, paths);
  return {
    ...table,
    warnings: [...warnings, ...misnamed.warnings, ...python.warnings],
    folders,
    read: [...misnamed.read, ...python.read],
  };
}

/** Finds the Python files that have no application: they answer nothing. A developer may expect it. */
async function readPythonFiles(
  handlersDir: string,
  paths: readonly string[],
): Promise<Pick<DiscoveredRoutes, "warnings" | "read"> & { others: ReadonlySet<string> }> {
  const others = new Set<string>();
  const warnings: string[] = [];
  const read: string[] = [];
  for (const path of paths.toSorted()) {
    if (!path.endsWith(".py")) continue;
    const file = join(handlersDir, path);
    const name = toDisplayPath(file);
    if (SPECIAL.has(path.slice(path.lastIndexOf("/") + 1, -".py".length))) {
      warnings.push(`${name} answers nothing: expected a TypeScript or JavaScript file`);
    }
    if (readHandlerFile(path).kind !== "app") continue;
    const text = await attempt(file, () => readFile(file, "utf8"));
    read.push(file);
    if (hasApplication(text)) continue;
    others.add(path);
    warnings.push(
      `${name} answers nothing: expected "application" or "app" at its top level, or a name that begins with "_"`,
    );
  }
  return { others, warnings, read };
}

export interface DiscoveredRoutes extends RouteTable {
  /** Files that were probably meant to be something else, one line each. */
  warnings: string[];
  /** Absolute paths of the folders that were walked through. */
  folders: string[];
  /** Absolute paths of the files whose text decided about a warning. */
  read: string[];
}

/** A file whose name begins with `_` may be anything. One that exports a default was meant to answer something. */
async function findMisnamed(
  handlersDir: string,
  paths: readonly string[],
): Promise<Pick<DiscoveredRoutes, "warnings" | "read">> {
  const warnings: string[] = [];
  const read: string[] = [];
  for (const path of paths.toSorted()) {
    const meant = findMeantName(path);
    if (meant === null) continue;
    const file = join(handlersDir, path);
    const text = await attempt(file, () => readFile(file, "utf8"));
    read.push(file);
    if (!DEFAULT_EXPORT.test(text)) continue;
    warnings.push(describeMisnamed(toDisplayPath(file), path, meant));
  }
  return { warnings, read };
}

const DEFAULT_EXPORT = /\bexport\b[^;]*\bdefault\b|\bmodule\.exports\b/;

interface Walk {
  root: string;
  /** Relative to the root, with `/`; "" is the root. */
  folder: string;
  /** Real paths of the folders that the walk is in, to notice a link that leads back. */
  parents: readonly string[];
  /** Receives the files found. */
  paths: string[];
  /** Receives folders with the names of special files. */
  misplaced: string[];
  /** Receives the folders that the walk is through. */
  folders: string[];
}

async function collectFiles(walk: Walk): Promise<void> {
  const { root, folder, parents, paths, misplaced } = walk;
  const here = join(root, folder);
  walk.folders.push(here);
  const real = await attempt(here, () => realpath(here));
  if (parents.includes(real)) {
    throw unreadable(here, "a link to a folder that it is in, expected no circle");
  }
  const entries = await attempt(here, () => readdir(here, { withFileTypes: true }));
  for (const entry of entries) {
    // Skip these before anything else: editors leave dangling links under such names.
    if (entry.name.startsWith(".")) continue;
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    const target = entry.isSymbolicLink()
      ? await attempt(join(root, path), () => stat(join(root, path)))
      : entry;
    if (target.isFile()) {
      paths.push(path);
    } else if (target.isDirectory() && !isIgnoredFolder(entry.name)) {
      await collectFiles({ ...walk, folder: path, parents: [...parents, real] });
    } else if (target.isDirectory() && SPECIAL.has(entry.name)) {
      misplaced.push(path);
    }
  }
}

async function attempt<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw unreadable(path, explain(cause), cause);
  }
}

function explain(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  switch (code) {
    case "ENOENT":
      return "nothing is there, expected a folder with handlers";
    case "ENOTDIR":
      return "it is a file, expected a folder with handlers";
    case "EACCES":
    case "EPERM":
      return "no permission, expected a readable folder";
    case "ELOOP":
      return "links lead in a circle, expected a folder with handlers";
    default:
      return cause instanceof Error ? cause.message : String(cause);
  }
}

function unreadable(path: string, problem: string, cause?: unknown): RuntimeError {
  return new RuntimeError("ERR_HANDLER_LOAD", `Cannot read ${toDisplayPath(path)}: ${problem}`, {
    cause,
  });
}
