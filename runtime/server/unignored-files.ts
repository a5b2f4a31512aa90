import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { text } from "node:stream/consumers";
import type { Config } from "../config/config.ts";
import { listSiteCertificates } from "../config/sites.ts";
import { findAllCertificateFiles } from "../tls/certificate-files.ts";

/** Longest wait for Git. It answers in milliseconds, unless a disk or a lock delays it. */
const GIT_TIMEOUT_MS = 3_000;

/**
 * Returns a warning for keys, and one for a state folder, that `git add .` would put under version control: they lie in a
 * Git work tree, and Git does not ignore them. Returns none where Git does not answer.
 */
export async function describeUnignoredFiles({
  certsDir,
  stateDir,
  sites,
}: Pick<Config, "certsDir" | "stateDir" | "sites">): Promise<string[]> {
  // The start reports a folder that it cannot read.
  const sources = [{ dir: certsDir }, ...listSiteCertificates({ sites })];
  const { pairs } = await findAllCertificateFiles(sources).catch(() => ({ pairs: [] }));
  const keys = pairs.map(({ keyPath }) => keyPath);
  // The name of a file in it shows Git that this is a folder, also when it does not exist yet.
  const state = join(stateDir, "generations");
  const [lostKeys, lostState] = await Promise.all([findUnignored(keys), findUnignored([state])]);
  return [describeKeys(lostKeys), lostState.length === 0 ? null : describeState(stateDir)].filter(
    (line) => line !== null,
  );
}

function describeKeys(keys: readonly string[]): string | null {
  const [first] = keys;
  if (first === undefined) return null;
  const more = keys.length === 1 ? "" : ` (and ${keys.length - 1} more)`;
  const name = toWorkTreePath(first);
  const pattern = name.replace(/[^/]+\.key$/, "*.key");
  return (
    `the TLS key ${name}${more} lies in a Git work tree and is not ignored: add ${pattern} to .gitignore, ` +
    `and run "git rm --cached ${name}" if it was committed`
  );
}

function describeState(stateDir: string): string {
  const name = toWorkTreePath(stateDir);
  return `the state folder ${name}/ lies in a Git work tree and is not ignored: add ${name}/ to .gitignore`;
}

/** Returns the paths that Git would not ignore. */
async function findUnignored(paths: readonly string[]): Promise<string[]> {
  const byFolder = new Map<string, string[]>();
  for (const path of paths) {
    const folder = findExisting(dirname(path));
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), path]);
  }
  const found = await Promise.all(
    [...byFolder].map(async ([folder, inside]) => {
      if (findWorkTree(folder) === null) return [];
      const ignored = await askGit(folder, inside);
      return ignored === null ? [] : inside.filter((path) => !ignored.has(path));
    }),
  );
  return found.flat();
}

/** @returns The paths that Git ignores; `null`: Git gives no answer. */
async function askGit(folder: string, paths: readonly string[]): Promise<Set<string> | null> {
  const child = spawn("git", ["-C", folder, "check-ignore", "--stdin", "-z"], {
    // A hook of another repository may have started this process.
    env: withoutGit(process.env),
    stdio: ["pipe", "pipe", "ignore"],
    timeout: GIT_TIMEOUT_MS,
  });
  // Git may end before it has read all paths.
  child.stdin.on("error", () => {});
  child.stdin.end(paths.join("\0"));
  try {
    const [output] = await Promise.all([text(child.stdout), once(child, "close")]);
    // 1: none is ignored. 128: this is no repository, or it belongs to another user.
    return child.exitCode === 0 || child.exitCode === 1 ? new Set(output.split("\0")) : null;
  } catch {
    // Git is not installed.
    return null;
  }
}

function withoutGit(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("GIT_")));
}

function findExisting(dir: string): string {
  return existsSync(dir) || dirname(dir) === dir ? dir : findExisting(dirname(dir));
}

/** Returns the nearest folder with a `.git`, which is a file in a linked work tree. */
function findWorkTree(dir: string): string | null {
  if (existsSync(join(dir, ".git"))) return dir;
  return dirname(dir) === dir ? null : findWorkTree(dirname(dir));
}

/** Returns the path as a .gitignore at the root of the work tree names it. */
function toWorkTreePath(path: string): string {
  const root = findWorkTree(dirname(path));
  return root === null ? path : relative(root, path).replaceAll(sep, "/");
}
