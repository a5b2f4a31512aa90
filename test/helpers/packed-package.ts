import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { builtProgram } from "./built-program.ts";
import { type Owner, temporaryFolder } from "./temporary-folder.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");

/** The package as `npm pack` makes it from `dist/`. */
export interface PackedPackage {
  /** Absolute path of the tarball. */
  tarball: string;
  /** Absolute path of a folder with the files of the tarball. */
  dir: string;
  /** Files of the package, relative to `dir`. */
  files: readonly string[];
}

/** Packs the package, and extracts it into a folder that goes with its owner. */
export async function packPackage(t: Owner): Promise<PackedPackage> {
  builtProgram();
  const folder = temporaryFolder(t);
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], {
    cwd: ROOT,
    env: npmEnvironment(),
  });
  const [name, ...others] = readdirSync(folder);
  assert.ok(name !== undefined && others.length === 0, "npm pack makes one file");
  const tarball = join(folder, name);
  const dir = join(folder, "package");
  mkdirSync(dir);
  await run("tar", ["-xzf", tarball, "-C", dir, "--strip-components=1"]);
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name: file }) => join(parentPath, file).slice(dir.length + 1));
  return { tarball, dir, files };
}

/** The environment without what configures the server, the test runner, or an npm that started this process. */
export function npmEnvironment(): Record<string, string | undefined> {
  const own = /^(?:EDGICORN_|npm_|NODE_OPTIONS$|NODE_TEST_CONTEXT$|NODE_ENV$|INIT_CWD$)/;
  const entries = Object.entries(process.env).filter(
    ([name]) => !own.test(name) || /^npm_config_(?:cache|registry|userconfig)$/.test(name),
  );
  return Object.fromEntries(entries);
}
