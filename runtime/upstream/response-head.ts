import { assertNever } from "../lib/errors.ts";
import type { UpstreamHead } from "./exchange.ts";

/** The request that a response answers, as far as the framing depends on it (RFC 9112 section 6.3). */
export interface AnsweredRequest {
  isHead: boolean;
  asksForUpgrade: boolean;
}

/** The end of a body: after `bodyBytes` (`length`), after the last chunk, or with the connection. `none`: no body. */
export type Framing = "none" | "length" | "chunked" | "until-close";

/** A checked head. */
export interface ParsedHead extends UpstreamHead {
  framing: Framing;
  /** The upstream lets the connection serve further requests, and the end of the body leaves no doubt. */
  keeps: boolean;
  /** Value of `Keep-Alive` (RFC 2068 section 19.7.1), `""` when there is none. */
  keepAlive: string;
}

const CR_LF = "\r\n";
const SPACE = 0x20;
const TAB = 0x09;
const ZERO = 0x30;
const ONE = 0x31;

/**
 * Lines without control characters, NUL and DEL, each with CR LF at its end (RFC 9112 section 2.2, RFC 9110 section
 * 5.5). One expression for the whole head costs half of one test per line.
 */
const LINES = /^(?:[\t\x20-\x7e\x80-\xff]+\r\n)+$/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Sixteen digits hold all sizes that a number can count to. */
const DIGITS = /^\d{1,16}$/;

/** Fields of the framing and of the connection: they never reach the block (RFC 9110 section 7.6.1). */
type Concern =
  | "none"
  | "content-length"
  | "transfer-encoding"
  | "connection"
  | "keep-alive"
  | "upgrade"
  | "dropped";

interface KnownName {
  lower: string;
  concern: Concern;
}

const CONCERNS: ReadonlyMap<string, Concern> = new Map([
  ["content-length", "content-length"],
  ["transfer-encoding", "transfer-encoding"],
  ["connection", "connection"],
  ["keep-alive", "keep-alive"],
  ["upgrade", "upgrade"],
  ["proxy-connection", "dropped"],
  ["te", "dropped"],
  ["trailer", "dropped"],
]);

/** Enough for the names that one server sends, in several spellings. */
const REMEMBERED_NAMES = 256;
const LONGEST_REMEMBERED = 64;

/** Checks names of fields. Caches the results, since a server sends the same names again and again. */
export class FieldNames {
  readonly #known = new Map<string, KnownName>();

  /** Returns `null` for a name that is no token (RFC 9110 section 5.1). */
  find(name: string): KnownName | null {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (!NAME.test(name)) return null;
    const lower = name.toLowerCase();
    const entry: KnownName = { lower, concern: CONCERNS.get(lower) ?? "none" };
    if (name.length > LONGEST_REMEMBERED) return entry;
    if (this.#known.size >= REMEMBERED_NAMES) this.#known.clear();
    // A part of a string keeps the whole string in memory; a copy does not.
    this.#known.set(Buffer.from(name, "latin1").toString("latin1"), entry);
    return entry;
  }
}

/** Refusals of heads, also of heads that are not complete yet. */
export const NO_STATUS_LINE =
  "a status line that does not begin with HTTP/1.1 or HTTP/1.0 and a space";
export const BAD_LINES = "a control character or a bare CR or LF in its head";

/** Tells whether a text is the start of a status line, as far as it goes. */
export function mayBeHead(text: string): boolean {
  if (text.length >= 9) return text.startsWith("HTTP/1.1 ") || text.startsWith("HTTP/1.0 ");
  return "HTTP/1.1 ".startsWith(text) || "HTTP/1.0 ".startsWith(text);
}

export interface HeadOptions {
  names: FieldNames;
  /** Most fields. */
  fields: number;
  request: AnsweredRequest;
}

/**
 * Parses the head of a response: all lines with their ends, without the empty line. Accepts a head only if all
 * recipients read it in the same way.
 *
 * @returns For a refused head, the reason: it completes "the upstream sent ...".
 */
export function parseResponseHead(text: string, options: HeadOptions): ParsedHead | string {
  if (!mayBeHead(text)) return NO_STATUS_LINE;
  if (!LINES.test(text)) return BAD_LINES;
  const lineEnd = text.indexOf("\r");
  const status = parseStatusLine(text, lineEnd);
  if (typeof status === "string") return status;
  const head: ParsedHead = {
    status,
    statusText: lineEnd > 13 ? text.slice(13, lineEnd) : "",
    fields: "",
    bodyBytes: null,
    framing: "none",
    keeps: text.charCodeAt(7) === ONE,
    keepAlive: "",
  };
  const found: FramingFields = { contentLength: null, transferEncoding: null, connection: "" };
  return (
    readFields(text.slice(lineEnd + 2), { head, found, ...options }) ??
    decideFraming(head, found, options.request) ??
    head
  );
}

/**
 * Checks the trailer section of a chunked body: all lines with their ends, without the empty line. Its fields are not
 * passed on (RFC 9110 section 6.5.1).
 *
 * @returns The reason of a refusal, as for a head.
 */
export function refuseTrailers(
  text: string,
  { names, fields }: Pick<HeadOptions, "names" | "fields">,
): string | null {
  if (!LINES.test(text)) return "a control character or a bare CR or LF in its trailers";
  const lines = text.split(CR_LF, fields + 2);
  if (lines.length > fields + 1) return `more than ${fields} trailer fields`;
  for (const line of lines.slice(0, -1)) {
    const name = line.slice(0, Math.max(0, line.indexOf(":")));
    if (names.find(name) === null) return `a trailer field with the invalid name ${quote(name)}`;
  }
  return null;
}

/** Fields that decide the framing, before they are compared. */
interface FramingFields {
  contentLength: string | null;
  transferEncoding: string | null;
  /** All values, in lower case, each followed by a comma. */
  connection: string;
}

/** Returns the status of a line that begins with a version: three digits, and perhaps a reason. */
function parseStatusLine(text: string, lineEnd: number): number | string {
  const status = digitAt(text, 9) * 100 + digitAt(text, 10) * 10 + digitAt(text, 11);
  if (!(status >= 100 && status <= 599)) return "a status that is not a number from 100 to 599";
  // Many servers leave out the space before an empty reason. The line has one meaning nevertheless.
  const isWhole = lineEnd === 12 || text.charCodeAt(12) === SPACE;
  return isWhole ? status : "a status that does not end after three digits";
}

/** Returns the digit at a position, or NaN for any other character. */
function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - ZERO;
  return digit >= 0 && digit <= 9 ? digit : Number.NaN;
}

/** A head while it is parsed. */
interface Parsing extends HeadOptions {
  head: ParsedHead;
  found: FramingFields;
}

/** Reads the lines of the fields into the block of the head and into `found`. Returns the reason of a refusal. */
function readFields(lines: string, { head, found, names, fields }: Parsing): string | null {
  let block = "";
  let count = 0;
  for (let at = 0, end = 0; at < lines.length; at = end + 2) {
    end = lines.indexOf("\r", at);
    const colon = lines.indexOf(":", at);
    if (colon === -1 || colon > end) return "a line without a colon in its head";
    // A line that begins with white space continues the line before (RFC 9112 section 5.2). It is no token either.
    const name = names.find(lines.slice(at, colon));
    if (name === null) return `a field with the invalid name ${quote(lines.slice(at, colon))}`;
    count += 1;
    if (count > fields) return `more than ${fields} fields`;
    const value = trimSpace(lines, colon + 1, end);
    if (name.concern !== "none") {
      const refused = noteConcern(name.concern, value, { head, found });
      if (refused !== null) return refused;
      // A 101 names the new protocol to the client as well.
      if (name.concern !== "upgrade" || head.status !== 101) continue;
    }
    block += block === "" ? `${name.lower}\n${value}` : `\n${name.lower}\n${value}`;
  }
  head.fields = found.connection === "" ? block : dropNamed(block, found.connection);
  return null;
}

/** Returns a part of a text without the spaces and tabs around it (RFC 9110 section 5.5). */
function trimSpace(text: string, start: number, end: number): string {
  let first = start;
  let last = end;
  while (first < last && isSpace(text.charCodeAt(first))) first += 1;
  while (last > first && isSpace(text.charCodeAt(last - 1))) last -= 1;
  return text.slice(first, last);
}

function isSpace(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Notes a field of the framing or of the connection. Returns the reason of a refusal. */
function noteConcern(
  concern: Concern,
  value: string,
  { head, found }: Pick<Parsing, "head" | "found">,
): string | null {
  switch (concern) {
    case "content-length":
      return noteLength(value, found);
    case "transfer-encoding":
      if (found.transferEncoding !== null) return "two Transfer-Encoding fields";
      found.transferEncoding = value.toLowerCase();
      return null;
    case "connection":
      if (value !== "keep-alive") found.connection += `${value.toLowerCase()},`;
      return null;
    case "keep-alive":
      head.keepAlive = value;
      return null;
    case "upgrade":
    case "dropped":
    case "none":
      return null;
    default:
      return assertNever(concern);
  }
}

/** Accepts several lengths if all are equal, in one field or in several (RFC 9112 section 6.3, rule 5). */
function noteLength(value: string, found: FramingFields): string | null {
  const lengths = value.includes(",") ? splitList(value) : [value];
  for (const length of lengths) {
    if (!DIGITS.test(length) || Number(length) > Number.MAX_SAFE_INTEGER)
      return `the Content-Length ${quote(value)}, which is no size in bytes`;
    if (found.contentLength !== null && Number(found.contentLength) !== Number(length))
      return "two different Content-Length values";
    found.contentLength = length;
  }
  return null;
}

function splitList(value: string): string[] {
  return value.split(",").map((part) => part.trim());
}

/** Decides where the body ends (RFC 9112 section 6.3). Returns the reason of a refusal. */
function decideFraming(
  head: ParsedHead,
  { contentLength, transferEncoding, connection }: FramingFields,
  request: AnsweredRequest,
): string | null {
  if (transferEncoding !== null) {
    if (contentLength !== null) return "both Content-Length and Transfer-Encoding";
    if (transferEncoding !== "chunked")
      return `the Transfer-Encoding ${quote(transferEncoding)}, expected chunked`;
    if (!head.keeps) return "Transfer-Encoding with HTTP/1.0";
  }
  const options = connection === "" ? [] : splitList(connection);
  if (options.includes("close")) head.keeps = false;
  const { status } = head;
  // RFC 6455 section 4.1.
  if (status === 101 && !options.includes("upgrade"))
    return "a 101 whose Connection does not name upgrade";
  if (status < 200 || status === 204) {
    head.bodyBytes = 0;
    // They have no body. A server that announces one may send it, and then only a new connection is safe.
    if (transferEncoding !== null || Number(contentLength ?? 0) > 0) head.keeps = false;
  } else if (request.isHead || status === 304) {
    head.bodyBytes = 0;
    // The size that a GET would have (RFC 9110 section 8.6).
    if (contentLength !== null) {
      const field = `content-length\n${contentLength}`;
      head.fields = head.fields === "" ? field : `${head.fields}\n${field}`;
    }
  } else if (contentLength !== null) {
    head.bodyBytes = Number(contentLength);
    head.framing = head.bodyBytes === 0 ? "none" : "length";
  } else if (transferEncoding !== null) head.framing = "chunked";
  else {
    head.framing = "until-close";
    head.keeps = false;
  }
  return null;
}

/** Returns a block without the fields that `Connection` names. They concern only the connection to the upstream. */
function dropNamed(block: string, connection: string): string {
  const named = new Set(splitList(connection));
  const parts = block.split("\n");
  const kept: string[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const name = parts[at] ?? "";
    if (!named.has(name) || name === "upgrade") kept.push(name, parts[at + 1] ?? "");
  }
  return kept.join("\n");
}

/** Returns a text for the log: short, in quotes, without characters that change a terminal. */
function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
}
