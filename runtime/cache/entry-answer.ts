import {
  type FieldOf,
  isRangeCurrent,
  resolvePrecondition,
  type Validators,
} from "../http/conditional.ts";
import { dropFields } from "../http/change-fields.ts";
import { findField } from "../http/find-field.ts";
import { parseHttpDate } from "../http/http-date.ts";
import { resolveRange } from "../http/range.ts";
import type { StoredHead } from "./stored-head.ts";

/** An answer from an entry: a status, the fields, and the part of the body that is sent. */
export interface EntryAnswer {
  status: number;
  statusText: string;
  /** Field block without `age` and `cache-status`. */
  fields: string;
  /** `null`: no body, and no `content-length` (304). */
  body: { start: number; lengthBytes: number } | null;
}

/**
 * Decides how an entry answers a GET or HEAD request: whole, in part, or by saying that the client has it already (RFC
 * 9111 section 4.3.2, RFC 9110 sections 13 and 14).
 *
 * A request for several ranges gets the whole body. A server may ignore `range` (RFC 9110 section 14.2).
 *
 * @param field Returns the fields of the client's request.
 */
export function resolveEntryAnswer(
  head: StoredHead,
  { method, field }: { method: string; field: FieldOf },
  nowMs: number,
): EntryAnswer {
  const { status, statusText, fields, bodyBytes } = head;
  const whole = { start: 0, lengthBytes: bodyBytes };
  // Preconditions hold for answers that are successful without them (RFC 9110 section 13.2.1).
  if (status < 200 || status > 299) return { status, statusText, fields, body: whole };
  if (isUnchanged(head, field, nowMs)) {
    return { status: 304, statusText: "", fields: toNotModified(fields), body: null };
  }
  const value = status === 200 && method === "GET" ? field("range") : undefined;
  if (value === undefined) return { status, statusText, fields, body: whole };
  const validators = toValidators(head, nowMs);
  if (!isRangeCurrent(field("if-range"), validators, nowMs)) {
    return { status, statusText, fields, body: whole };
  }
  const range = resolveRange(value, bodyBytes);
  if (range.kind === "partial") {
    const { start, end } = range;
    return {
      status: 206,
      statusText: "",
      fields: `${fields}\ncontent-range\nbytes ${start}-${end}/${bodyBytes}`,
      body: { start, lengthBytes: end - start + 1 },
    };
  }
  if (range.kind === "unsatisfiable") {
    const contentRange = `content-range\nbytes */${bodyBytes}\naccept-ranges\nbytes`;
    return {
      status: 416,
      statusText: "",
      fields: contentRange,
      body: { start: 0, lengthBytes: 0 },
    };
  }
  return { status, statusText, fields, body: whole };
}

/** Tells whether the client's copy is the entry. Without conditions this costs two searches of a short text. */
function isUnchanged(head: StoredHead, field: FieldOf, nowMs: number): boolean {
  const ifNoneMatch = field("if-none-match");
  const since = ifNoneMatch === undefined ? field("if-modified-since") : undefined;
  if (ifNoneMatch === undefined && since === undefined) return false;
  const asked: FieldOf = (name) =>
    name === "if-none-match" ? ifNoneMatch : name === "if-modified-since" ? since : undefined;
  const validators = toValidators(head, nowMs);
  // Without `last-modified`, the date of the answer takes its place here (RFC 9111 section 4.3.2).
  validators.lastModifiedMs ??=
    parseHttpDate(findField(head.fields, "date") ?? "", nowMs) ?? head.receivedMs;
  return resolvePrecondition(asked, validators, nowMs) === "not-modified";
}

function toValidators({ etag, lastModified }: StoredHead, nowMs: number): Validators {
  const lastModifiedMs = lastModified === null ? null : parseHttpDate(lastModified, nowMs);
  return { etag, lastModifiedMs };
}

/** Returns the fields of a 304: those that describe the bytes are left out (RFC 9110 section 15.4.5). */
function toNotModified(fields: string): string {
  return dropFields(fields, (name) => DESCRIPTIVE.has(name));
}

const DESCRIPTIVE: ReadonlySet<string> = new Set([
  "accept-ranges",
  "content-encoding",
  "content-language",
  "content-type",
]);
