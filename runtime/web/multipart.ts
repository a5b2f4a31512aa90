/**
 * Parses a `multipart/form-data` body (RFC 7578, RFC 2046 section 5.1) into a `FormData`.
 *
 * Node 20 and 22 refuse all but the forms that browsers send: names without quotes and `filename*`, as .NET sends, are
 * none, and a file with `--boundary` in the middle of a line is refused too. This parser takes:
 *
 * - names as tokens and as quoted strings, with `%22`, `%0D` and `%0A` (browsers, HTML standard section 4.10.21.8) or `\"`;
 * - `filename*` (RFC 8187), which counts before `filename`;
 * - parameters and fields in any order and in any letters, and fields that it does not know;
 * - a preamble, an epilogue, and blanks after a boundary.
 *
 * It refuses lines that end with LF only, parts without a name and a body without its final boundary.
 *
 * @param contentType The value of the field, with its `boundary`.
 * @throws TypeError whose cause says why.
 */
export function parseMultipart(bytes: Uint8Array, contentType: string): FormData {
  const boundary = readParameters(contentType.slice(contentType.indexOf(";"))).get("boundary");
  if (boundary === undefined || boundary === "") {
    throw malformed(`found no boundary in ${JSON.stringify(contentType)}, expected boundary=...`);
  }
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const form = new FormData();
  let next = findFirst(body, delimiter);
  while (!next.isLast) {
    const headEnd = findHeadEnd(body, next.end);
    const part = readHead(body.toString("latin1", next.end, headEnd));
    const start = headEnd + END_OF_HEAD.length;
    // The line end before a boundary is part of it: that of the head's last line, where the part is empty.
    next = findNext(body, { delimiter, from: start - 2 });
    const content = body.subarray(start, Math.max(start, next.start));
    if (part.filename === null) form.append(part.name, decoder.decode(content));
    else form.append(part.name, new File([content], part.filename, { type: part.type }));
  }
  return form;
}

/** Media types whose bodies `parseMultipart` parses. */
export const MULTIPART: RegExp = /^multipart\/form-data\s*(?:;|$)/i;

const decoder = new TextDecoder();
const END_OF_HEAD = Buffer.from("\r\n\r\n");

/** Longer than any browser's; a body without line ends is not searched to its end for each part. */
const MAX_HEAD_BYTES = 64 * 1024;

/** A line with a boundary. */
interface BoundaryLine {
  /** Where its CRLF begins. */
  start: number;
  /** Where the part after it begins. */
  end: number;
  /** It ends the body. */
  isLast: boolean;
}

function findFirst(body: Buffer, delimiter: Buffer): BoundaryLine {
  const isAtStart = body.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2));
  const line = isAtStart ? readBoundaryLine(body, { delimiter, at: -2 }) : null;
  return line ?? findNext(body, { delimiter, from: 0 });
}

function findNext(
  body: Buffer,
  { delimiter, from }: { delimiter: Buffer; from: number },
): BoundaryLine {
  for (let at = body.indexOf(delimiter, from); at !== -1; at = body.indexOf(delimiter, at + 1)) {
    const line = readBoundaryLine(body, { delimiter, at });
    if (line !== null) return line;
  }
  const name = delimiter.toString("latin1", 2);
  if (body.includes(`${name}\n`)) {
    throw malformed(
      `found a line feed after the boundary ${name}, expected lines that end with CRLF`,
    );
  }
  throw malformed(
    `the body ends before the boundary ${name}, expected it and ${name}-- at the end`,
  );
}

/** `null`: the line begins like a boundary and goes on, so it is content. */
function readBoundaryLine(
  body: Buffer,
  { delimiter, at }: { delimiter: Buffer; at: number },
): BoundaryLine | null {
  let end = at + delimiter.length;
  if (body[end] === DASH && body[end + 1] === DASH)
    return { start: at, end: end + 2, isLast: true };
  while (body[end] === SPACE || body[end] === TAB) end++;
  if (body[end] !== CR || body[end + 1] !== LF) return null;
  return { start: at, end: end + 2, isLast: false };
}

const [TAB, LF, CR, SPACE, DASH] = [0x09, 0x0a, 0x0d, 0x20, 0x2d];

function findHeadEnd(body: Buffer, start: number): number {
  const end = body.subarray(start, start + MAX_HEAD_BYTES).indexOf(END_OF_HEAD);
  if (end !== -1) return start + end;
  throw malformed("the fields of a part do not end, expected an empty line after them");
}

interface PartHead {
  name: string;
  /** `null`: the part is a text. */
  filename: string | null;
  type: string;
}

/** @param head Lines of fields, one character per byte. */
function readHead(head: string): PartHead {
  let disposition: string | null = null;
  let type = "text/plain";
  for (const line of head.split("\r\n")) {
    const [, field, rest = ""] = FIELD.exec(line) ?? [];
    if (field === undefined) {
      throw malformed(
        `found ${JSON.stringify(line)} in a part, expected a field such as "name: value"`,
      );
    }
    const name = field.toLowerCase();
    const value = trimBlanks(rest);
    if (name === "content-disposition") disposition = value;
    else if (name === "content-type") type = value;
  }
  const parameters =
    disposition !== null && /^form-data\s*;/i.test(disposition)
      ? readParameters(disposition.slice(disposition.indexOf(";")))
      : new Map<string, string>();
  const name = parameters.get("name");
  if (name === undefined) {
    throw malformed('a part has no name, expected content-disposition: form-data; name="..."');
  }
  const extended = parameters.get("filename*");
  const plain = parameters.get("filename");
  const filename = (extended === undefined ? null : decodeExtended(extended)) ?? plain ?? null;
  return { name: toText(name), filename: filename === null ? null : toText(filename), type };
}

const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):(.*)$/;

/** A pattern for the blanks at the end would take a time that grows with the square of the blanks within the value. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/**
 * Reads `; name=value; name="value"`. Names in lower case; the first of two equal ones counts. Values are one character
 * per byte, without the escapes of a quoted string.
 */
function readParameters(text: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const [, name = "", quoted, token = ""] of text.matchAll(PARAMETER)) {
    const key = name.toLowerCase();
    const value = quoted === undefined ? token : unquote(quoted);
    if (!parameters.has(key)) parameters.set(key, value);
  }
  return parameters;
}

/** A backslash is an escape only before a quote: old browsers send paths with backslashes. */
const PARAMETER =
  /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\"|\\)*?)"(?=\s*(?:;|$))|([^;"]*[^;"\s])?)/g;

function unquote(quoted: string): string {
  return quoted.replaceAll(
    /\\"|%22|%0D|%0A/gi,
    (escape) => ESCAPES[escape.toUpperCase()] ?? escape,
  );
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\"': '"',
  "%22": '"',
  "%0D": "\r",
  "%0A": "\n",
};

/** Decodes `UTF-8''na%C3%AFve.txt` (RFC 8187) to one character per byte of UTF-8; `null` if it is none. */
function decodeExtended(value: string): string | null {
  const [, charset = "", text] = /^([\w-]+)'[\w-]*'(.*)$/.exec(value) ?? [];
  if (text === undefined) return null;
  const bytes = text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  switch (charset.toLowerCase()) {
    case "utf-8":
      return bytes;
    case "iso-8859-1":
      return Buffer.from(bytes).toString("latin1");
    default:
      return null;
  }
}

/** A string of one character per byte, read as UTF-8. */
function toText(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString();
}

/** As Node words it, with the reason as its cause. */
function malformed(reason: string): TypeError {
  return new TypeError("Failed to parse body as FormData.", { cause: new TypeError(reason) });
}
