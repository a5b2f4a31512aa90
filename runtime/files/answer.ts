import { isRangeCurrent, resolvePrecondition, type FieldOf } from "../http/conditional.ts";
import { FILE_CODINGS } from "../compress/encoders.ts";
import { pickCoding } from "../http/content-coding.ts";
import { type ByteRange, resolveRange } from "../http/range.ts";
import { toMultipart, type MultipartPart } from "./multipart.ts";
import type { StaticEntry, StaticFile, StaticRedirect } from "./static-file.ts";

/** The parts of a request on which the answer with a file depends. */
export interface StaticRequest {
  method: string;
  /** Begins with `?`; empty when there is none. */
  query: string;
  field: FieldOf;
}

export interface StaticAnswer {
  status: 200 | 206 | 301 | 304 | 404 | 412 | 416;
  /** Field block, without `content-length` and `date`. */
  fields: string;
  /** Value of `content-length`, also for HEAD; `null`: the answer must not have the field (304). */
  contentLength: number | null;
  body: StaticBody;
}

/**
 * A file whose entity tag must be computed from its content before the answer, see `FileIndex.readTag`. Happens once
 * per version of a file whose time of modification is no version.
 */
export interface Untagged {
  untagged: StaticFile;
}

/** Source of the `contentLength` bytes of the body. */
export type StaticBody =
  | { kind: "none" }
  | { kind: "bytes"; bytes: Buffer }
  /** The caller opens it with `FileIndex.openBody`. */
  | { kind: "file"; file: StaticFile; start: number }
  /** The caller opens each part with `FileIndex.openBody`. */
  | { kind: "parts"; file: StaticFile; parts: readonly MultipartPart[]; tail: Buffer };

/**
 * Decides how an entry of the public folder answers a request.
 *
 * @param nowMs Wall clock.
 * @returns `null` for other methods than GET and HEAD. A handler may answer those.
 */
export function resolveStatic(
  entry: StaticEntry,
  request: StaticRequest,
  nowMs: number,
): StaticAnswer | Untagged | null {
  const { method, field } = request;
  if (method !== "GET" && method !== "HEAD") return null;
  if (entry.kind === "redirect") return toRedirect(entry, request.query);
  const file = pickVariant(entry, field);
  if (file.needsContentTag) return { untagged: file };
  const precondition = resolvePrecondition(field, file, nowMs);
  if (precondition === "not-modified") {
    return { status: 304, fields: file.cacheFields, contentLength: null, body: NONE };
  }
  if (precondition === "failed") {
    return { status: 412, fields: file.cacheFields, contentLength: 0, body: NONE };
  }
  // Range has a meaning for GET only (RFC 9110 section 14.2).
  return method === "HEAD" ? toHead(file) : toContent(file, field, nowMs);
}

/**
 * Decides how a page says that nothing has the path of a request: whole, with 404, and without validators.
 *
 * @param page The file `404.html` of a folder.
 */
export function resolveNotFound(page: StaticFile, { method, field }: StaticRequest): StaticAnswer {
  const file = pickVariant(page, field);
  let fields = `content-type\n${file.contentType}\ncache-control\nno-store\nx-content-type-options\nnosniff`;
  if (file.coding !== null) fields += `\ncontent-encoding\n${file.coding}`;
  if (file.isNegotiated) fields += "\nvary\naccept-encoding";
  const body = method === "HEAD" ? NONE : toBody(file, 0, file.sizeBytes);
  return { status: 404, fields, contentLength: file.sizeBytes, body };
}

const NONE: StaticBody = Object.freeze({ kind: "none" });

function pickVariant(entry: StaticFile, field: FieldOf): StaticFile {
  const { variants, codings } = entry;
  if (variants.length === 0) return entry;
  const coding = pickCoding(field("accept-encoding"), codings);
  if (coding === null) return entry;
  const variant = variants.find((each) => each.coding === coding);
  // Parts of a form that may be gone tomorrow would not fit together.
  if (variant === undefined || (variant.isMade && field("range") !== undefined)) return entry;
  return variant;
}

/** Tells whether a client would take a form that the server could make of an uncompressed file. */
export function wantsCompression({ method, field }: StaticRequest): boolean {
  return method === "GET" && pickCoding(field("accept-encoding"), FILE_CODINGS) !== null;
}

function toHead(file: StaticFile): StaticAnswer {
  return { status: 200, fields: file.fields, contentLength: file.sizeBytes, body: NONE };
}

function toContent(file: StaticFile, field: FieldOf, nowMs: number): StaticAnswer {
  const { fields, sizeBytes } = file;
  const value = field("range");
  const range =
    value !== undefined && isRangeCurrent(field("if-range"), file, nowMs)
      ? resolveRange(value, sizeBytes)
      : null;
  if (range === null || range.kind === "whole") {
    return { status: 200, fields, contentLength: sizeBytes, body: toBody(file, 0, sizeBytes) };
  }
  if (range.kind === "unsatisfiable") {
    const contentRange = `content-range\nbytes */${sizeBytes}\naccept-ranges\nbytes`;
    return { status: 416, fields: contentRange, contentLength: 0, body: NONE };
  }
  if (range.kind === "several") return toParts(file, range.ranges);
  const { start, end } = range;
  const contentLength = end - start + 1;
  return {
    status: 206,
    fields: `${fields}\ncontent-range\nbytes ${start}-${end}/${sizeBytes}`,
    contentLength,
    body: toBody(file, start, contentLength),
  };
}

/** RFC 9110 section 14.6. */
function toParts(file: StaticFile, ranges: readonly ByteRange[]): StaticAnswer {
  const { contentType, sizeBytes, fields } = file;
  const { parts, tail, lengthBytes, boundary } = toMultipart(ranges, { contentType, sizeBytes });
  const own = `content-type\nmultipart/byteranges; boundary=${boundary}`;
  return {
    status: 206,
    // The fields begin with the type of the whole file.
    fields: own + fields.slice(`content-type\n${contentType}`.length),
    contentLength: lengthBytes,
    body: { kind: "parts", file, parts, tail },
  };
}

function toBody(file: StaticFile, start: number, length: number): StaticBody {
  const { bytes } = file;
  if (bytes === null) return { kind: "file", file, start };
  file.isRecentlyUsed = true;
  if (length === bytes.length) return { kind: "bytes", bytes };
  return { kind: "bytes", bytes: bytes.subarray(start, start + length) };
}

function toRedirect(entry: StaticRedirect, query: string): StaticAnswer {
  // A line break would end the field. URLs contain none, so such a query is not repeated.
  const kept = /^[\x21-\x7e]*$/.test(query) ? query : "";
  const path = entry.path.split("/").map(encodeURIComponent).join("/");
  const fields = `location\n${path}${kept}`;
  return { status: 301, fields, contentLength: 0, body: NONE };
}
