import type { FieldOf } from "../http/conditional.ts";
import { findField } from "../http/find-field.ts";
import { formatBlock, parseBlock } from "../http/field-block.ts";
import { parseHttpDate } from "../http/http-date.ts";
import { parseRequestDirectives, type ResponseDirectives } from "./directives.ts";
import { toInitialAge, toLifetime } from "./freshness.ts";
import type { CachePolicy } from "./policy.ts";
import type { StoredHead } from "./stored-head.ts";
import { parseTags } from "./tags.ts";
import { findDirectives } from "./targeted-control.ts";
import { parseVary } from "./vary-values.ts";

/** The request that an answer belongs to, as the responder got it. */
export interface FetchedRequest {
  method: string;
  /** Field block. */
  fields: string;
}

export interface FetchedAnswer {
  status: number;
  statusText: string;
  /** Field block. */
  fields: string;
}

/** When the request was given to the responder, and when the head of its answer arrived. Wall clock. */
export interface FetchTimes {
  requestMs: number;
  receivedMs: number;
}

export type Storage =
  | { kind: "store"; head: StoredHead }
  /** `reason`: why the answer is not stored, a token for `cache-status`. */
  | { kind: "refuse"; reason: Refusal };

export type Refusal =
  | "method"
  | "status"
  | "partial"
  | "request-no-store"
  | "no-store"
  | "private"
  | "authorization"
  | "set-cookie"
  | "vary"
  | "no-lifetime";

/**
 * Decides whether an answer may be stored in a shared cache, and with which head (RFC 9111 section 3).
 *
 * Two kinds of answers are refused that the RFC would allow: those with `set-cookie`, unless `private` or `no-cache`
 * names the field, and those that could never be used again, since they are stale at once and have no validator.
 */
export function resolveStorage(
  request: FetchedRequest,
  answer: FetchedAnswer,
  { policy, times }: { policy: CachePolicy; times: FetchTimes },
): Storage {
  const field: FieldOf = (name) => findField(answer.fields, name);
  const found = findDirectives(field, policy.targets);
  const { directives } = found;
  const reason =
    findRefusal(request, answer, { directives, field, policy }) ??
    (hasSetCookie(field, directives) ? "set-cookie" : null);
  if (reason !== null) return { kind: "refuse", reason };
  const vary = parseVary(field("vary"));
  if (vary === null) return { kind: "refuse", reason: "vary" };
  const { status, statusText } = answer;
  const lifetime = toLifetime({ status, field, found }, { policy, receivedMs: times.receivedMs });
  const fields = toStoredFields(answer.fields, directives);
  const alwaysValidate = directives.noCache === "all";
  const head: StoredHead = {
    status,
    statusText,
    fields,
    bodyBytes: 0,
    etag: toEtag(findField(fields, "etag")),
    lastModified: toDate(findField(fields, "last-modified"), times.receivedMs),
    receivedMs: times.receivedMs,
    initialAgeMs: toInitialAge(field("age"), times),
    lifetimeMs: lifetime.ms,
    ...toStaleTimes(directives, policy),
    mustRevalidate: directives.mustRevalidate || directives.proxyRevalidate,
    alwaysValidate,
    isImmutable: directives.isImmutable,
    vary,
    tags: parseTags(field("cache-tag"), field("surrogate-key")),
  };
  const isUseful =
    head.etag !== null ||
    head.lastModified !== null ||
    (!alwaysValidate &&
      head.lifetimeMs + Math.max(head.staleWhileRevalidateMs, head.staleIfErrorMs) >
        head.initialAgeMs);
  if (lifetime.from === "none" || !isUseful) return { kind: "refuse", reason: "no-lifetime" };
  return { kind: "store", head: Object.freeze(head) };
}

interface Found {
  directives: ResponseDirectives;
  field: FieldOf;
  policy: CachePolicy;
}

function findRefusal(
  request: FetchedRequest,
  answer: FetchedAnswer,
  { directives, field, policy }: Found,
): Refusal | null {
  if (request.method !== "GET") return "method";
  const { status } = answer;
  // Parts are not stored: the whole is fetched on a miss (section 3.3). A 304 has no content of its own.
  if (status === 206 || field("content-range") !== undefined) return "partial";
  if (status < 200 || status === 304) return "status";
  // A cache that knows the status ignores `no-store` next to `must-understand` (section 5.2.2.3).
  if (directives.mustUnderstand ? !UNDERSTOOD.has(status) : directives.noStore) return "no-store";
  if (policy.obeysClients && asksNotToStore(request.fields)) return "request-no-store";
  if (directives.isPrivate === "all") return "private";
  const isShareable =
    directives.isPublic || directives.mustRevalidate || directives.sMaxAge !== null;
  // Section 3.5.
  if (!isShareable && findField(request.fields, "authorization") !== undefined) {
    return "authorization";
  }
  return null;
}

function asksNotToStore(fields: string): boolean {
  return parseRequestDirectives(findField(fields, "cache-control"))?.noStore === true;
}

/** Status codes whose rules for caches this cache knows (RFC 9110 section 15). */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 421, 451, 500, 501, 502, 503,
  504,
]);

function hasSetCookie(field: FieldOf, directives: ResponseDirectives): boolean {
  return field("set-cookie") !== undefined && !isNamed("set-cookie", directives);
}

function isNamed(name: string, { isPrivate, noCache }: ResponseDirectives): boolean {
  return (
    (typeof isPrivate !== "string" && isPrivate.includes(name)) ||
    (typeof noCache !== "string" && noCache.includes(name))
  );
}

/** Fields that are not stored (RFC 9111 section 3.1), and `age`, which each use of the entry writes anew. */
const NOT_STORED: ReadonlySet<string> = new Set([
  "age",
  "connection",
  "content-length",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Returns the fields that may be stored. Names become lower case. */
export function toStoredFields(block: string, directives: ResponseDirectives): string {
  const connection = new Set(
    (findField(block, "connection") ?? "").split(",").map((name) => name.trim().toLowerCase()),
  );
  const kept = parseBlock(block)
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(
      ([name]) =>
        !NOT_STORED.has(name) &&
        !connection.has(name) &&
        // `must-revalidate` and the like never name a field; only the two scopes do (sections 5.2.2.4, 5.2.2.7).
        !isNamed(name, directives),
    );
  return formatBlock(kept);
}

/** Returns a well-formed entity tag, otherwise `null` (RFC 9110 section 8.8.3). */
function toEtag(value: string | undefined): string | null {
  return value !== undefined && /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/.test(value) ? value : null;
}

function toDate(value: string | undefined, nowMs: number): string | null {
  return value !== undefined && parseHttpDate(value, nowMs) !== null ? value : null;
}

/**
 * Times of RFC 5861. A default of the policy does not count for answers that forbid stale use; one of the answer's own
 * counts with `s-maxage` too: an author that writes both in one field means both.
 */
function toStaleTimes(
  directives: ResponseDirectives,
  policy: CachePolicy,
): Pick<StoredHead, "staleWhileRevalidateMs" | "staleIfErrorMs"> {
  const isForbidden =
    directives.mustRevalidate || directives.proxyRevalidate || directives.noCache === "all";
  if (isForbidden) return { staleWhileRevalidateMs: 0, staleIfErrorMs: 0 };
  // `s-maxage` means `proxy-revalidate` for a shared cache (RFC 9111 section 5.2.2.10).
  const isSilent = directives.sMaxAge === null;
  const { staleWhileRevalidate, staleIfError } = directives;
  return {
    staleWhileRevalidateMs: toMs(
      staleWhileRevalidate,
      isSilent ? policy.staleWhileRevalidateMs : 0,
    ),
    staleIfErrorMs: toMs(staleIfError, isSilent ? policy.staleIfErrorMs : 0),
  };
}

function toMs(seconds: number | null, otherwiseMs: number): number {
  return seconds === null ? otherwiseMs : seconds * 1000;
}
