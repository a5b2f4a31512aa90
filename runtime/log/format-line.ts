import {
  type AccessFact,
  type AccessVariable,
  COMBINED_FORMAT,
  parseAccessFormat,
} from "../lib/access-format.ts";
import { findField } from "../http/find-field.ts";
import type { AccessEntry } from "./access-entry.ts";
import { type LineFormat, MOST_CHARACTERS } from "./access-line.ts";

type Piece = (entry: AccessEntry, timeMs: number) => string;

/**
 * Creates the format of access lines that the setting `accessLogFormat` describes: `combined`, or a text with variables.
 *
 * Every value is escaped as Nginx does: `"`, `\` and all bytes outside of printable ASCII become `\xHH`. A client can therefore not
 * end a quote or a line. A value that is missing or empty is `-`.
 *
 * @param clean Replaces secrets in the value of a request field.
 */
export function createFormattedLine(format: string, clean: (text: string) => string): LineFormat {
  const parts = parseAccessFormat(format === "combined" ? COMBINED_FORMAT : format);
  if (typeof parts === "string") throw new TypeError(`no format: ${parts}`);
  const facts = createFacts();
  const pieces = parts.map((part): Piece => {
    if ("text" in part) return () => part.text;
    return toPiece(part.variable, facts, clean);
  });
  return (entry, timeMs) => {
    let line = "";
    for (const piece of pieces) line += piece(entry, timeMs);
    return `${line}\n`;
  };
}

function toPiece(
  variable: AccessVariable,
  facts: Record<AccessFact, Piece>,
  clean: (text: string) => string,
): Piece {
  if (variable.kind === "fact") return facts[variable.name];
  const { name } = variable;
  // These two follow the settings for queries and clients.
  if (name === "referer") return ({ referer }) => escapeText(referer);
  if (name === "user-agent") return ({ userAgent }) => escapeText(userAgent);
  return ({ fields }) => {
    const value = findField(fields, name);
    return value === undefined ? "-" : escapeBytes(clean(value));
  };
}

function createFacts(): Record<AccessFact, Piece> {
  const local = createLocalTime();
  const pid = String(process.pid);
  return {
    remote_addr: ({ clientAddress }) => escapeText(clientAddress),
    // The server does not decode credentials for its logs.
    remote_user: () => "-",
    time_local: (_, timeMs) => local(timeMs),
    time_iso8601: (_, timeMs) => new Date(timeMs).toISOString(),
    msec: (_, timeMs) => (timeMs / 1000).toFixed(3),
    request: (entry) =>
      `${escapeText(entry.method)} ${escapeText(targetOf(entry))} ${entry.protocol}`,
    request_method: ({ method }) => escapeText(method),
    request_uri: (entry) => escapeText(targetOf(entry)),
    uri: ({ path }) => escapeText(path),
    args: ({ query }) => escapeText(query),
    server_protocol: ({ protocol }) => protocol,
    scheme: ({ scheme }) => scheme,
    host: ({ host }) => escapeText(host),
    status: ({ status }) => String(status),
    body_bytes_sent: ({ bytes }) => String(bytes),
    // Seconds, as in Nginx.
    request_time: ({ durationMs }) => (durationMs / 1000).toFixed(3),
    request_id: ({ requestId }) => escapeText(requestId),
    traceparent: ({ traceparent }) => traceparent ?? "-",
    worker: ({ worker }) => (worker === null ? "-" : String(worker)),
    upstream_addr: ({ upstream }) => escapeText(upstream?.name),
    upstream_status: ({ upstream }) => String(upstream?.status ?? "-"),
    // Seconds, as in Nginx.
    upstream_header_time: ({ upstream }) =>
      upstream?.durationMs == null ? "-" : (upstream.durationMs / 1000).toFixed(3),
    // In capitals, as in Nginx.
    upstream_cache_status: ({ cached }) => cached?.toUpperCase() ?? "-",
    limit: ({ limit }) => limit ?? "-",
    pid: () => pid,
  };
}

function targetOf({ path, query }: AccessEntry): string {
  return typeof query === "string" ? `${path}?${query}` : path;
}

/** Printable ASCII without `"` and `\`. */
const PLAIN = /^[ !#-[\]-~]+$/;

/** Escapes a text. Characters outside of ASCII become the bytes of their UTF-8. */
function escapeText(text: string | null | undefined): string {
  if (text === null || text === undefined || text === "") return "-";
  if (text.length <= MOST_CHARACTERS && PLAIN.test(text)) return text;
  return escapeBytes(Buffer.from(text, "utf8").toString("latin1"));
}

/** Escapes a text with one character for each byte, and cuts it. */
function escapeBytes(text: string): string {
  if (text === "") return "-";
  const escaped = text.slice(0, MOST_CHARACTERS).replaceAll(/[^ !#-[\]-~]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
  });
  return text.length > MOST_CHARACTERS ? `${escaped}...` : escaped;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Creates a format for local times: `29/Nov/2026:12:03:04 +0100`. Keeps the result for one second. */
function createLocalTime(): (timeMs: number) => string {
  let lastSecond = Number.NaN;
  let last = "";
  return (timeMs) => {
    const second = Math.floor(timeMs / 1000);
    if (second !== lastSecond) {
      lastSecond = second;
      last = toLocalTime(new Date(timeMs));
    }
    return last;
  };
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

function toLocalTime(time: Date): string {
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
  const offset = -time.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const day = `${two(time.getDate())}/${MONTHS[time.getMonth()] ?? ""}/${time.getFullYear()}`;
  return `${day}:${clock} ${zone}`;
}
