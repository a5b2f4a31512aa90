/** A pattern of paths that takes the place of a `location` or of an expression. */
export interface PathMatch {
  /** As in `path` of a rule: `/blog/:p1/**`. */
  readonly path: string;
  /** The text that stands for `$1`, `$2`, `$name` in a target: `:p1`, `:splat`, or a fixed text. */
  readonly groups: ReadonlyMap<string, string>;
  /** The pattern takes more paths than the expression: any segment, where that asks for digits. */
  readonly isWider: boolean;
}

/** Longest expression that is looked at. */
const MOST_CHARACTERS = 1_000;

/** Most patterns of one expression. */
const MOST_PATTERNS = 60;

/**
 * Returns patterns that take the same paths as an expression of Nginx; `null`: there are none. Understood are fixed
 * texts, alternatives, groups for one segment or for the rest, and names by their ending.
 */
export function matchExpression(expression: string): PathMatch[] | null {
  if (expression.length > MOST_CHARACTERS) return null;
  const names: string[] = [];
  const source = expression.replaceAll(/(?<!\\)\((?:\?P?<(\w+)>|(?!\?))/g, (_, name?: string) => {
    names.push(name ?? "");
    return "(";
  });
  const expanded = expandAlternatives(source, 1);
  if (expanded === null) return null;
  const matches = expanded.flatMap((one) => toPatterns(one));
  if (matches.includes(null)) return null;
  return matches.filter((match) => match !== null).map((match) => withNames(match, names));
}

/** Lets targets use the names of groups. */
function withNames(match: PathMatch, names: readonly string[]): PathMatch {
  const named = names.flatMap((name, index): [string, string][] => {
    const value = match.groups.get(String(index + 1));
    return name === "" || value === undefined ? [] : [[name, value]];
  });
  return { ...match, groups: new Map([...match.groups, ...named]) };
}

interface Expanded {
  source: string;
  groups: ReadonlyMap<string, string>;
}

/** A group of fixed texts: `(?:css|js)`, `(a|b)`. `jpe?g` counts as two. */
const ALTERNATIVES =
  /\((?:\?:)?((?:[\w.~%/-]|\\[.-])+(?:\?[\w~%-]*)?(?:\|(?:[\w.~%/-]|\\[.-])+(?:\?[\w~%-]*)?)*)\)(?![?*+])/;

/** Replaces the alternatives by several expressions without any. Other groups keep their numbers. */
function expandAlternatives(source: string, from: number): Expanded[] | null {
  const found = ALTERNATIVES.exec(source);
  if (found === null) return [{ source, groups: new Map() }];
  const [whole, list = ""] = found;
  const isSilent = whole.startsWith("(?:");
  const before = source.slice(0, found.index);
  const number = from + countGroups(before);
  const all: Expanded[] = [];
  for (const text of list.split("|").flatMap(expandOptional)) {
    // An empty group keeps the numbers of the groups after it.
    const mark = isSilent ? "" : `(${EMPTY})`;
    const rest = source.slice(found.index + whole.length);
    const plain = text.replaceAll("\\", "");
    const inner = expandAlternatives(`${before}${escape(plain)}${mark}${rest}`, from);
    if (inner === null) return null;
    for (const { source: next, groups } of inner) {
      const own = isSilent ? [] : [[String(number), plain] as const];
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

/** Ends of an expression that mean "this path, and all below it". */
const BELOW = /^\((?:\?:)?(?:\/\|\$|\$\|\/)\)$/;

/** Expressions that take all paths, perhaps as a group. */
const ALL = /^\^?(?:(\(\/?\.[*+]\))|\/?\.[*+])\$?$/;

interface Part {
  expression: RegExp;
  kind: "text" | "segment" | "rest" | "files" | "fixed" | "optional";
  /** The pattern takes more than the expression. */
  isWider?: true;
}

/** Parts of an expression that a pattern has as well. */
const PARTS: readonly Part[] = [
  { expression: new RegExp(`^\\(${EMPTY}\\)`), kind: "fixed" },
  { expression: /^\/\?\$$/, kind: "optional" },
  { expression: /^\(?\.[*+]\??\)?\\\.[\w-]+\$$/, kind: "files" },
  { expression: /^\(?(?:\/\.\*|\/\(\.\*\))\)?\??(?=\$|$)/, kind: "rest" },
  { expression: /^\/?(?:\(\.[*+]\??\)|\.[*+])(?=\$|$)/, kind: "rest" },
  { expression: /^(?:\(\[\^\/\][+*]\)|\[\^\/\]\+)(?=\/|\$|$)/, kind: "segment" },
  {
    expression:
      /^(?:\((?:\[1-9\])?(?:\\[dw]|\[[\w\\-]+\])[+*]\)|(?:\[1-9\])?(?:\\[dw]|\[[\w\\-]+\])[+*])(?=\/|\$|$)/,
    kind: "segment",
    isWider: true,
  },
  { expression: /^(?:\\[./_-]|[\w/~@,;=!&'% -])/, kind: "text" },
];

function toPatterns({ source, groups }: Expanded): (PathMatch | null)[] {
  const plain = source.replaceAll(`(${EMPTY})`, "").replace(/^(?:\^\/?)?\(?\.[*+]\)?(?=\\\.)/, "");
  const [, name, end = ""] = /^(?:\[\^\/\])?((?:\\\.[\w-]+)+)(.*)$/.exec(plain) ?? [];
  if (name === undefined) return [new PatternBuilder(groups).build(source)];
  const ending = name.replaceAll("\\", "");
  const match = { path: `/**/*${ending}`, groups, isWider: false };
  if (end === "$") return [match];
  // No file is below a file, but a script may have paths below it.
  return BELOW.test(end) ? [match, { ...match, path: `/*${ending}/**` }] : [null];
}

/** Makes the pattern of an expression that begins at the root. */
class PatternBuilder {
  readonly #groups: Map<string, string>;
  #path = "";
  #number = 0;
  #isOpen = true;
  #isWider = false;

  constructor(groups: ReadonlyMap<string, string>) {
    this.#groups = new Map(groups);
  }

  build(source: string): PathMatch | null {
    const all = ALL.exec(source);
    if (all !== null) {
      if (all[1] !== undefined) this.#groups.set("1", "/:splat");
      return { path: "/**", groups: this.#groups, isWider: false };
    }
    if (!source.startsWith("^/")) return null;
    let rest = source.slice(1);
    while (rest !== "" && rest !== "$") {
      if (BELOW.test(rest)) {
        this.#below();
        return this.#finish();
      }
      const part = PARTS.find(({ expression }) => expression.test(rest));
      const [text] = part?.expression.exec(rest) ?? [];
      if (part === undefined || text === undefined || !this.#add(part, text)) return null;
      rest = rest.slice(text.length);
    }
    if (rest === "$") this.#isOpen = false;
    return this.#finish();
  }

  /** The path itself and all below it. */
  #below(): void {
    this.#path = `${this.#path.replace(/\/$/, "")}/**`;
    this.#isOpen = false;
  }

  #add({ kind, isWider }: Part, text: string): boolean {
    const isGroup = text.includes("(");
    if (isGroup) this.#number++;
    if (isWider === true) this.#isWider = true;
    switch (kind) {
      case "text":
        this.#path += text.replace("\\", "");
        return true;
      case "fixed":
        return true;
      case "optional":
        this.#isOpen = false;
        return true;
      case "segment":
        // A parameter is a whole segment.
        if (!this.#path.endsWith("/")) return false;
        this.#path += `:p${isGroup ? this.#number : `x${this.#path.length}`}`;
        if (isGroup) this.#groups.set(String(this.#number), `:p${this.#number}`);
        return true;
      case "files":
        if (!this.#path.endsWith("/")) return false;
        this.#path += `**/*${text.replace(/^.*\\\./, ".").replace("$", "")}`;
        this.#isOpen = false;
        return true;
      case "rest":
        if (!this.#path.endsWith("/") && !text.includes("/")) return false;
        // The group holds the slash, or not.
        if (isGroup)
          this.#groups.set(String(this.#number), text.startsWith("(/") ? "/:splat" : ":splat");
        this.#below();
        return true;
    }
  }

  #finish(): PathMatch | null {
    // Without an end, an expression takes all paths that begin so.
    let path = this.#path;
    const isParameter = /\/:\w+$/.test(path);
    if (this.#isOpen) path += path.endsWith("/") ? "**" : isParameter ? "/**" : "*/**";
    const texts = path.replace("/**", "").replace(/\*(?=\/|\.[\w-]+$|$)/, "");
    if (path.split("**").length > 2 || /[?#*]|\/\//.test(texts)) return null;
    return { path: path === "" ? "/" : path, groups: this.#groups, isWider: this.#isWider };
  }
}
