import { encodePathText } from "./path-key.ts";

/** A pattern of paths, as rules have them. */
export interface PathPattern {
  /** `exact`: one path. `below`: a path and all paths below it. `regular`: all others. */
  readonly kind: "exact" | "below" | "regular";
  /** The text before the first wildcard, in the spelling of `toPathKey`, without a slash at the end; `""`: the root. */
  readonly prefix: string;
  /** The first segment if it is static, in the same spelling; `null`: any. */
  readonly first: string | null;
  /** For `kind: "regular"`, and for the values of parameters. Takes a key without a slash at the end. */
  readonly expression: RegExp;
  /** Names of the groups of the expression, in their order. `**` has the name `splat`. */
  readonly names: readonly string[];
}

export const PATH_PATTERN_EXPECTED =
  'a path such as "/about", "/users/:id", "/assets/*.css" or "/admin/**" (all below it)';

/**
 * Parses a pattern of paths.
 *
 * `:name` stands for one segment, `*` for any characters within a segment, and `**` for any number of segments, also
 * none: `/admin/**` is also `/admin`. Texts are written as in a URL and compared decoded.
 *
 * @returns The end of a sentence "found x, expected ..." for text that is no pattern. A segment `*` at the end is
 *   refused: many programs read it as "all below", others as "one segment".
 */
export function parsePathPattern(text: string): PathPattern | { expected: string } {
  if (!text.startsWith("/") || /[?#\\]/.test(text)) return { expected: PATH_PATTERN_EXPECTED };
  const segments = text === "/" ? [] : text.replace(/\/$/, "").slice(1).split("/");
  if (segments.at(-1) === "*") {
    const start = text.slice(0, text.lastIndexOf("*"));
    return { expected: `"${start}**" (all below it) or "${start}:name" (one segment)` };
  }
  const names: string[] = [];
  const statics: string[] = [];
  let isStatic = true;
  let source = "";
  for (const segment of segments) {
    const part = toPart(segment, names);
    if (part === null) return { expected: PATH_PATTERN_EXPECTED };
    source += part.source;
    isStatic &&= part.key !== null;
    if (part.key !== null && isStatic) statics.push(part.key);
  }
  if (new Set(names).size < names.length) {
    return { expected: 'a path in which each parameter has another name, and with one "**"' };
  }
  const isBelow = segments.at(-1) === "**" && statics.length === segments.length - 1;
  return {
    kind: isStatic ? "exact" : isBelow ? "below" : "regular",
    prefix: statics.map((key) => `/${key}`).join(""),
    first: statics[0] ?? null,
    expression: new RegExp(`^${source === "" ? "/" : source}$`, "s"),
    names,
  };
}

const NAME = /^:([A-Za-z_][A-Za-z0-9_]*)$/;

/** Returns the part of a segment in the expression, and its key if it is static; `null`: no segment looks like this. */
function toPart(segment: string, names: string[]): { source: string; key: string | null } | null {
  if (segment === "**") {
    names.push("splat");
    return { source: "(?:/(.*))?", key: null };
  }
  const [, name] = NAME.exec(segment) ?? [];
  if (name !== undefined) {
    names.push(name);
    return { source: "/([^/]+)", key: null };
  }
  const texts = segment.split("*").map(toStaticKey);
  // One wildcard in a segment: more of them would let a long path take a long time.
  if (texts.length > 2 || segment.startsWith(":")) return null;
  if (segment === "" || segment === "." || segment === ".." || texts.includes(null)) return null;
  const source = texts.map((key) => escape(key ?? "")).join("[^/]*");
  const [key = null] = texts;
  return { source: `/${source}`, key: texts.length === 1 ? key : null };
}

/**
 * Parses a pattern of the files `_headers` and `_redirects`, as Netlify and Cloudflare Pages read them: `*` stands for any
 * text, also with slashes, and has the name `splat`. `/blog/*` is also `/blog`.
 *
 * @returns The end of a sentence "found x, expected ..." for text that is no pattern.
 */
export function parseSplatPattern(text: string): PathPattern | { expected: string } {
  const expected = 'a path such as "/about", "/blog/:id" or "/assets/*"';
  if (!text.startsWith("/") || /[?#\\]/.test(text) || text.split("*").length > 2)
    return { expected };
  const path = text.length > 1 && text.endsWith("/") ? text.slice(0, -1) : text;
  const names: string[] = [];
  const keys: string[] = [];
  let source = "";
  for (const segment of path.slice(1).split("/")) {
    const [, name] = NAME.exec(segment) ?? [];
    const texts = segment.split("*").map(toStaticKey);
    if (texts.includes(null)) return { expected };
    if (name !== undefined) names.push(name);
    else if (texts.length === 2) names.push("splat");
    else if (names.length === 0 && segment !== "") keys.push(texts[0] ?? "");
    source +=
      name === undefined ? `/${texts.map((key) => escape(key ?? "")).join("(.*)")}` : "/([^/]+)";
  }
  if (new Set(names).size < names.length) return { expected };
  const endsBelow = path.endsWith("/*");
  if (endsBelow) source = source.replace(/\/\(\.\*\)$/, "(?:/(.*))?");
  return {
    kind: names.length === 0 ? "exact" : endsBelow && names.length === 1 ? "below" : "regular",
    prefix: keys.map((key) => `/${key}`).join(""),
    first: keys[0] ?? null,
    expression: new RegExp(`^${source}$`, "s"),
    names,
  };
}

function toStaticKey(text: string): string | null {
  try {
    return encodePathText(decodeURIComponent(text));
  } catch {
    return null;
  }
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/** Tells whether a key without a slash at the end matches a pattern. */
export function matchesPattern({ kind, prefix, expression }: PathPattern, key: string): boolean {
  switch (kind) {
    case "exact":
      return key === prefix || (prefix === "" && key === "/");
    case "below":
      return key.startsWith(prefix) && (key.length === prefix.length || key[prefix.length] === "/");
    case "regular":
      return expression.test(key);
  }
}

/** Returns the values of the parameters of a key that matches. They are encoded as in the key. */
export function readPatternValues(
  { expression, names }: PathPattern,
  key: string,
): Record<string, string> {
  const groups = expression.exec(key) ?? [];
  return Object.fromEntries(names.map((name, at) => [name, groups[at + 1] ?? ""]));
}
