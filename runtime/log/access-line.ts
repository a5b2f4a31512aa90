import { styleText } from "node:util";
import type { UpstreamNote } from "../http/client.ts";
import type { LimitName } from "../http/limit-names.ts";

/** One finished exchange. Its texts come from clients and may contain any character. */
export interface AccessEntry {
  clientAddress: string;
  scheme: "http" | "https";
  /** Host with its port, unless that is the scheme's default; `null`: the request has no valid host. */
  host: string | null;
  method: string;
  /** Path as the client sent it, without the query. */
  path: string;
  /** Text after the question mark; `null`: there is none; `undefined`: it is not logged. */
  query: string | null | undefined;
  status: number;
  /** Bytes of the response body. */
  bytes: number;
  durationMs: number;
  /** Number of the worker that answered; `null`: the primary answered (a static file, a refusal). */
  worker: number | null;
  /** The upstream server that answered, or failed last; absent: none had the request. */
  upstream?: UpstreamNote | undefined;
  /** The setting that refused the request or cut it off; `undefined`: none. */
  limit: LimitName | undefined;
  requestId: string;
  /** Fields of the request; `null`: it has none; `undefined`: they are not logged. */
  referer: string | null | undefined;
  userAgent: string | null | undefined;
  /** A valid `traceparent` of the request; `undefined`: it has none. */
  traceparent: string | undefined;
  /** Field block of the request, for formats with other fields. */
  fields: string;
}

/** Formats one line with its line feed, for an exchange that ended at `timeMs` (Unix time). */
export type LineFormat = (entry: AccessEntry, timeMs: number) => string;

/**
 * Creates a JSON format, in which the fields of the other log lines (`level`, `time`) come first.
 *
 * The code does not use `JSON.stringify`, which takes three times as long. Lines are ASCII, so their length in
 * characters equals their length in bytes. Texts of clients are cut at `MOST_CHARACTERS`, so a line is shorter than an
 * atomic write to a pipe. Consecutive requests mostly have the same client, target and fields, so these parts are
 * cached in their escaped form.
 */
export function createJsonLine(): LineFormat {
  const isoTime = createIsoTime();
  const request = createRequestPart();
  const fields = createFieldsPart();
  return (entry, timeMs) =>
    '{"level":"info","time":"' +
    isoTime(timeMs) +
    request(entry) +
    number(entry.status) +
    ',"bytes":' +
    number(entry.bytes) +
    ',"durationMs":' +
    duration(entry.durationMs) +
    ',"worker":' +
    (entry.worker === null ? "null" : number(entry.worker)) +
    (entry.upstream === undefined ? "" : upstreamPart(entry.upstream)) +
    (entry.limit === undefined ? "" : `,"limit":"${entry.limit}"`) +
    ',"requestId":' +
    quote(entry.requestId) +
    (entry.traceparent === undefined ? "" : `,"traceparent":"${entry.traceparent}"`) +
    fields(entry);
}

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
    const time = new Date(timeMs);
    const clock = [time.getHours(), time.getMinutes(), time.getSeconds()]
      .map((part) => String(part).padStart(2, "0"))
      .join(":");
    const size =
      entry.bytes < 10_000 ? `${entry.bytes} B` : `${Math.round(entry.bytes / 1024)} KiB`;
    const from = `${escape(entry.clientAddress)}  ${escape(entry.requestId)}`;
    const details = `${size}  ${duration(entry.durationMs)} ms  ${by}${limit}  ${from}`;
    const target = typeof entry.query === "string" ? `${entry.path}?${entry.query}` : entry.path;
    return (
      `${paint("dim", `${clock}.${String(time.getMilliseconds()).padStart(3, "0")}`)} ` +
      `${paint(style, String(entry.status))} ${escape(entry.method)} ` +
      `${paint("bold", escape(target))}  ${paint("dim", details)}\n`
    );
  };
}

function upstreamPart({ name, attempts, status, durationMs }: UpstreamNote): string {
  return (
    `,"upstream":${quote(name)}` +
    `,"upstreamStatus":${status === null ? "null" : number(status)}` +
    `,"upstreamMs":${durationMs === null ? "null" : duration(durationMs)}` +
    (attempts > 1 ? `,"attempts":${number(attempts)}` : "")
  );
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

function quote(text: string): string {
  return `"${escape(text)}"`;
}

function quoteOrNull(text: string | null): string {
  return text === null ? "null" : `"${escape(text)}"`;
}

/**
 * Escapes a text for a JSON string, in ASCII, and cuts it. This also protects terminals: the result has no control
 * characters and no line feeds.
 */
function escape(text: string): string {
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

function number(value: number): string {
  return Number.isFinite(value) ? String(value) : "null";
}

/**
 * Formats milliseconds with three decimals: `0.420`, `12.007`. Integer arithmetic makes this four times as fast as
 * formatting a double.
 */
function duration(ms: number): string {
  if (!(ms >= 0 && ms < MAX_EXACT_MS)) return number(ms);
  const microseconds = Math.round(ms * 1000);
  const whole = Math.floor(microseconds / 1000);
  return whole + (DECIMALS[microseconds - whole * 1000] ?? "");
}

const MAX_EXACT_MS = 1e12;

/** `.000` to `.999` */
const DECIMALS: readonly string[] = Array.from(
  { length: 1000 },
  (_, index) => `.${String(index).padStart(3, "0")}`,
);

/**
 * Creates a format for the parts of a request that are known before its answer. Reuses the result for consecutive equal
 * requests.
 */
function createRequestPart(): (entry: AccessEntry) => string {
  let last: AccessEntry | null = null;
  let part = "";
  return (entry) => {
    if (
      last === null ||
      entry.path !== last.path ||
      entry.query !== last.query ||
      entry.clientAddress !== last.clientAddress ||
      entry.method !== last.method ||
      entry.host !== last.host ||
      entry.scheme !== last.scheme
    ) {
      last = entry;
      part =
        `","component":"access","clientAddress":${quote(entry.clientAddress)}` +
        `,"scheme":"${entry.scheme}","host":${quoteOrNull(entry.host)}` +
        `,"method":${quote(entry.method)},"path":${quote(entry.path)}` +
        (entry.query === undefined ? "" : `,"query":${quoteOrNull(entry.query)}`) +
        ',"status":';
      flatten(part);
    }
    return part;
  };
}

/**
 * Creates a format for the fields of a request and the end of the line. Reuses the result for consecutive equal fields.
 */
function createFieldsPart(): (entry: AccessEntry) => string {
  let lastReferer: AccessEntry["referer"];
  let lastUserAgent: AccessEntry["userAgent"];
  let part = "}\n";
  return ({ referer, userAgent }) => {
    if (userAgent !== lastUserAgent || referer !== lastReferer) {
      lastReferer = referer;
      lastUserAgent = userAgent;
      part =
        (referer === undefined ? "" : `,"referer":${quoteOrNull(referer)}`) +
        (userAgent === undefined ? "" : `,"userAgent":${quoteOrNull(userAgent)}`) +
        "}\n";
      flatten(part);
    }
    return part;
  };
}

/** Makes V8 copy the pieces of a joined string into one, so that it does not walk them again for each line. */
function flatten(text: string): void {
  text.charCodeAt(0);
}

/**
 * Creates a format for times (RFC 3339 in UTC). Keeps the last result, because many lines have the same millisecond.
 */
function createIsoTime(): (timeMs: number) => string {
  let lastTimeMs = Number.NaN;
  let lastTime = "";
  return (timeMs) => {
    if (timeMs !== lastTimeMs) {
      lastTimeMs = timeMs;
      lastTime = new Date(timeMs).toISOString();
    }
    return lastTime;
  };
}
