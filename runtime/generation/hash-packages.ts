import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";

/** Records of package managers about the installed packages: beside `package.json`, and in `node_modules`. */
const LOCK_FILES = [
  "package-lock.json",
  "npm-shrinkwrap.json",
  "yarn.lock",
  "pnpm-lock.yaml",
  "bun.lock",
  "bun.lockb",
  "node_modules/.package-lock.json",
  "node_modules/.yarn-state.yml",
  "node_modules/.yarn-integrity",
  "node_modules/.pnpm/lock.yaml",
];

/** A package under development with more files than this counts as changed each time. */
const MOST_FILES = 5_000;

/**
 * Hashes the installed packages. They do not become part of a generation, so an upgrade of one, or of its own
 * dependencies, shows in no source.
 *
 * Lock files stand for the packages that a package manager has installed. Packages that are links out of `node_modules`
 * (workspaces, `npm link`) change without one: there each file's size and time count. Manual edits within
 * `node_modules` are not noticed.
 *
 * @param sourceDir Lock files are looked for here and above, up to the first folder that has one.
 * @param packageDirs Real folders of the packages that the sources import.
 */
export async function hashPackages(
  sourceDir: string,
  packageDirs: readonly string[],
): Promise<string> {
  const hash = createHash("sha256");
  for (let folder = sourceDir; ; folder = dirname(folder)) {
    const found = await readLockFiles(folder);
    for (const [name, bytes] of found) hash.update(`${name} ${bytes.length}\n`).update(bytes);
    if (found.length > 0 || folder === dirname(folder)) break;
  }
  for (const dir of [...new Set(packageDirs)].toSorted()) {
    if (dir.includes(`${sep}node_modules${sep}`)) continue;
    const files = await listFiles(dir);
    hash.update(`${dir}\n`).update(files === null ? String(Math.random()) : files.join("\n"));
  }
  return hash.digest("hex");
}

async function readLockFiles(folder: string): Promise<[name: string, bytes: Buffer][]> {
  const found: [string, Buffer][] = [];
  for (const name of LOCK_FILES) {
    const bytes = await readFile(join(folder, name)).catch(() => null);
    if (bytes !== null) found.push([name, bytes]);
  }
  return found;
}

/** One line per file; `null` if there are too many of them. */
async function listFiles(dir: string): Promise<string[] | null> {
  const lines: string[] = [];
  const folders = [dir];
  // An array is visited to the end also while it grows.
  for (const folder of folders) {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (entry.name === "node_modules" || entry.name === ".git") continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        folders.push(path);
        continue;
      }
      const stats = await stat(path).catch(() => null);
      if (stats !== null) lines.push(`${path} ${stats.size} ${stats.mtimeMs}`);
    }
    if (folders.length + lines.length > MOST_FILES) return null;
  }
  return lines.toSorted();
}
