import { assertNever } from "../lib/errors.ts";

/**
 * One part of a route's path, between two slashes. Texts are decoded: `café`, not `caf%C3%A9`.
 *
 * - `static`: exactly this text.
 * - `param`: a non-empty value between `prefix` and `suffix`, which are mostly empty.
 * - `rest`: any number of segments, none included; always the last. Without a name the value is not captured.
 */
export type Segment =
  | { kind: "static"; text: string }
  | { kind: "param"; name: string; prefix: string; suffix: string }
  | { kind: "rest"; name: string | null };

/** Tells whether `name` can name a parameter. */
export function isParamName(name: string): boolean {
  // As a key of a plain object it would set the prototype instead.
  return PARAM_NAME.test(name) && name !== "__proto__";
}

/** Writes segments as a route pattern in rou3's syntax: `/api/users/:id`, `/docs/**:path`, `/feed/:id.json`. */
export function formatPattern(segments: readonly Segment[]): string {
  return `/${segments.map(formatSegment).join("/")}`;
}

/**
 * Parses a pattern that `formatPattern` wrote.
 *
 * @throws SyntaxError for other patterns: other syntax of rou3, a segment after the rest.
 */
export function parsePattern(pattern: string): Segment[] {
  if (!pattern.startsWith("/")) throw unreadable(pattern);
  if (pattern === "/") return [];
  const segments = pattern
    .slice(1)
    .split("/")
    .map((part) => parseSegment(part, pattern));
  const rest = segments.findIndex((segment) => segment.kind === "rest");
  if (rest !== -1 && rest !== segments.length - 1) throw unreadable(pattern);
  return segments;
}

const PARAM_NAME = /^[A-Za-z_]\w*$/;

function formatSegment(segment: Segment): string {
  switch (segment.kind) {
    case "static":
      return escapeText(segment.text);
    case "param": {
      // An escape ends the name if the text after it would continue it.
      const suffix = escapeText(segment.suffix).replace(/^\w/, "\\$&");
      return `${escapeText(segment.prefix)}:${segment.name}${suffix}`;
    }
    case "rest":
      return segment.name === null ? "**" : `**:${segment.name}`;
    default:
      return assertNever(segment);
  }
}

function parseSegment(part: string, pattern: string): Segment {
  const rest = /^\*\*(?::([A-Za-z_]\w*))?$/.exec(part);
  if (rest) return { kind: "rest", name: rest[1] ?? null };
  const param = /^((?:[^\\:]|\\.)*):([A-Za-z_]\w*)(.*)$/su.exec(part);
  if (param) {
    const [, prefix = "", name = "", suffix = ""] = param;
    return {
      kind: "param",
      name,
      prefix: unescapeText(prefix, pattern),
      suffix: unescapeText(suffix, pattern),
    };
  }
  if (part === "") throw unreadable(pattern);
  return { kind: "static", text: unescapeText(part, pattern) };
}

/** Percent-encodes `%`, spaces and control characters, and escapes characters that have a meaning in a pattern. */
function escapeText(text: string): string {
  return (
    text
      // oxlint-disable-next-line no-control-regex -- the pattern looks for control characters
      .replace(/[%\0-\x20\x7f]/g, encodeURIComponent)
      .replace(/[:*?+(){}\\]/g, "\\$&")
  );
}

function unescapeText(text: string, pattern: string): string {
  if (/(?:^|[^\\])(?:\\\\)*[:*?+(){}]/.test(text)) throw unreadable(pattern);
  return text.replace(/\\(.)|(?:%[0-9A-Fa-f]{2})+/gsu, (found, escaped?: string) =>
    escaped === undefined ? decodeURIComponent(found) : escaped,
  );
}

function unreadable(pattern: string): SyntaxError {
  return new SyntaxError(`Cannot read route pattern: ${JSON.stringify(pattern)}`);
}
