/** Patterns of paths that take the place of a `location` or of an expression. */
export interface PathMatch {
  /** As in `path` of a rule: `/blog/:p1/**`. */
  readonly path: string;
  /** The text that stands for `$1`, `$2` ... in a target: `:p1`, `:splat`, or a fixed text. */
  readonly groups: ReadonlyMap<string, string>;
}

/** A location as Nginx chooses it. */
export interface LocationMatch {
  /** `null`: all paths. */
  readonly paths: readonly PathMatch[] | null;
  /** Order of choice: lower ones win. */
  readonly rank: number;
  /** Start of the path, as written; `null`: an expression. */
  readonly prefix: string | null;
  /** The location takes this path only. */
  readonly isExact: boolean;
}

const NO_GROUPS: ReadonlyMap<string, string> = new Map();

/** Ranks of choice: exact paths, prefixes before expressions, expressions in their order, longest prefixes. */
const EXACT = 0;
const FIRM_PREFIX = 10_000;
const EXPRESSION = 20_000;
const PREFIX = 40_000;

/**
 * Returns the paths of a location.
 *
 * @param index Place among the locations of the server.
 * @returns `null`: no pattern says the same.
 */
export function matchLocation(args: readonly string[], index: number): LocationMatch | null {
  const [first = "", second] = args;
  const [modifier, uri] = second === undefined ? splitModifier(first) : [first, second];
  if (modifier === "~" || modifier === "~*") {
    const paths = matchExpression(uri);
    return paths === null
      ? null
      : { paths, rank: EXPRESSION + index, prefix: null, isExact: false };
  }
  const base = { prefix: uri };
  if (!isPlainPath(uri)) return null;
  if (modifier === "=") return { ...base, paths: [toMatch(uri)], rank: EXACT, isExact: true };
  if (uri === "/") return { ...base, paths: null, rank: PREFIX, isExact: false };
  const rank = (modifier === "^~" ? FIRM_PREFIX : PREFIX) - uri.length;
  // A file such as /favicon.ico has no paths below it.
  if (!uri.endsWith("/") && /\.\w+$/.test(uri)) {
    return { ...base, paths: [toMatch(uri)], rank, isExact: true };
  }
  const path = `${uri.replace(/\/$/, "")}/**`;
  return { ...base, paths: [toMatch(path)], rank, isExact: false };
}

/** `location =/x` is written without a space, too. */
function splitModifier(text: string): [string, string] {
  const [, modifier = "", uri = ""] = /^(=|\^~|~\*|~)?(.*)$/s.exec(text) ?? [];
  return [modifier, uri];
}

function toMatch(path: string): PathMatch {
  return { path, groups: NO_GROUPS };
}

function isPlainPath(uri: string): boolean {
  return uri.startsWith("/") && !/[?#\\*:\s]/.test(uri);
}

/** Tells whether an expression is about hidden files, which no server of ours sends. */
export function isAboutHiddenFiles(expression: string): boolean {
  return /^\^?(?:\^?\/|\(\^\|\/\)|\(\?:\^\|\/\))\\\./.test(expression);
}

/**
 * Returns patterns that take the same paths as an expression of Nginx; `null`: there are none. Understood are fixed
 * texts, alternatives, groups for one segment or for the rest, and names by their ending.
 */
export function matchExpression(expression: string): PathMatch[] | null {
  const expanded = expandAlternatives(expression, 1);
  if (expanded === null) return null;
  const matches = expanded.map(toPattern);
  const known = matches.filter((match) => match !== null);
  return known.length === matches.length ? known : null;
}

interface Expanded {
  source: string;
  groups: ReadonlyMap<string, string>;
}

/** Most patterns of one expression. */
const MOST_PATTERNS = 60;

/** A group of fixed texts: `(?:css|js)`, `(a|b)`. `jpe?g` counts as two. */
const ALTERNATIVES = /\((\?:)?([\w.~%-]+(?:\?[\w~%-]*)?(?:\|[\w.~%-]+(?:\?[\w~%-]*)?)*)\)(?![?*+])/;

/** Replaces the alternatives by several expressions without any. Other groups keep their numbers. */
function expandAlternatives(source: string, from: number): Expanded[] | null {
  const found = ALTERNATIVES.exec(source);
  if (found === null) return [{ source, groups: NO_GROUPS }];
  const [whole, isSilent, list = ""] = found;
  const before = source.slice(0, found.index);
  const number = from + countGroups(before);
  const texts = list.split("|").flatMap(expandOptional);
  const all: Expanded[] = [];
  for (const text of texts) {
    // An empty group keeps the numbers of the groups after it.
    const mark = isSilent === undefined ? `(${EMPTY})` : "";
    const rest = source.slice(found.index + whole.length);
    const inner = expandAlternatives(`${before}${escape(text)}${mark}${rest}`, from);
    if (inner === null) return null;
    for (const { source: next, groups } of inner) {
      const own = isSilent === undefined ? [[String(number), text] as const] : [];
      all.push({ source: next, groups: new Map([...groups, ...own]) });
    }
    if (all.length > MOST_PATTERNS) return null;
  }
  return all;
}

/** Stands for the content of a group whose text is fixed. No config has it. */
const EMPTY = "\u0000";

function expandOptional(text: string): string[] {
  const at = text.indexOf("?");
  if (at < 1) return [text];
  return [text.slice(0, at - 1) + text.slice(at + 1), text.slice(0, at) + text.slice(at + 1)];
}

function escape(text: string): string {
  return text.replaceAll(".", "\\.");
}

function countGroups(source: string): number {
  return [...source.matchAll(/(?<!\\)\((?!\?)/g)].length;
}

/** Parts of an expression that a pattern has as well. */
const PARTS: readonly {
  expression: RegExp;
  kind: "text" | "segment" | "rest" | "fixed" | "optional";
}[] = [
  { expression: new RegExp(`^\\(${EMPTY}\\)`), kind: "fixed" },
  { expression: /^\/\?\$$/, kind: "optional" },
  { expression: /^\(?(?:\/\.\*|\/\(\.\*\))\)?\??(?=\$|$)/, kind: "rest" },
  { expression: /^\/?(?:\(\.[*+]\??\)|\.[*+])(?=\$|$)/, kind: "rest" },
  { expression: /^\((?:\[\^\/\][+*]|\\d\+|\\w\+|\[[\w\\-]+\]\+)\)(?=\/|\$|$)/, kind: "segment" },
  { expression: /^(?:\[\^\/\]\+|\\d\+|\\w\+|\[[\w\\-]+\]\+)(?=\/|\$|$)/, kind: "segment" },
  { expression: /^(?:\\[./_-]|[\w/~@,;=!&'% -])/, kind: "text" },
];

function toPattern({ source, groups: fixed }: Expanded): PathMatch | null {
  const [, ending] = /^\\\.([\w.\\-]+)\$$/.exec(source.replaceAll(`(${EMPTY})`, "")) ?? [];
  if (ending !== undefined) return { path: `/**/*.${ending.replaceAll("\\", "")}`, groups: fixed };
  if (!source.startsWith("^/")) return null;
  const groups = new Map(fixed);
  let rest = source.slice(1);
  let path = "";
  let number = 0;
  let isOpen = true;
  while (rest !== "" && rest !== "$") {
    const part = PARTS.find(({ expression }) => expression.test(rest));
    const [text] = part?.expression.exec(rest) ?? [];
    if (part === undefined || text === undefined) return null;
    rest = rest.slice(text.length);
    const isGroup = text.includes("(");
    if (isGroup) number++;
    if (part.kind === "text") path += text.replace("\\", "");
    if (part.kind === "optional") isOpen = false;
    if (part.kind === "segment") {
      // A parameter is a whole segment.
      if (!path.endsWith("/")) return null;
      path += `:p${number === 0 ? path.length : number}`;
      if (isGroup) groups.set(String(number), `:p${number}`);
    }
    if (part.kind === "rest") {
      if (!path.endsWith("/") && !text.includes("/")) return null;
      path = `${path.replace(/\/$/, "")}/**`;
      // The group holds the slash, or not.
      if (isGroup) groups.set(String(number), text.startsWith("(/") ? "/:splat" : ":splat");
      isOpen = false;
    }
  }
  if (rest === "$") isOpen = false;
  // Without an end, an expression takes all paths that begin so.
  if (isOpen) path = `${path.replace(/\/$/, "")}/**`;
  if (path.split("**").length > 2 || /[?#*]/.test(path.replace("/**", ""))) return null;
  return { path: path === "" ? "/" : path, groups };
}
