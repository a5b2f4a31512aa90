import { lstatSync, readdirSync, realpathSync, type FSWatcher, type Stats } from "node:fs";
import { join, sep } from "node:path";

import type { FileSource } from "./static-file.ts";

/** A folder of the tree that may be served, as it was when last read. */
export interface Folder {
  readonly isFolder: true;
  /** As in a URL, decoded, with a slash at the end. */
  readonly path: string;
  readonly name: string;
  /** Canonical: no component of it was a symbolic link when it was looked at. */
  readonly realPath: string;
  readonly parent: Folder | null;
  readonly children: Map<string, Folder | File>;
  inode: number;
  /** The folder's time of modification when it was read; NaN: read it again. */
  readAtMs: number;
  watcher: FSWatcher | null;
}

export interface File extends FileSource {
  readonly isFolder: false;
}

export function toFolder(
  folder: Pick<Folder, "path" | "name" | "realPath" | "inode" | "parent">,
): Folder {
  return { ...folder, isFolder: true, children: new Map(), readAtMs: Number.NaN, watcher: null };
}

/** Whether the folder is still where it was found, with no symbolic link on the way there. */
export function isIntact(folder: Folder): boolean {
  return resolveLink(folder.realPath) === folder.realPath;
}

/**
 * What a name in a folder stands for: a file or a folder that may be served, or `null`.
 *
 * Dot-files are not, nor what a symbolic link leads to outside the root, nor anything but regular files. A link to a
 * folder that it lies in is not either: the tree would be endless.
 *
 * @param rootPath Canonical path of the tree's root.
 */
export function findChild(
  folder: Folder,
  name: string,
  rootPath: string,
): { realPath: string; stats: Stats } | null {
  if (isHidden(folder.path, name)) return null;
  let realPath = join(folder.realPath, name);
  let stats = lookAt(realPath);
  if (stats?.isSymbolicLink() === true) {
    const target = resolveLink(realPath);
    if (target === null || !isServedFrom(rootPath, target) || isWithin(folder, target)) return null;
    realPath = target;
    stats = lookAt(target);
  }
  if (stats === undefined) return null;
  return stats.isFile() || stats.isDirectory() ? { realPath, stats } : null;
}

// Whatever the reason why something cannot be looked at (gone, not permitted, name too long): it is not served.

export function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

export function resolveLink(path: string): string | null {
  try {
    return realpathSync.native(path);
  } catch {
    return null;
  }
}

export function listNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Dot-files are private (`.env`, `.git`, `.htpasswd`), but for what RFC 8615 puts into the root. */
function isHidden(folderPath: string, name: string): boolean {
  return name.startsWith(".") && !(folderPath === "/" && name === ".well-known");
}

/** Whether a link may lead there: inside the root, and not to something hidden in it. */
function isServedFrom(rootPath: string, realPath: string): boolean {
  const prefix = rootPath.endsWith(sep) ? rootPath : rootPath + sep;
  if (!realPath.startsWith(prefix)) return false;
  let path = "/";
  for (const name of realPath.slice(prefix.length).split(sep)) {
    if (isHidden(path, name)) return false;
    path += `${name}/`;
  }
  return true;
}

function isWithin(folder: Folder, realPath: string): boolean {
  for (let outer: Folder | null = folder; outer !== null; outer = outer.parent) {
    if (outer.realPath === realPath) return true;
  }
  return false;
}
