import { readdirSync } from "node:fs";
import { basename, dirname, extname, resolve } from "node:path";

import { toDisplayPath } from "../lib/display-path.ts";
import { pickNearest } from "../lib/nearest.ts";

const EXTENSIONS = "code, .json, .txt, .html, .css, .md, .sql, .svg, .graphql, .bin and .wasm";

/**
 * Returns advice about a message of the compiler; "" if the message says enough.
 *
 * @param file Absolute path of the file with the problem.
 */
export function hintAt(text: string, file: string): string {
  const unresolved = /^Could not resolve "(\.[^"]*)"/.exec(text)?.[1];
  if (unresolved !== undefined)
    return `: ${describeNeighbours(resolve(dirname(file), unresolved))}`;
  const unloaded = /^No loader is configured for "[^"]*" files: (.*)$/.exec(text)?.[1];
  if (unloaded !== undefined) {
    return `, expected ${EXTENSIONS}. Others are read when the handler runs: readFileSync(new URL(${JSON.stringify(`./${basename(unloaded)}`)}, import.meta.url))`;
  }
  if (
    extname(file) === ".cjs" &&
    /^The CommonJS "\w+" variable is treated as a global/.test(text)
  ) {
    return ": it has a top-level await, an import or an export, so it is an ES module: rename it to .mjs, and export instead";
  }
  return "";
}

/** Describes the files that are near a missing file. */
function describeNeighbours(missing: string): string {
  const folder = dirname(missing);
  const name = basename(missing);
  const names = listNames(folder);
  if (names === null) return `there is no folder ${toDisplayPath(folder)}`;
  const near =
    names.find((each) => each.toLowerCase() === name.toLowerCase()) ??
    names.find((each) => stem(each) === name || stem(each) === stem(name)) ??
    pickNearest(name, names);
  const found = `there is no ${toDisplayPath(missing)}`;
  return near === null ? found : `${found}, did you mean ${JSON.stringify(near)}?`;
}

function stem(name: string): string {
  return name.slice(0, name.length - extname(name).length);
}

/** Returns the name of a file that differs in upper and lower case only; `null`: there is no such file. */
export function findOtherCase(file: string): string | null {
  const name = basename(file);
  const names = listNames(dirname(file)) ?? [];
  if (names.includes(name)) return null;
  return names.find((each) => each.toLowerCase() === name.toLowerCase()) ?? null;
}

function listNames(folder: string): string[] | null {
  try {
    return readdirSync(folder);
  } catch {
    return null;
  }
}
