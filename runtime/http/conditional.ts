import { parseHttpDate } from "./http-date.ts";

/** The validators of one state of a representation. */
export interface Validators {
  /** Entity tag with its quotes, e.g. `"400-5f5e100"`. */
  etag: string;
  /** Whole seconds, in milliseconds since the epoch; `null` when the file's time says nothing. */
  lastModifiedMs: number | null;
}

/** Value of a request's field, by lower-case name; several field lines joined with `, `. */
export type FieldOf = (name: string) => string | undefined;

/** Go on and look at `Range`; answer 304; answer 412. */
export type Precondition = "proceed" | "not-modified" | "failed";

/**
 * Evaluates the preconditions of a GET or HEAD request for a representation that exists, in the order of
 * RFC 9110 section 13.2.2. `If-Range` is apart: see {@link isRangeCurrent}.
 *
 * Dates that are no HTTP-date are ignored, as are all dates when there is no modification date to compare.
 */
export function resolvePrecondition(
  field: FieldOf,
  validators: Validators,
  nowMs: number,
): Precondition {
  const ifMatch = field("if-match");
  if (ifMatch !== undefined) {
    if (!matchesAny(ifMatch, validators.etag, "strong")) return "failed";
  } else if (isModifiedSince(field("if-unmodified-since"), validators, nowMs) === true) {
    return "failed";
  }
  const ifNoneMatch = field("if-none-match");
  if (ifNoneMatch !== undefined) {
    return matchesAny(ifNoneMatch, validators.etag, "weak") ? "not-modified" : "proceed";
  }
  const isModified = isModifiedSince(field("if-modified-since"), validators, nowMs);
  return isModified === false ? "not-modified" : "proceed";
}

/**
 * Says whether `Range` is to be honoured: true without `If-Range`, else only if its validator is a strong one and is
 * that of the representation (RFC 9110 section 13.1.5).
 *
 * A date is not strong while the second it names, or the one after, still lasts: the file may yet change without
 * its `Last-Modified` changing (section 8.8.2.2).
 */
export function isRangeCurrent(
  ifRange: string | undefined,
  validators: Validators,
  nowMs: number,
): boolean {
  if (ifRange === undefined) return true;
  if (ifRange.startsWith('"')) return ifRange === validators.etag;
  const { lastModifiedMs } = validators;
  if (lastModifiedMs === null || nowMs - lastModifiedMs < 2000) return false;
  return parseHttpDate(ifRange, nowMs) === lastModifiedMs;
}

/** `undefined` when the field is absent or to be ignored. */
function isModifiedSince(
  value: string | undefined,
  { lastModifiedMs }: Validators,
  nowMs: number,
): boolean | undefined {
  if (value === undefined || lastModifiedMs === null) return undefined;
  const since = parseHttpDate(value, nowMs);
  return since === null ? undefined : lastModifiedMs > since;
}

// One entity-tag of a list (RFC 9110 section 8.8.3), anchored where the one before ended. The opaque part may hold
// commas, so a list cannot be split at them.
const ENTITY_TAG = /[ \t,]*(W\/)?("[\x21\x23-\x7e\x80-\uffff]*")[ \t]*(?=,|$)/gy;

function matchesAny(list: string, etag: string, comparison: "strong" | "weak"): boolean {
  if (list === etag || list === "*") return true;
  for (const [, weak, opaque] of list.matchAll(ENTITY_TAG)) {
    if (opaque === etag && (comparison === "weak" || weak === undefined)) return true;
  }
  return false;
}
