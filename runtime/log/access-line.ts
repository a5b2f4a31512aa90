import { styleText } from "node:util";
import type { AccessEntry } from "./access-entry.ts";

/** Formats one line with its line feed, for an exchange that ended at `timeMs` (Unix time). */
export type LineFormat = (entry: AccessEntry, timeMs: number) => string;

/** Creates a format for terminals: `12:03:04.567 200 GET /hello  12 B  0.420 ms  worker 1  127.0.0.1  4f0c-1`. */
export function createPrettyLine(color: boolean): LineFormat {
  // Only `color` decides. From Node 24 on, Node would check standard output, but the line may go to another file.
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    color ? styleText(style, text, { validateStream: false }) : text;
  return (entry, timeMs) => {
    const style = STATUS_STYLE[Math.floor(entry.status / 100)] ?? "white";
    const other = entry.upstream?.name ?? "primary";
    const by = entry.worker === null ? escape(other) : `worker ${entry.worker}`;
    const limit = entry.limit === undefined ? "" : `  ${entry.limit}`;
    const cached = entry.cached === undefined ? "" : `  cache ${entry.cached}`;
    const passed = entry.passedOn === true ? "  passed on" : "";
    const time = new Date(timeMs);
    const clock = [time.getHours(), time.getMinutes(), time.getSeconds()]
      .map((part) => String(part).padStart(2, "0"))
      .join(":");
    const size =
      entry.bytes < 10_000 ? `${entry.bytes} B` : `${Math.round(entry.bytes / 1024)} KiB`;
    const from = `${escape(entry.clientAddress)}  ${escape(entry.requestId)}`;
    const details = `${size}  ${duration(entry.durationMs)} ms  ${by}${passed}${cached}${limit}  ${from}`;
    const target = typeof entry.query === "string" ? `${entry.path}?${entry.query}` : entry.path;
    return (
      `${paint("dim", `${clock}.${String(time.getMilliseconds()).padStart(3, "0")}`)} ` +
      `${paint(style, String(entry.status))} ${escape(entry.method)} ` +
      `${paint("bold", escape(target))}  ${paint("dim", details)}\n`
    );
  };
}

/**
 * Most characters of one text in a line, with its escapes. Six texts and the rest stay below 4096, the size of an
 * atomic write to a pipe.
 */
export const MOST_CHARACTERS = 512;

/** Mark after a text that was cut: an ellipsis. */
const CUT = String.raw`\u2026`;

const STATUS_STYLE: Readonly<Record<number, "green" | "cyan" | "yellow" | "red">> = {
  2: "green",
  3: "cyan",
  4: "yellow",
  5: "red",
};

/** Printable ASCII without `"` and `\`: characters that need no escape. */
const PLAIN = /^[ !#-[\]-~]*$/;

/**
 * Escapes a text for a JSON string, in ASCII, and cuts it. This also protects terminals: the result has no control
 * characters and no line feeds.
 */
export function escape(text: string): string {
  if (text.length <= MOST_CHARACTERS && PLAIN.test(text)) return text;
  let escaped = "";
  for (const character of text) {
    const next = PLAIN.test(character) ? character : escapeCharacter(character);
    if (escaped.length + next.length > MOST_CHARACTERS) return escaped + CUT;
    escaped += next;
  }
  return escaped;
}

/**
 * Escapes one character. Replaces half of a surrogate pair, which invalid UTF-8 may leave: some JSON parsers refuse it.
 */
function escapeCharacter(character: string): string {
  const wellFormed = LONE_SURROGATE.test(character) ? "\ufffd" : character;
  return JSON.stringify(wellFormed)
    .slice(1, -1)
    .replaceAll(
      /[\u007f-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}

const LONE_SURROGATE = /^[\ud800-\udfff]$/;

/** Formats milliseconds with three decimals: `0.420`, `12.007`. */
function duration(ms: number): string {
  return ms.toFixed(3);
}
