import { formatPattern, isParamName } from "./pattern.ts";
import type { Segment } from "./pattern.ts";

/** The methods that a file name can end in: `users.get.ts`. Any other `x` in `users.x.ts` is part of the path. */
export const FILE_METHODS = ["get", "head", "post", "put", "patch", "delete", "options"] as const;

/** The role of a file in the handlers folder. */
export type HandlerFile =
  | { kind: "route"; segments: Segment[]; method: string | null }
  /** `_middleware`, `_error` or `_404`, which serve `folder` and all below it. */
  | { kind: "middleware" | "error" | "not-found"; segments: Segment[] }
  /** A Python application, if the module has one. */
  | { kind: "app"; segments: Segment[]; method: string | null }
  /** Not a handler: another type, a test, a declaration, a name that starts with `_` or `.`. */
  | { kind: "ignored" }
  | { kind: "problem"; problem: string };

/**
 * Derives the role of a file from its path.
 *
 * - `index` is its folder; `[id]` is a parameter, also inside a segment (`user-[id]`, `[id].json`); `[...rest]` and
 *   `[[...rest]]` are all that follows, `[...]` the same under the name `_`; a folder `(name)` only groups.
 * - Extensions: `.ts .tsx .mts .js .jsx .mjs .cjs`, not `.d.ts`, not `.test.ts` or `.spec.ts`; `.py`, not `test_*.py`,
 *   `*_test.py` or `conftest.py`.
 * - Files and folders whose name starts with `_` or `.`, and `node_modules`, are not routes.
 *
 * @param path Relative to the handlers folder, with `/`.
 */
export function readHandlerFile(path: string): HandlerFile {
  const folders = path.split("/");
  const file = folders.pop() ?? "";
  const isPython = PYTHON.test(file);
  const extension = (isPython ? PYTHON : EXTENSION).exec(file);
  if (!extension || NOT_A_HANDLER.test(file) || folders.some(isIgnoredFolder)) return IGNORED;
  const name = file.slice(0, extension.index);
  const special = isPython ? undefined : SPECIAL.get(name);
  if (special === undefined && /^[_.]/.test(name)) return IGNORED;

  const read = folders.filter((folder) => !isGroupName(folder)).map(readSegment);
  if (special !== undefined) return finish(read, (segments) => ({ kind: special, segments }));
  const { base, method } = splitMethod(name);
  if (base !== "index") read.push(readSegment(base));
  return finish(read, (segments) => ({ kind: isPython ? "app" : "route", segments, method }));
}

/** Tells whether a folder of this name cannot contain handlers. */
export function isIgnoredFolder(name: string): boolean {
  return /^[_.]/.test(name) || name === "node_modules";
}

const IGNORED: HandlerFile = { kind: "ignored" };
/** Extensions of files that may be handlers. */
export const EXTENSION: RegExp = /\.(?:[mc]?js|m?ts|[jt]sx)$/;
/** Extension of files that may be Python applications. */
const PYTHON = /\.py$/;
/** Declarations and tests beside handlers. */
export const NOT_A_HANDLER: RegExp = /\.(?:d|test|spec)\.\w+$|^(?:test_.*|.*_test|conftest)\.py$/;

/** Files that serve their folder and all below it. */
export const SPECIAL: ReadonlyMap<string, "middleware" | "error" | "not-found"> = new Map<
  string,
  "middleware" | "error" | "not-found"
>([
  ["_middleware", "middleware"],
  ["_error", "error"],
  ["_404", "not-found"],
]);

/** Tells whether a folder only groups: `(shop)`. */
export function isGroupName(folder: string): boolean {
  return /^\(.+\)$/.test(folder);
}

function splitMethod(name: string): { base: string; method: string | null } {
  const dot = name.lastIndexOf(".");
  const method = FILE_METHODS.find((known) => dot > 0 && known === name.slice(dot + 1));
  if (method === undefined) return { base: name, method: null };
  return { base: name.slice(0, dot), method: method.toUpperCase() };
}

/** Returns a segment, or a description of the mistake in the name. */
function readSegment(name: string): Segment | string {
  if (!/[[\]]/.test(name)) {
    // Browsers send typed text in composed form; some file systems store names decomposed.
    return { kind: "static", text: name.normalize("NFC") };
  }
  const rest = /^(?:\[\.\.\.([^[\]]*)\]|\[\[\.\.\.([^[\]]*)\]\])$/.exec(name);
  if (rest) {
    const restName = rest[1] ?? rest[2] ?? "";
    if (restName === "") return { kind: "rest", name: "_" };
    return isParamName(restName) ? { kind: "rest", name: restName } : badName(restName);
  }
  const param = /^([^[\]]*)\[([^[\]]*)\]([^[\]]*)$/.exec(name);
  if (!param) return `found ${JSON.stringify(name)}, expected one [name] or [...name] in it`;
  const [, prefix = "", paramName = "", suffix = ""] = param;
  if (paramName.startsWith("...")) {
    return `found text around [${paramName}], expected it to be the whole name`;
  }
  if (!isParamName(paramName)) return badName(paramName);
  return {
    kind: "param",
    name: paramName,
    prefix: prefix.normalize("NFC"),
    suffix: suffix.normalize("NFC"),
  };
}

function badName(name: string): string {
  return `found parameter name ${JSON.stringify(name)}, expected a letter or _, then letters, digits or _`;
}

function finish(
  read: (Segment | string)[],
  toFile: (segments: Segment[]) => HandlerFile,
): HandlerFile {
  const segments: Segment[] = [];
  for (const segment of read) {
    if (typeof segment === "string") return { kind: "problem", problem: segment };
    segments.push(segment);
  }
  const problem = findProblem(segments);
  return problem === null ? toFile(segments) : { kind: "problem", problem };
}

function findProblem(segments: readonly Segment[]): string | null {
  const names = new Set<string>();
  for (const [index, segment] of segments.entries()) {
    if (segment.kind === "static" || segment.name === null) continue;
    if (names.has(segment.name)) {
      return `found two parameters named ${JSON.stringify(segment.name)} in ${formatPattern(segments)}, expected different names`;
    }
    names.add(segment.name);
    if (segment.kind === "rest" && index < segments.length - 1) {
      return `found a segment after [...${segment.name}], expected it to be the last`;
    }
  }
  return null;
}
