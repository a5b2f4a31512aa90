import { readFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { dirname, join } from "node:path";

import type { Message } from "esbuild";

import { toDisplayPath } from "../display-path.ts";
import { findOwnName } from "./packages.ts";

/** How each package manager adds a package, by the lock file that it writes. */
const MANAGERS = [
  ["pnpm-lock.yaml", "pnpm", "add"],
  ["yarn.lock", "yarn", "add"],
  ["bun.lock", "bun", "add"],
  ["bun.lockb", "bun", "add"],
  ["package-lock.json", "npm", "install"],
] as const;

/** Modules of other runtimes, by what goes before their colon. */
const OTHER_RUNTIMES: Readonly<Record<string, string>> = {
  bun: "Bun",
  cloudflare: "Cloudflare Workers",
  npm: "Deno",
  jsr: "Deno",
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
  return `${found}. ${await describeInstall(name, resolveDir)}`;
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
  dir: string | null;
  errors: readonly Message[];
}): Promise<string> {
  const { specifier, dir, errors } = unresolved;
  const [first] = errors;
  const notes = first?.notes.map(({ text }) => text.replaceAll("\n", " ")) ?? [];
  const reason = notes.find((text) => /export|defined|imports|condition|found|package/i.test(text));
  const text = `${first?.text ?? `Could not resolve ${JSON.stringify(specifier)}`}${reason === undefined ? "" : `: ${reason}`}`;
  const offered = dir === null ? [] : await listExports(dir);
  return offered.length === 0
    ? text
    : `${text.replace(/:?$/, "")}. Expected one of ${offered.join(", ")}`;
}

/** What can be imported of a package, as a person writes it; empty: anything. */
async function listExports(dir: string): Promise<string[]> {
  const text = await readFile(join(dir, "package.json"), "utf8").catch(() => "{}");
  try {
    const { name = "", exports } = JSON.parse(text) as { name?: string; exports?: unknown };
    if (typeof exports !== "object" || exports === null) return [];
    const paths = Object.keys(exports).filter((key) => key.startsWith("."));
    return paths.slice(0, MOST_EXPORTS).map((path) => JSON.stringify(name + path.slice(1)));
  } catch {
    return [];
  }
}

const MOST_EXPORTS = 8;

/** Says that this Node has no such module; `null` for one that it may have. */
export function describeWrongScheme(specifier: string): string | null {
  const scheme = /^([\w+.-]+):/.exec(specifier)?.[1] ?? "";
  if (scheme === "node" && !isBuiltin(specifier)) {
    const since = NODE_MODULES_SINCE[specifier];
    const expected = since === undefined ? "" : `, expected Node ${since} or later`;
    return `Node ${process.versions.node} has no module ${JSON.stringify(specifier)}${expected}`;
  }
  const runtime = OTHER_RUNTIMES[scheme];
  if (runtime === undefined) return null;
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
