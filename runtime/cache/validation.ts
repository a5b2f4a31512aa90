import { CONNECTION_FIELDS } from "../lib/server-fields.ts";
import { findField } from "../http/find-field.ts";
import { formatBlock, parseBlock } from "../http/field-block.ts";
import type { CachePolicy } from "./policy.ts";
import { type FetchedAnswer, type FetchTimes, resolveStorage } from "./storage.ts";
import type { StoredHead } from "./stored-head.ts";

/**
 * Returns the fields of a request that asks whether an entry is still valid, as a block (RFC 9111 section 4.3.1); `""`:
 * the entry has no validator. The request carries no precondition and no `range` of a client.
 */
export function toConditions({ etag, lastModified }: StoredHead): string {
  const fields: [string, string][] = [];
  if (etag !== null) fields.push(["if-none-match", etag]);
  if (lastModified !== null) fields.push(["if-modified-since", lastModified]);
  return formatBlock(fields);
}

/** Fields of a client's request that never reach the responder when the cache fetches an answer for all clients. */
export const CONDITIONAL_FIELDS: ReadonlySet<string> = new Set([
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "range",
]);

/** The meaning of the answer to a validation. */
export type Validation =
  /** The entry is valid, with this head. */
  | { kind: "freshen"; head: StoredHead }
  /** The entry is valid for this request, but may no longer be stored, e.g. because of `no-store`. */
  | { kind: "serve-once"; fields: string }
  /** The 304 is about another answer than the entry: fetch again, without conditions. */
  | { kind: "mismatch" }
  /** The answer replaces the entry, if it may be stored. */
  | { kind: "replace" }
  /** The responder failed. The entry stays, and `isUsableOnError` decides whether it is served. */
  | { kind: "error" };

/**
 * Decides about the answer to a validation (RFC 9111 section 4.3.3).
 *
 * @param request.fields Field block of the request, for the decision about storing.
 */
export function resolveValidation(
  head: StoredHead,
  request: { fields: string },
  answer: FetchedAnswer,
  { policy, times }: { policy: CachePolicy; times: FetchTimes },
): Validation {
  // Also a 501 or a 505 says nothing about the entry. It stays, but only some errors allow to serve it.
  if (answer.status >= 500) return { kind: "error" };
  if (answer.status !== 304) return { kind: "replace" };
  if (!matches(head, answer.fields)) return { kind: "mismatch" };
  const fields = updateFields(head.fields, answer.fields);
  const storage = resolveStorage(
    { method: "GET", fields: request.fields },
    { status: head.status, statusText: head.statusText, fields },
    { policy, times },
  );
  if (storage.kind === "refuse") return { kind: "serve-once", fields };
  const { bodyBytes, vary, tags } = head;
  // The entry stays where requests find it. A 304 repeats `vary`, but need not repeat tags.
  return {
    kind: "freshen",
    head: Object.freeze({
      ...storage.head,
      bodyBytes,
      vary,
      tags: storage.head.tags.length === 0 ? tags : storage.head.tags,
    }),
  };
}

/**
 * Tells whether a 304 selects the entry (section 4.3.4). A 304 without validators does: the request named this entry
 * only. The RFC accepts that for entries without validators.
 */
function matches(head: StoredHead, fields: string): boolean {
  const etag = findField(fields, "etag");
  // The weak comparison: a 304 may weaken the tag, as compressing proxies do.
  if (etag !== undefined && head.etag !== null) return opaque(etag) === opaque(head.etag);
  const modified = findField(fields, "last-modified");
  return modified === undefined || head.lastModified === null || modified === head.lastModified;
}

function opaque(etag: string): string {
  return etag.startsWith("W/") ? etag.slice(2) : etag;
}

/**
 * Replaces stored fields by those of a 304 (RFC 9111 section 3.2). Fields that describe the stored bytes stay, and so does
 * the tag. A cookie is never taken over.
 */
export function updateFields(stored: string, received: string): string {
  const named = (findField(received, "connection") ?? "").toLowerCase().split(/[ \t,]+/);
  const update = parseBlock(received)
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => !KEPT.has(name) && !named.includes(name));
  const names = new Set(update.map(([name]) => name));
  const kept = parseBlock(stored).filter(([name]) => !names.has(name));
  return formatBlock([...kept, ...update]);
}

const KEPT: ReadonlySet<string> = new Set([
  ...CONNECTION_FIELDS,
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "etag",
  "set-cookie",
]);
