import { spawnSync } from "node:child_process";
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** A program or package that a server, or the benchmark itself, needs. */
export type Tool =
  | { readonly kind: "found"; readonly file: string; readonly version: string }
  | { readonly kind: "missing"; readonly reason: string };

export type ToolName = keyof typeof SOURCES;

/** The source of each tool, which decides how it is found and installed. */
type Source =
  | { readonly from: "node" }
  | { readonly from: "project" }
  | { readonly from: "dependency" }
  | { readonly from: "debian"; readonly versionArgs: readonly string[] }
  | { readonly from: "npm" }
  /** The package itself only holds a script that fetches or links; the program is in a platform package. */
  | { readonly from: "npm-binary"; readonly scope: string; readonly binary: string };

const SOURCES = {
  node: { from: "node" },
  edgicorn: { from: "project" },
  "uWebSockets.js": { from: "dependency" },
  wrk: { from: "debian", versionArgs: ["-v"] },
  openssl: { from: "debian", versionArgs: ["version"] },
  nginx: { from: "debian", versionArgs: ["-v"] },
  gunicorn: { from: "debian", versionArgs: ["--version"] },
  fastify: { from: "npm" },
  "@hono/node-server": { from: "npm" },
  hono: { from: "npm" },
  deno: { from: "npm-binary", scope: "@deno", binary: "deno" },
  bun: { from: "npm-binary", scope: "@oven", binary: "bin/bun" },
  workerd: { from: "npm-binary", scope: "@cloudflare", binary: "bin/workerd" },
} as const satisfies Record<string, Source>;

export interface Places {
  readonly projectFolder: string;
  /** The copy of `peers/` with its own `node_modules`. */
  readonly peersFolder: string;
}

/** Looks for every tool. A package with another version than the pinned one counts as missing. */
export function findTools(places: Places): ReadonlyMap<ToolName, Tool> {
  const names = Object.keys(SOURCES).filter(isToolName);
  return new Map(names.map((name) => [name, findTool(name, places)]));
}

/** Returns the Debian packages of all missing tools. */
export function missingDebianPackages(tools: ReadonlyMap<ToolName, Tool>): readonly ToolName[] {
  return [...tools]
    .filter(([name, tool]) => SOURCES[name].from === "debian" && tool.kind === "missing")
    .map(([name]) => name);
}

function findTool(name: ToolName, places: Places): Tool {
  const source: Source = SOURCES[name];
  switch (source.from) {
    case "node":
      return { kind: "found", file: process.execPath, version: process.versions.node };
    case "project":
      return findProject(places);
    case "dependency":
      return findPackage(join(places.projectFolder, "node_modules", name), undefined);
    case "debian":
      return findProgram(name, source.versionArgs);
    case "npm":
      return findPinned(name, places);
    case "npm-binary": {
      const pinned = findPinned(name, places);
      return pinned.kind === "missing" ? pinned : findBinary(source, places, pinned.version);
    }
    default:
      throw new TypeError(`unexpected source of ${name}`);
  }
}

function findProject({ projectFolder }: Places): Tool {
  const file = join(projectFolder, "dist", "main.js");
  if (!isReadable(file)) return { kind: "missing", reason: "not built: dist/main.js not found" };
  return findPackage(projectFolder, file);
}

function findPinned(name: ToolName, { peersFolder }: Places): Tool {
  const pinned = readPackage(peersFolder)?.dependencies?.[name];
  const tool = findPackage(join(peersFolder, "node_modules", name), undefined);
  if (tool.kind === "missing" || tool.version === pinned) return tool;
  return missing(`${name} ${tool.version} found, ${pinned} expected`);
}

function findPackage(folder: string, file: string | undefined): Tool {
  const version = readPackage(folder)?.version;
  if (version === undefined) return missing("not installed");
  return { kind: "found", file: file ?? folder, version };
}

function findProgram(name: string, versionArgs: readonly string[]): Tool {
  // Debian keeps servers in sbin folders, which are on root's path only.
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  const file = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (file === undefined) return missing("not installed");
  const { stdout, stderr } = spawnSync(file, [...versionArgs], { encoding: "utf8" });
  return { kind: "found", file, version: /\d+(?:\.\d+)+/.exec(stdout + stderr)?.[0] ?? "unknown" };
}

function findBinary(
  source: { readonly scope: string; readonly binary: string },
  { peersFolder }: Places,
  version: string,
): Tool {
  const scope = join(peersFolder, "node_modules", source.scope);
  // npm may have installed builds for several C libraries. The right one is the one that runs.
  const file = listFolder(scope)
    .map((platform) => join(scope, platform, source.binary))
    .find((path) => isExecutable(path) && spawnSync(path, ["--version"]).status === 0);
  if (file === undefined) return missing("no build for this platform");
  return { kind: "found", file, version };
}

function missing(reason: string): Tool {
  return { kind: "missing", reason: `${reason} (npm run bench -- --install)` };
}

interface PackageFile {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

function readPackage(folder: string): PackageFile | undefined {
  try {
    // npm wrote or read the file before: it has the shape of a package.json.
    return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as PackageFile;
  } catch {
    return undefined; // Missing, or half written: not installed either way.
  }
}

function listFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Missing: no platform package was installed.
  }
}

function isExecutable(path: string): boolean {
  return isAllowed(path, constants.X_OK);
}

function isReadable(path: string): boolean {
  return isAllowed(path, constants.R_OK);
}

function isAllowed(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false; // accessSync throws to say no.
  }
}

function isToolName(name: string): name is ToolName {
  return Object.hasOwn(SOURCES, name);
}
