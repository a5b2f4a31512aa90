import { parseHttpDate } from "./http-date.ts";

/** The validators of one state of a representation. */
export interface Validators {
  /** Entity tag with its quotes, e.g. `"400-5f5e100"`, or a weak one, e.g. `W/"a"`; `null`: there is none. */
  etag: string | null;
  /**
   * Modification time in milliseconds since the epoch, rounded to whole seconds; `null`: the file has no usable time.
   */
  lastModifiedMs: number | null;
}

/** Returns the value of a request's field. The name is in lower case; several field lines are joined with `, `. */
export type FieldOf = (name: string) => string | undefined;

/** The outcome: evaluate `Range` next; answer 304; answer 412. */
export type Precondition = "proceed" | "not-modified" | "failed";

/**
 * Evaluates the preconditions of a GET or HEAD request for an existing representation, in the order of RFC 9110 section
 * 13.2.2. For `If-Range` see {@link isRangeCurrent}.
 *
 * Ignores values that are not an HTTP-date. Ignores all dates when the representation has no modification date.
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
 * Tells whether to honour `Range`: always without `If-Range`, otherwise only if its validator is strong and matches the
 * representation (RFC 9110 section 13.1.5).
 *
 * A date is strong only two seconds after it. Within the same second, the file may change without a change of
 * `Last-Modified` (section 8.8.2.2).
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

/** Tells whether the representation was modified after the date; `undefined`: the field is absent or is ignored. */
function isModifiedSince(
  value: string | undefined,
  { lastModifiedMs }: Validators,
  nowMs: number,
): boolean | undefined {
  if (value === undefined || lastModifiedMs === null) return undefined;
  const since = parseHttpDate(value, nowMs);
  return since === null ? undefined : lastModifiedMs > since;
}

// One entity tag of a list (RFC 9110 section 8.8.3), anchored at the end of the previous one. Tags may hold commas, so
// the list cannot be split at them.
const ENTITY_TAG = /[ \t,]*(W\/)?("[\x21\x23-\x7e\x80-\uffff]*")[ \t]*(?=,|$)/gy;

function matchesAny(list: string, etag: string | null, comparison: "strong" | "weak"): boolean {
  if (list === "*") return true;
  const isWeak = etag?.startsWith("W/") === true;
  if (etag === null || (isWeak && comparison === "strong")) return false;
  if (list === etag) return true;
  const own = isWeak ? etag.slice(2) : etag;
  for (const [, weak, opaque] of list.matchAll(ENTITY_TAG)) {
    if (opaque === own && (comparison === "weak" || weak === undefined)) return true;
  }
  return false;
}
