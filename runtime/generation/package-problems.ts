import { readFile, readlink } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { dirname, join, resolve } from "node:path";

import type { Message } from "esbuild";

import { toDisplayPath } from "../lib/display-path.ts";
import { findOwnName } from "./packages.ts";

/** How each package manager adds a package, by the lock file that it writes. */
const MANAGERS = [
  ["pnpm-lock.yaml", "pnpm", "add"],
  ["yarn.lock", "yarn", "add"],
  ["bun.lock", "bun", "add"],
  ["bun.lockb", "bun", "add"],
  ["package-lock.json", "npm", "install"],
] as const;

/** Modules of other runtimes, by the text before their colon. */
const OTHER_RUNTIMES: Readonly<Record<string, string>> = {
  bun: "Bun",
  cloudflare: "Cloudflare Workers",
  npm: "Deno",
  jsr: "Deno",
};

/** Modules of Workers, and how handlers do the same. */
const WORKERS_MODULES: Readonly<Record<string, string>> = {
  "cloudflare:sockets": "connect() of node:net or node:tls",
  "cloudflare:email": "a package such as nodemailer",
  "cloudflare:workflows": "scheduled() or a queue",
};

/** Since which version Node has a module that is newer than the oldest Node that this program runs on. */
const NODE_MODULES_SINCE: Readonly<Record<string, string>> = { "node:sqlite": "22.13" };

/** Says that a package is not installed, and how to install it. */
export async function describeMissing(missing: {
  specifier: string;
  name: string;
  importer: string;
  resolveDir: string;
  tsconfig: string | null;
}): Promise<string> {
  const { specifier, name, importer, resolveDir } = missing;
  const found = `Could not find package ${JSON.stringify(name)}: not installed`;
  if ((await findOwnName(resolveDir)) === name) {
    return `Could not find ${JSON.stringify(specifier)}: the "exports" of this package's own package.json do not have it`;
  }
  // No package has such a name: https://docs.npmjs.com/cli/configuring-npm/package-json#name
  if (
    !/^(?:@[a-z0-9~-][\w.~-]*\/)?[a-z0-9~-][\w.~-]*$/i.test(name) ||
    specifier.startsWith("src/")
  ) {
    const tsconfig =
      missing.tsconfig ?? (await findUp(resolveDir, ["tsconfig.json"]))?.path ?? null;
    const where =
      tsconfig === null
        ? `there is no tsconfig.json in ${toDisplayPath(dirname(importer))} or above`
        : `no file is where "paths" of ${toDisplayPath(tsconfig)} lead`;
    return `Could not find ${JSON.stringify(specifier)}: it looks like an alias, ${where}`;
  }
  const link = await findBrokenLink(name, resolveDir);
  if (link !== null) return `Could not find package ${JSON.stringify(name)}: ${link}`;
  return `${found}. ${await describeInstall(name, resolveDir)}`;
}

/** A link of a workspace whose folder was moved or is not there yet. */
async function findBrokenLink(name: string, folder: string): Promise<string | null> {
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, "node_modules", name);
    const target = await readlink(path).catch(() => null);
    if (target !== null) {
      return `${toDisplayPath(path)} is a link to ${target}, expected a folder there`;
    }
    if (at === dirname(at)) return null;
  }
}

async function describeInstall(name: string, folder: string): Promise<string> {
  const lock = await findUp(
    folder,
    MANAGERS.map(([file]) => file),
  );
  const [, manager, add] = MANAGERS.find(([file]) => file === lock?.name) ?? ["", "npm", "install"];
  const description = await findUp(folder, ["package.json"]);
  const listed = description === null ? null : listedIn(description.text, name);
  if (listed === "devDependencies") {
    return `It is in "devDependencies", which an installation for production leaves out: run "${manager} install", or move it to "dependencies"`;
  }
  if (listed !== null) return `It is in package.json: run "${manager} install"`;
  return `Run "${manager} ${add} ${name}"`;
}

function listedIn(text: string, name: string): string | null {
  try {
    const description = JSON.parse(text) as Record<string, Record<string, unknown> | undefined>;
    const lists = ["dependencies", "optionalDependencies", "peerDependencies", "devDependencies"];
    return lists.find((list) => description[list]?.[name] !== undefined) ?? null;
  } catch {
    return null;
  }
}

/** Says why an import of an installed package, or a `#name`, leads nowhere. */
export async function describeUnresolved(unresolved: {
  specifier: string;
  name: string | null;
  /** Real folder of the package. */
  dir: string | null;
  resolveDir: string;
  errors: readonly Message[];
  /** Folder that the places of errors are relative to. */
  workingDir: string;
}): Promise<string> {
  const { specifier, name, dir, resolveDir, errors, workingDir } = unresolved;
  const location = errors[0]?.location;
  if (location) {
    const file = toDisplayPath(resolve(workingDir, location.file));
    return `Could not resolve ${JSON.stringify(specifier)}: ${file}:${location.line}: ${errors[0]?.text}`;
  }
  const file = dir === null ? await findUp(resolveDir, ["package.json"]) : null;
  const path = dir === null ? (file?.path ?? "package.json") : join(dir, "package.json");
  const description = parseDescription(
    file?.text ?? (await readFile(path, "utf8").catch(() => "")),
  );
  const text = `Could not find ${JSON.stringify(specifier)}`;
  const shown = toDisplayPath(path);
  if (dir === null) return `${text}: ${describeKeys("imports", description["imports"], shown)}`;
  const subpath = `.${specifier.slice(name?.length ?? 0)}`;
  const { exports, main } = description;
  const isBuilt = "is the package built?";
  if (exports === undefined || exports === null) {
    if (subpath !== ".") return `${text}: ${toDisplayPath(dir)} has no such file`;
    const found = typeof main === "string" ? JSON.stringify(main) : '"index.js"';
    return `${text}: ${shown} leads to ${found}, which is missing: ${isBuilt}`;
  }
  const isOffered = typeof exports !== "object" ? subpath === "." : subpath in exports;
  if (isOffered || (subpath === "." && !Object.keys(exports).some((key) => key.startsWith(".")))) {
    return `${text}: "exports" of ${shown} offers it, but not for import, or its file is missing: ${isBuilt}`;
  }
  return `${text}: ${describeKeys("exports", exports, shown, description["name"])}`;
}

const MOST_KEYS = 8;

/** Lists the entries of a field of `package.json`, as a user imports them. */
function describeKeys(field: string, value: unknown, path: string, name: unknown = ""): string {
  const keys = typeof value === "object" && value !== null ? Object.keys(value) : [];
  const offered = keys
    .filter((key) => /^[.#]/.test(key))
    .map((key) => key.replace(/^\./, String(name)));
  if (offered.length === 0) return `expected it in ${JSON.stringify(field)} of ${path}`;
  const shown = offered.slice(0, MOST_KEYS).map((key) => JSON.stringify(key));
  return `${JSON.stringify(field)} of ${path} has ${shown.join(", ")}${offered.length > MOST_KEYS ? " and others" : ""}`;
}

function parseDescription(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Says that this Node has no such module; `null` for one that it may have. */
export function describeWrongScheme(specifier: string): string | null {
  const scheme = /^([\w+.-]+):/.exec(specifier)?.[1] ?? "";
  if (scheme === "node" && !isBuiltin(specifier)) {
    const since = NODE_MODULES_SINCE[specifier];
    const expected = since === undefined ? "" : `, expected Node ${since} or later`;
    return `Node ${process.versions.node} has no module ${JSON.stringify(specifier)}${expected}`;
  }
  if (scheme === "http" || scheme === "https") {
    return `Node imports nothing from the network: found ${JSON.stringify(specifier)}, expected a package in node_modules`;
  }
  const runtime = OTHER_RUNTIMES[scheme];
  if (runtime === undefined) return null;
  const instead = WORKERS_MODULES[specifier];
  if (instead !== undefined) {
    return `${JSON.stringify(specifier)} is a module of Cloudflare Workers that this server does not have, expected ${instead}`;
  }
  return `${JSON.stringify(specifier)} is a module of ${runtime}, expected a package in node_modules or a module of Node`;
}

/** The first of these files in a folder or above. */
async function findUp(
  folder: string,
  names: readonly string[],
): Promise<{ path: string; name: string; text: string } | null> {
  for (let at = folder; ; at = dirname(at)) {
    for (const name of names) {
      const path = join(at, name);
      const text = await readFile(path, "utf8").catch(() => null);
      if (text !== null) return { path, name, text };
    }
    if (at === dirname(at)) return null;
  }
}
