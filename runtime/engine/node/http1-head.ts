import { type HeadFields, type HeadRefusal, isToken } from "../head-fields.ts";

/** A request head of HTTP/1 whose syntax is valid. */
export interface Http1Head {
  method: string;
  /** In origin form, or `*`. */
  target: string;
  /** Minor version: 0, or 1 for every later one. */
  minor: 0 | 1;
}

/** Control characters but for the tab, a bare CR, a bare LF, DEL. */
const BAD_CHARACTER = /[^\t\r\n\x20-\x7e\x80-\xff]|\r(?!\n)|(?<!\r)\n/;
/** The same for a part of a head: a CR at its end may have its LF in the next read. */
const BAD_IN_PART = /[^\t\r\n\x20-\x7e\x80-\xff]|\r(?!\n|$)|(?<!\r)\n/;

const VERSION = /^HTTP\/\d\.\d$/;
const LINE_END_BYTES = 2;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

/** Scheme, authority, and the rest (RFC 9112 section 3.2.2). */
const ABSOLUTE = /^(https?):\/\/([^/?#]*)(.*)$/i;

/**
 * Reads a request head of HTTP/1 (RFC 9112 sections 2 to 5), strictly: recipients that read a line in different ways would
 * disagree on where a request ends.
 *
 * @param text The head up to its empty line, without both line ends there. One character is one byte.
 * @param options.fields Gets the fields, and the host that a target of absolute form names.
 * @param options.ownHost Host of the server, for requests of HTTP/1.0 without `Host`.
 */
export function readHttp1Head(
  text: string,
  { fields, scheme, ownHost }: { fields: HeadFields; scheme: string; ownHost: () => string },
): Http1Head | (HeadRefusal & Pick<Http1Head, "method" | "target">) {
  const lineEnd = text.indexOf("\r\n");
  const line = lineEnd === -1 ? text : text.slice(0, lineEnd);
  const start = readRequestLine(line);
  const bytes = line.length + LINE_END_BYTES;
  const { method, target } = start;
  fields.begin({ method, target, bytes });
  if ("reason" in start) return start;
  if (BAD_CHARACTER.test(text)) {
    return { status: 400, reason: "control character or bare line end", method, target };
  }
  for (let at = lineEnd; at !== -1;) {
    const next = text.indexOf("\r\n", at + LINE_END_BYTES);
    readField(text, { start: at + LINE_END_BYTES, end: next === -1 ? text.length : next, fields });
    at = next;
  }
  if (fields.refusal === null) checkVersion(start, { fields, ownHost });
  // Comes last: the target counts more than `Host` (RFC 9112 section 3.2.2).
  const resolved = fields.refusal === null ? resolveTarget(start, { fields, scheme }) : null;
  return fields.refusal === null ? (resolved ?? start) : { ...fields.refusal, method, target };
}

/**
 * Checks a part of a head whose end has not come, so that the client of an invalid head gets its answer at once.
 *
 * @param bytes The head as far as it has come.
 * @param checked Number of its bytes that were checked before.
 * @returns `null`: more is needed.
 */
export function refusePartOfHead(
  bytes: Buffer,
  checked: number,
): (HeadRefusal & Pick<Http1Head, "method" | "target">) | null {
  const lineEnd = bytes.indexOf("\r\n", 0, "latin1");
  const line = lineEnd === -1 ? null : readRequestLine(bytes.toString("latin1", 0, lineEnd));
  if (line !== null && "reason" in line) return line;
  // A line end that the last read has split is looked at again.
  const from = bytes[checked - 1] === CR ? checked - 1 : checked;
  if (!BAD_IN_PART.test(bytes.toString("latin1", from))) return null;
  const { method = "", target = "" } = line ?? {};
  return { status: 400, reason: "control character or bare line end", method, target };
}

/** Returns the reason to refuse a trailer section, without its empty line; `null`: it is valid. */
export function refuseTrailers(text: string): string | null {
  if (BAD_CHARACTER.test(text)) return "control character or bare line end in a trailer";
  for (const line of text.split("\r\n").slice(0, -1)) {
    const colon = line.indexOf(":");
    if (colon === -1 || !isToken(line.slice(0, colon))) return "trailer without a valid name";
  }
  return null;
}

function readRequestLine(
  line: string,
): Http1Head | (HeadRefusal & Pick<Http1Head, "method" | "target">) {
  const first = line.indexOf(" ");
  const last = line.lastIndexOf(" ");
  const method = first === -1 ? line : line.slice(0, first);
  const target = first === last ? "" : line.slice(first + 1, last);
  const version = line.slice(last + 1);
  const refuse = (status: HeadRefusal["status"], reason: string) => ({
    status,
    reason,
    method,
    target,
  });
  if (first === -1 || target === "" || !VERSION.test(version)) {
    return refuse(400, "request line is not METHOD TARGET HTTP/1.1");
  }
  if (!version.startsWith("HTTP/1.")) return refuse(505, `version ${version}`);
  if (!isToken(method)) return refuse(400, "method is not a token");
  if (target.includes(" ") || target.includes("\t")) return refuse(400, "space in the target");
  if (method === "TRACE" || method === "CONNECT") return refuse(405, `method ${method}`);
  return { method, target, minor: version === "HTTP/1.0" ? 0 : 1 };
}

function readField(
  text: string,
  { start, end, fields }: { start: number; end: number; fields: HeadFields },
): void {
  const colon = text.indexOf(":", start);
  if (colon === -1 || colon >= end) {
    fields.refuse(400, "field line without a colon");
    return;
  }
  // `trim` would also take a no-break space (0xa0), which is a part of the value.
  let from = colon + 1;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  fields.add(text.slice(start, colon).toLowerCase(), text.slice(from, to));
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Applies the rules that differ between HTTP/1.0 and HTTP/1.1. */
function checkVersion(
  { minor }: Http1Head,
  { fields, ownHost }: { fields: HeadFields; ownHost: () => string },
): void {
  if (minor === 0) {
    // Such a sender does not know this field, so the framing is faulty (RFC 9112 section 6.1).
    if (fields.transferCoding !== null) fields.refuse(400, "Transfer-Encoding in HTTP/1.0");
    if (fields.host === null) fields.add("host", ownHost());
  } else if (fields.host === null) {
    fields.refuse(400, "no Host");
  }
}

/** Returns the head with its target in origin form (RFC 9112 section 3.2). */
function resolveTarget(
  head: Http1Head,
  { fields, scheme }: { fields: HeadFields; scheme: string },
): Http1Head {
  const { method, target } = head;
  if (target.startsWith("/")) return head;
  if (target === "*") {
    if (method !== "OPTIONS") fields.refuse(400, "target * with another method than OPTIONS");
    return head;
  }
  const [, named = "", authority = "", rest = ""] = ABSOLUTE.exec(target) ?? [];
  if (named === "") fields.refuse(400, "target is neither a path nor a URL");
  else if (named.toLowerCase() !== scheme) fields.refuse(400, "target has another scheme");
  else fields.replaceHost(authority);
  if (rest === "" && method === "OPTIONS") return { ...head, target: "*" };
  return { ...head, target: rest.startsWith("/") ? rest : `/${rest}` };
}
