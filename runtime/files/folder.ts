import {
  lstatSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  type FSWatcher,
  type Stats,
} from "node:fs";
import { isAbsolute, join, sep } from "node:path";

import type { IgnoredFiles } from "./ignored-files.ts";
import type { FileSource } from "./static-file.ts";

/** A servable folder of the tree, as it was when it was last read. */
export interface Folder {
  readonly isFolder: true;
  /** Path as in a URL, decoded, with a slash at the end. */
  readonly path: string;
  readonly name: string;
  /** Canonical: no component was a symbolic link when the path was checked. */
  readonly realPath: string;
  readonly parent: Folder | null;
  readonly children: Map<string, Folder | File>;
  inode: number;
  /** The folder's time of modification when it was read. NaN: read it again. */
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

/** Tells whether the folder is still where it was found, with no symbolic link on the way. */
export function isIntact(folder: Folder): boolean {
  return resolveLink(folder.realPath) === folder.realPath;
}

/** The symbolic links that are followed. `inside`: links to servable files inside the root. `follow`: all. */
export type PublicLinks = "inside" | "follow";

/** The kind of a name in a folder. */
export type Child =
  | { kind: "found"; realPath: string; stats: Stats }
  /** Not servable. */
  | { kind: "none" }
  /** A symbolic link that is not followed, and its target. */
  | { kind: "refused"; target: string; why: "outside" | "hidden" }
  /** A symbolic link whose target is missing. The target may appear later. */
  | { kind: "dangling" };

/**
 * Finds the kind of a name in a folder: a servable file or folder, or none.
 *
 * Not servable are dot-files, files of rules, ignored files, targets of symbolic links outside the root, and files that are not
 * regular. A link to a folder that contains the link is not servable either: the tree would be endless.
 *
 * @param options.rootPath Canonical path of the tree's root.
 */
export function findChild(
  folder: Folder,
  name: string,
  { rootPath, links, ignored }: { rootPath: string; links: PublicLinks; ignored: IgnoredFiles },
): Child {
  if (isHidden(folder.path, name)) return NONE;
  let realPath = join(folder.realPath, name);
  let stats = lookAt(realPath);
  if (stats?.isSymbolicLink() === true) {
    let target = resolveLink(realPath);
    // The path is resolved link by link, and its end may disappear meanwhile. The link leads elsewhere then.
    if (target === null || lookAt(target) === undefined) target = resolveLink(realPath);
    if (target === null) return DANGLING;
    if (isWithin(folder, target)) return NONE;
    realPath = target;
    stats = lookAt(target);
    const isFolder = stats?.isDirectory() === true;
    const why = links === "follow" ? null : findRefusal(target, { rootPath, ignored, isFolder });
    if (why !== null) return { kind: "refused", target, why };
  }
  if (stats === undefined || ignored.has(folder.path + name, stats.isDirectory())) return NONE;
  return stats.isFile() || stats.isDirectory() ? { kind: "found", realPath, stats } : NONE;
}

const NONE: Child = Object.freeze({ kind: "none" });
const DANGLING: Child = Object.freeze({ kind: "dangling" });

/** Tells whether a symbolic link leads to a child. */
export function isLinked(folder: Folder, name: string, { realPath }: Folder | File): boolean {
  return realPath !== join(folder.realPath, name);
}

// A name that cannot be examined (gone, not permitted, too long) is not served.

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

/** A symbolic link on the way to a folder, and the text in it. */
export interface RootLink {
  readonly path: string;
  readonly target: string;
}

/** Most links on the way to a folder, as in Linux. */
const MOST_LINKS = 40;

/** Finds all symbolic links on the way to a folder: `current` of `/srv/current/public`. */
export function findRootLinks(path: string): RootLink[] {
  const links: RootLink[] = [];
  const names = path.split(sep).filter(Boolean);
  let at: string = sep;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const next = join(at, name);
    const target = readLink(next);
    if (target === null) {
      at = next;
      continue;
    }
    links.push({ path: next, target });
    if (links.length > MOST_LINKS) break;
    if (isAbsolute(target)) at = sep;
    names.unshift(...target.split(sep).filter(Boolean));
  }
  return links;
}

/** Returns the text in a symbolic link; `null`: none is there. */
export function readLink(path: string): string | null {
  try {
    return readlinkSync(path);
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

/**
 * Tells whether a name is private (`.env`, `.git`, `.htpasswd`), or a file of rules. RFC 8615 defines the exception in the
 * root.
 */
function isHidden(folderPath: string, name: string): boolean {
  if (name.startsWith(".")) return !(folderPath === "/" && name === ".well-known");
  return RULE_FILES.has(name);
}

/** Files of rules, as Netlify and Cloudflare Pages name them. */
const RULE_FILES: ReadonlySet<string> = new Set(["_headers", "_redirects"]);

/** Tells whether a change of this name may change the targets of links in its folder, as with Kubernetes' `..data`. */
export function isVersionName(name: string): boolean {
  return name.startsWith("..");
}

/**
 * Returns the reason why a link is not followed to a path; `null`: the path is inside the root and not hidden.
 *
 * Names that begin with two dots are not private. For a ConfigMap, Kubernetes makes a folder `..2025_01_02`, a link
 * `..data` to it, and for each file a link to `..data/NAME`.
 */
function findRefusal(
  realPath: string,
  { rootPath, ignored, isFolder }: { rootPath: string; ignored: IgnoredFiles; isFolder: boolean },
): "outside" | "hidden" | null {
  const prefix = rootPath.endsWith(sep) ? rootPath : rootPath + sep;
  if (!realPath.startsWith(prefix)) return "outside";
  let path = "/";
  for (const name of realPath.slice(prefix.length).split(sep)) {
    if (isHidden(path, name) && !isVersionName(name)) return "hidden";
    path += `${name}/`;
  }
  return ignored.hides(path.slice(0, -1), isFolder) ? "hidden" : null;
}

function isWithin(folder: Folder, realPath: string): boolean {
  for (let outer: Folder | null = folder; outer !== null; outer = outer.parent) {
    if (outer.realPath === realPath) return true;
  }
  return false;
}
