import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** A program or package that a server, or the benchmark itself, needs. */
export type Tool =
  | { readonly kind: "found"; readonly file: string; readonly version: string }
  | { readonly kind: "missing"; readonly reason: string };

export type ToolName = keyof typeof TOOLS;

export interface Places {
  readonly projectFolder: string;
  /** The copy of `peers/` with its own `node_modules`. */
  readonly peersFolder: string;
}

type Find = (places: Places) => Tool;

const TOOLS = {
  node: () => ({ kind: "found", file: process.execPath, version: process.versions.node }),
  edgicorn: findProject,
  "uWebSockets.js": ({ projectFolder }) =>
    findPackage(join(projectFolder, "node_modules", "uWebSockets.js")),
  ws: ({ projectFolder }) => findPackage(join(projectFolder, "node_modules", "ws")),
  wrk: program("wrk", "-v"),
  h2load: program("h2load", "--version"),
  openssl: program("openssl", "version"),
  nginx: program("nginx", "-v"),
  caddy: program("caddy", "version"),
  gunicorn: program("gunicorn", "--version"),
  uwsgi: program("uwsgi", "--version"),
  uvicorn: program("uvicorn", "--version"),
  python3: () => findPython("sys"),
  "python3-flask": () => findPython("flask"),
  "python3-django": () => findPython("django"),
  "python3-fastapi": () => findPython("fastapi"),
  fastify: peer("fastify"),
  "@hono/node-server": peer("@hono/node-server"),
  hono: peer("hono"),
  deno: peerBinary("deno", "@deno/*/deno"),
  bun: peerBinary("bun", "@oven/*/bin/bun"),
  workerd: peerBinary("workerd", "@cloudflare/*/bin/workerd"),
} as const satisfies Readonly<Record<string, Find>>;

/** The tools that are in Debian packages, most of them in one of the same name. */
const DEBIAN: readonly ToolName[] = [
  "wrk",
  "h2load",
  "openssl",
  "nginx",
  "caddy",
  "gunicorn",
  "uwsgi",
  "uvicorn",
  "python3",
  "python3-flask",
  "python3-django",
  "python3-fastapi",
];

/** Looks for every tool. A package with another version than the pinned one counts as missing. */
export function findTools(places: Places): ReadonlyMap<ToolName, Tool> {
  // The keys of the table are all of its names.
  const found = Object.entries(TOOLS) as [ToolName, Find][];
  return new Map(found.map(([name, find]) => [name, find(places)]));
}

/** Returns the Debian packages of all missing tools. */
export function missingDebianPackages(tools: ReadonlyMap<ToolName, Tool>): readonly string[] {
  const names = DEBIAN.filter((name) => tools.get(name)?.kind === "missing");
  return names.map((name) => (name === "h2load" ? "nghttp2-client" : name));
}

function findProject({ projectFolder }: Places): Tool {
  const file = join(projectFolder, "dist", "main.js");
  if (!existsSync(file)) return { kind: "missing", reason: "not built: dist/main.js not found" };
  return findPackage(projectFolder, file);
}

/** Finds a package of `peers/package.json`. */
function peer(name: string): Find {
  return ({ peersFolder }) => {
    const pinned = readPackage(peersFolder)?.dependencies?.[name];
    const tool = findPackage(join(peersFolder, "node_modules", name));
    if (tool.kind === "missing" || tool.version === pinned) return tool;
    return missing(`${name} ${tool.version} found, ${pinned} expected`);
  };
}

function findPackage(folder: string, file = folder): Tool {
  const version = readPackage(folder)?.version;
  return version === undefined ? missing("not installed") : { kind: "found", file, version };
}

/** Finds a program of the system. */
function program(name: string, versionArg: string): Find {
  return () => {
    // Debian keeps servers in sbin folders, which are on root's path only.
    const path = (process.env["PATH"] ?? "").split(delimiter);
    const folders = [...path, "/usr/sbin", "/usr/local/sbin"];
    const file = folders.map((folder) => join(folder, name)).find(isExecutable);
    if (file === undefined) return missing("not installed");
    const { stdout, stderr } = spawnSync(file, [versionArg], { encoding: "utf8" });
    const version = /\d+(?:\.\d+)+/.exec(stdout + stderr)?.[0] ?? "unknown";
    return { kind: "found", file, version };
  };
}

/** Finds the system's Python, if it has a module. Its packages are those of Debian, as for Gunicorn and uWSGI. */
function findPython(module: string): Tool {
  const file = "/usr/bin/python3";
  const source = `import sys, ${module}; print(getattr(${module}, "__version__", sys.version.split()[0]))`;
  const { stdout, status } = spawnSync(file, ["-c", source], { encoding: "utf8" });
  if (status !== 0) return missing("not installed");
  return { kind: "found", file, version: stdout.trim() };
}

/**
 * Finds the program of a package. The package itself only holds a script that fetches or links; the program is in a
 * package for the platform, whose name is the `*` of the pattern.
 */
function peerBinary(name: string, pattern: string): Find {
  const [scope = "", binary = ""] = pattern.split("/*/");
  return (places) => {
    const pinned = peer(name)(places);
    if (pinned.kind === "missing") return pinned;
    const folder = join(places.peersFolder, "node_modules", scope);
    // npm may have installed builds for several C libraries. The right one is the one that runs.
    const file = (existsSync(folder) ? readdirSync(folder) : [])
      .map((platform) => join(folder, platform, binary))
      .find((path) => isExecutable(path) && spawnSync(path, ["--version"]).status === 0);
    return file === undefined ? missing("no build for this platform") : { ...pinned, file };
  };
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

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // accessSync throws to say no.
  }
}
