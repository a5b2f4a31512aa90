import { findField } from "../http/find-field.ts";
import type { CacheKey } from "./cache-key.ts";
import { toKey } from "./cache-key.ts";
import { type EntryAnswer, resolveEntryAnswer } from "./entry-answer.ts";
import { currentAgeMs } from "./freshness.ts";
import { withAge } from "./hit-fields.ts";
import { type CachePolicy, DEFAULT_POLICY } from "./policy.ts";
import { resolveReuse } from "./reuse.ts";
import { type FetchedAnswer, type Refusal, resolveStorage } from "./storage.ts";
import type { StoredHead } from "./stored-head.ts";

/**
 * Decisions of the caches that handlers use by themselves: `caches.default` and `caches.open(name)`. Each is a space of
 * entries in the one store. None of these functions has a clock or a store.
 */

const MARK = "caches:";

/**
 * Returns the space of a cache.
 *
 * @param site Name of the site whose handlers use it. Other sites have other caches of the same name.
 * @param name As in `caches.open`; `null`: `caches.default`. Well-formed.
 */
export function toSpace(site: string, name: string | null): string {
  const own = `${MARK}${encodeURIComponent(site)}`;
  return name === null ? own : `${own}:${encodeURIComponent(name)}`;
}

/** Returns the name of the site that a space belongs to; `null`: the space is no cache of handlers. */
export function siteOfSpace(space: string): string | null {
  if (!space.startsWith(MARK)) return null;
  const [site = ""] = space.slice(MARK.length).split(":", 1);
  return decodeURIComponent(site);
}

/** Returns the key of a URL in a space; `null`: the text is no URL of http or https. */
export function toNamedKey(url: string, space: string): CacheKey | null {
  if (!URL.canParse(url)) return null;
  const { origin, pathname, search, protocol } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") return null;
  return toKey({ origin, pathname, search, fields: "" }, DEFAULT_POLICY, space);
}

const MINUTE_MS = 60_000;

/** Times of answers that state none themselves: those of Cloudflare, whose Workers brought this interface. */
const POLICY: CachePolicy = Object.freeze({
  ...DEFAULT_POLICY,
  obeysClients: false,
  ttlMsByStatus: new Map([
    [200, 120 * MINUTE_MS],
    [301, 120 * MINUTE_MS],
    [302, 20 * MINUTE_MS],
    [303, 20 * MINUTE_MS],
    [404, 3 * MINUTE_MS],
    [410, 3 * MINUTE_MS],
  ]),
});

/** The end of a `put`: the head to store, or why the answer is not stored. */
export type PutDecision = { kind: "store"; head: StoredHead } | { kind: "refuse"; reason: Refusal };

/**
 * Decides whether the answer of a `put` is stored. The rules are those of all answers (`storage.ts`). In addition the
 * answer must be fresh: no validation ever renews it.
 *
 * @param answer.fields Field block of the answer; `requestFields`: that of the request which the handler named.
 * @param options.codeTag Tag of the handler's code, which is added to those of the answer; `null`: none.
 */
export function resolvePut(
  answer: FetchedAnswer & { requestFields: string },
  { nowMs, codeTag }: { nowMs: number; codeTag: string | null },
): PutDecision {
  const times = { requestMs: nowMs, receivedMs: nowMs };
  const request = { method: "GET", fields: answer.requestFields };
  const storage = resolveStorage(request, answer, { policy: POLICY, times });
  if (storage.kind === "refuse") return storage;
  const { head } = storage;
  if (head.alwaysValidate || currentAgeMs(head, nowMs) >= head.lifetimeMs) {
    return { kind: "refuse", reason: "no-lifetime" };
  }
  if (codeTag === null) return storage;
  return { kind: "store", head: Object.freeze({ ...head, tags: [...head.tags, codeTag] }) };
}

/**
 * Returns the answer of a `match`: whole, in part, or 304 by the conditions of the request. Its fields have `age`,
 * `cache-status` and the size of its body.
 *
 * @param options.codeTags Tags of the code that serves; an entry needs one of them. `null`: it needs none.
 * @returns `null`: the entry is stale, or of other code.
 */
export function resolveMatch(
  head: StoredHead,
  requestFields: string,
  { nowMs, codeTags }: { nowMs: number; codeTags: ReadonlySet<string> | null },
): EntryAnswer | null {
  if (codeTags !== null && !head.tags.some((tag) => codeTags.has(tag))) return null;
  if (resolveReuse(head, null, nowMs) !== "serve") return null;
  const request = {
    method: "GET",
    field: (name: string): string | undefined => findField(requestFields, name),
  };
  const answer = resolveEntryAnswer(head, request, nowMs);
  const fields = withAge(answer.fields, head, nowMs);
  // RFC 9110 section 8.6: none with 204.
  if (answer.body === null || answer.status === 204) return { ...answer, fields };
  return { ...answer, fields: `${fields}\ncontent-length\n${answer.body.lengthBytes}` };
}
