/** A line of a file in the syntax of `.gitignore`. */
interface IgnorePattern {
  /** Takes a path without a slash at its start and its end. */
  readonly expression: RegExp;
  /** The line begins with `!`: its paths are not ignored. */
  readonly isExcepted: boolean;
  /** The line ends with `/`. */
  readonly isForFolders: boolean;
}

/** Longest line, in characters. V8 refuses to compile the expression of one with some ten thousand. */
export const MOST_LINE = 1024;

/**
 * The lines of a file in the syntax of `.gitignore`. The last line that matches a path decides. Upper and lower case are the
 * same, as in the files that Cloudflare reads.
 */
export class IgnorePatterns {
  readonly text: string;
  readonly #patterns: readonly IgnorePattern[];

  /** @param text With lines of at most {@link MOST_LINE} characters. */
  constructor(text: string) {
    this.text = text;
    this.#patterns = text
      .replace(/^\uFEFF/, "")
      .split("\n")
      .flatMap((line) => parseLine(line.replace(/\r$/, "")) ?? []);
  }

  /**
   * Tells whether a path is ignored, if none of the folders on the way to it is.
   *
   * @param path Decoded, relative to the folder of the file: `a/b.txt`.
   */
  ignores(path: string, isFolder: boolean): boolean {
    const last = this.#patterns.findLast(
      ({ expression, isForFolders }) => (isFolder || !isForFolders) && expression.test(path),
    );
    return last !== undefined && !last.isExcepted;
  }

  /** Tells whether a path or a folder on the way to it is ignored. No line brings back a file in an ignored folder. */
  hides(path: string, isFolder: boolean): boolean {
    for (let slash = path.indexOf("/"); slash > 0; slash = path.indexOf("/", slash + 1)) {
      if (this.ignores(path.slice(0, slash), true)) return true;
    }
    return this.ignores(path, isFolder);
  }
}

/** Returns the pattern of a line; `null`: it is empty or a comment. */
function parseLine(line: string): IgnorePattern | null {
  if (line.startsWith("#")) return null;
  const isExcepted = line.startsWith("!");
  const text = trimEnd(isExcepted ? line.slice(1) : line);
  const isForFolders = text.endsWith("/");
  const body = isForFolders ? text.slice(0, -1) : text;
  if (body === "") return null;
  // A slash within the text binds it to the folder of the file. Other names hold at every depth.
  const source = toSource(body.includes("/") ? body.replace(/^\//, "") : `**/${body}`);
  return { expression: new RegExp(`^${source}$`, "isu"), isExcepted, isForFolders };
}

/** Removes spaces at the end, apart from one behind a backslash. */
function trimEnd(text: string): string {
  const bare = text.replace(/ +$/, "");
  const isEscaped = /(?:^|[^\\])(?:\\\\)*\\$/.test(bare);
  return isEscaped && bare.length < text.length ? `${bare} ` : bare;
}

/** A character, a set of characters or a wildcard of a pattern, as the source of an expression. */
type Part = string;

const SLASH: Part = "\\/";
/** `*`: any characters of one name. */
const STAR: Part = "[^/]*";
/** `**` and a slash: any number of folders. */
const FOLDERS: Part = "(?:.*/)?";
/** `**` at the end: everything below a folder. */
const BELOW: Part = ".+";

/**
 * Returns the source of an expression for a pattern.
 *
 * Between two wildcards the expression takes the first match alone: the next wildcard can take the rest. Only the last star of
 * a name, and the last `**` of a path, is tried at each place. With all tried, `*a*a*a*a*b` took 17 s for 200 letters.
 */
function toSource(pattern: string): string {
  let count = 0;
  // The expression never goes back into a look-ahead. The reference then takes the match.
  const toFirst = (source: string): string => {
    count += 1;
    return `(?=(?<_${count}>${source}))\\k<_${count}>`;
  };
  const toName = (parts: readonly Part[]): string => {
    const [start = "", ...texts] = split(parts, STAR).map((text) => text.join(""));
    const last = texts.pop();
    if (last === undefined) return start;
    return [start, ...texts.map((text) => toFirst(`[^/]*?${text}`)), STAR, last].join("");
  };
  const toPath = (parts: readonly Part[]): string => split(parts, SLASH).map(toName).join(SLASH);
  const [start = "", ...paths] = split(toParts(pattern), FOLDERS).map(toPath);
  const last = paths.pop();
  if (last === undefined) return start;
  const middle = paths.filter((path) => path !== "");
  return [start, ...middle.map((path) => toFirst(`(?:.*?/)??${path}`)), FOLDERS, last].join("");
}

function split(parts: readonly Part[], separator: Part): Part[][] {
  const pieces: Part[][] = [[]];
  for (const part of parts) {
    if (part === separator) pieces.push([]);
    else pieces.at(-1)?.push(part);
  }
  return pieces;
}

function toParts(pattern: string): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < pattern.length;) {
    const rest = pattern.slice(at);
    const [folders] =
      (at === 0 || pattern[at - 1] === "/" ? /^\*\*+(?:\/|$)/ : /^$/).exec(rest) ?? [];
    const set = rest.startsWith("[") ? parseSet(rest) : null;
    const [stars] = /^\*+/.exec(rest) ?? [];
    if (folders !== undefined && folders !== "") {
      parts.push(folders.endsWith("/") ? FOLDERS : BELOW);
      at += folders.length;
    } else if (stars !== undefined) {
      parts.push(STAR);
      at += stars.length;
    } else if (set !== null) {
      parts.push(set.source);
      at += set.length;
    } else if (rest.startsWith("?")) {
      parts.push("[^/]");
      at += 1;
    } else {
      const isEscape = rest.length > 1 && rest.startsWith("\\");
      const character = String.fromCodePoint(rest.codePointAt(isEscape ? 1 : 0) ?? 0);
      parts.push(escapeExpression(character));
      at += character.length + (isEscape ? 1 : 0);
    }
  }
  return parts;
}

/** Names of sets of characters within a set, such as `[[:digit:]]`. */
const NAMED: Readonly<Record<string, string>> = {
  alnum: "\\p{L}\\p{N}",
  alpha: "\\p{L}",
  blank: " \\t",
  cntrl: "\\p{Cc}",
  digit: "0-9",
  graph: "\\p{L}\\p{N}\\p{P}\\p{S}",
  lower: "\\p{Ll}",
  print: "\\p{L}\\p{N}\\p{P}\\p{S} ",
  punct: "\\p{P}\\p{S}",
  space: "\\s",
  upper: "\\p{Lu}",
  xdigit: "0-9A-Fa-f",
};

/** Parses `[a-z]` or `[!a-z]` at the start of a text. A set without an end matches no path, as in Git. */
function parseSet(text: string): { source: string; length: number } {
  const isNegative = /^\[[!^]/.test(text);
  const start = isNegative ? 2 : 1;
  let members = "";
  for (let at = start; at < text.length;) {
    const rest = text.slice(at);
    if (rest.startsWith("]") && at > start) {
      const source = isNegative ? `[^/${members}]` : `(?!/)[${members}]`;
      return { source, length: at + 1 };
    }
    const [named, name = ""] = /^\[:([a-z]+):\]/.exec(rest) ?? [];
    const [member = "", from = "", to] = /^(\\.|[^\\])(?:-(\\.|[^\\\]]))?/su.exec(rest) ?? [];
    if (named !== undefined && Object.hasOwn(NAMED, name)) {
      members += NAMED[name];
      at += named.length;
    } else if (member === "") break;
    else {
      members += toMembers(from, to);
      at += member.length;
    }
  }
  return { source: "(?!)", length: text.length };
}

/** Returns the source of one character or of a range. A range that ends before it starts has its first character. */
function toMembers(from: string, to: string | undefined): string {
  const first = unescape(from);
  const last = to === undefined ? first : unescape(to);
  const isRange = to !== undefined && (first.codePointAt(0) ?? 0) <= (last.codePointAt(0) ?? 0);
  const [start = "", end = ""] = [first, last].map(escapeExpression);
  return isRange ? `${start}-${end}` : start;
}

function unescape(text: string): string {
  return text.length > 1 && text.startsWith("\\") ? text.slice(1) : text;
}

function escapeExpression(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, (character) =>
    // Outside of a set, the expression does not take `\-`.
    character === "-" ? "\\x2d" : `\\${character}`,
  );
}
