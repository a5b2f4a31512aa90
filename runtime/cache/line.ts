import { OwnClient } from "../http/own-client.ts";
import { addFilter, isSource, type Reply, toRefusal } from "../http/reply.ts";
import type { Responder } from "../http/responder.ts";
import { answerWith, type Answerable, toAnswerable } from "./answer-entry.ts";
import { formatCacheStatus, toCacheResult } from "./cache-status.ts";
import { announcedBytes, type Fetch, fill, noteFetch } from "./fetch.ts";
import { hasOwnWishes, toFetchHead } from "./fetch-head.ts";
import { currentAgeMs } from "./freshness.ts";
import type { CacheParts } from "./cache-parts.ts";
import { isUsableOnError } from "./reuse.ts";
import { resolveStorage } from "./storage.ts";
import type { EntryWriter, StoredEntry } from "./store.ts";
import type { StoredHead } from "./stored-head.ts";
import { resolveValidation, toConditions } from "./validation.ts";
import { varyValues } from "./vary-values.ts";
import type { Forward, Visit } from "./visit.ts";

export interface LineOptions {
  parts: CacheParts;
  /** The responder behind the cache. */
  inner: Responder;
  /** A tag of the answers' code; `null`: none. */
  version: string | null;
  /** Looks a visit up again: the answer that it waited for is not its own. */
  retry: (visit: Visit) => void;
  /** Called when an answer could not be stored, with the visit's key. */
  onRefused: () => void;
  /** Called once the line has no fetch and no waiting visitor. */
  onEmpty: () => void;
}

/**
 * The visitors that want one answer which is not in the store, and the fetches for them. One fetch is enough for all.
 *
 *     visitor ──▶ first: its request is fetched      ──▶ answered
 *            └──▶ later: waits ──answer is stored────▶ answered from it, also while its body is still coming
 *                          ├──answer is not for all──▶ its own request goes to the responder
 *                          ├──responder failed───────▶ a stale entry if it allows that, otherwise the same status
 *                          └──waited for too long────▶ the longest-waiting one is fetched, too; all wait for either
 *
 * Invariants:
 *
 * - There are at most as many fetches as the longest of them took in units of `waitMs`.
 * - The end of a visitor ends a fetch only when no other visitor waits and the fetch refreshes no entry.
 * - A failure gives each waiting visitor an answer. It never makes each of them ask. Exception: after
 *   `passThroughOnException()` another part of the site has answered, and its answer may be for one visitor. Each waiting
 *   visitor asks, and later ones do not wait.
 */
export class Line {
  readonly #options: LineOptions;
  /** Fetches without an answer so far. */
  readonly #asking = new Set<Fetch>();
  /** Fetches whose answer is being stored. */
  readonly #filling = new Set<Fetch>();
  readonly #waiting = new Set<Visit>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /** Takes responsibility for a visit. `stale`: an entry that may not be served without a question. */
  join(visit: Visit, why: Forward, stale: StoredEntry | null): void {
    for (const fetch of this.#filling) {
      if (!this.#fits(fetch, visit)) continue;
      if (fetch.filling?.isJoinable === true) this.#answerFrom(fetch, fetch.filling, visit, true);
      else this.#wait(visit);
      return;
    }
    if (this.#asking.size > 0) this.#wait(visit);
    else this.#fetchFor(visit, why, stale);
  }

  /** Fetches an entry anew, without a visitor that waits. The request is that of the visit. */
  refresh(visit: Visit, stale: StoredEntry): void {
    if (this.#asking.size > 0 || this.#filling.size > 0) return;
    this.#ask(visit, { leader: null, stale, why: { kind: "forward", reason: "stale" } });
  }

  /** Fetches for a visit that waits for no other one, and that no other one waits for. `stale`: as for `join`. */
  fetchAlone(visit: Visit, why: Forward, stale: StoredEntry | null): void {
    this.#fetchFor(visit, why, stale);
  }

  /** Notes that a purge may cover the answers that are under way. */
  outdate(): void {
    for (const fetch of this.#asking) fetch.isOutdated = true;
  }

  #fetchFor(visit: Visit, why: Forward, stale: StoredEntry | null): void {
    visit.client.onAbort(() => this.#leave(visit));
    this.#ask(visit, { leader: visit, stale, why });
  }

  #ask(visit: Visit, own: Pick<Fetch, "leader" | "stale" | "why">): void {
    const { parts, inner } = this.#options;
    const { target, key } = visit;
    const conditions = own.stale === null ? "" : toConditions(own.stale.head);
    const head = toFetchHead(visit.client.head, { target, key, conditions });
    const client = new OwnClient({
      id: parts.nextId(),
      head,
      isLogged: false,
      onReply: (reply) => this.#onReply(fetch, visit, reply),
    });
    const fetch: Fetch = {
      ...own,
      client,
      isBackground: own.leader === null,
      requestMs: parts.now(),
      isOutdated: false,
      filling: null,
    };
    this.#asking.add(fetch);
    this.#restartTimer();
    const fetched = { ...target, search: key.search };
    inner.answer(client, fetched);
  }

  #wait(visit: Visit): void {
    this.#waiting.add(visit);
    visit.client.onAbort(() => this.#leave(visit));
  }

  #leave(visit: Visit): void {
    visit.hasLeft = true;
    this.#waiting.delete(visit);
    for (const fetch of this.#asking) if (fetch.leader === visit) fetch.leader = null;
    this.#endUnwanted();
  }

  /** Ends fetches that no visitor waits for. */
  #endUnwanted(): void {
    if (this.#waiting.size > 0) return;
    for (const fetch of this.#asking) {
      if (fetch.leader !== null || fetch.isBackground) continue;
      this.#asking.delete(fetch);
      fetch.client.leave();
    }
    this.#settle();
  }

  #onReply(fetch: Fetch, visit: Visit, reply: Reply): void {
    this.#asking.delete(fetch);
    const { parts } = this.#options;
    const { stale, leader } = fetch;
    if (leader !== null) noteFetch(leader.client, fetch.client);
    const times = { requestMs: fetch.requestMs, receivedMs: parts.now() };
    const { policy } = visit;
    if (isOfStandIn(fetch, reply)) {
      // Stored, the answer would hide the handler. A 304 of a stand-in is not about the handler's entry.
      this.#options.onRefused();
      this.#pass(fetch, reply, "passed-on");
      this.#settle();
      return;
    }
    if (stale !== null) {
      const sent = { fields: fetch.client.head.fields };
      const validation = resolveValidation(stale.head, sent, reply, { policy, times });
      switch (validation.kind) {
        case "freshen":
          dropBody(reply);
          this.#freshen(fetch, stale, validation.head);
          this.#settle();
          return;
        case "serve-once":
          dropBody(reply);
          parts.store.delete(stale);
          this.#serveOnce(fetch, stale, { ...stale.head, fields: validation.fields });
          this.#settle();
          return;
        case "mismatch":
          dropBody(reply);
          parts.store.delete(stale);
          this.#ask(visit, { leader, stale: null, why: fetch.why });
          return;
        case "error":
          this.#fail(fetch, reply, stale);
          this.#settle();
          return;
        case "replace":
      }
    } else if (reply.status >= 500 || reply.status === 304) {
      this.#fail(fetch, reply.status === 304 ? toBadGateway(reply) : reply, null);
      this.#settle();
      return;
    }
    this.#take(fetch, visit, reply, times);
    this.#settle();
  }

  /** Stores an answer and gives it to all, or passes it to its visitor alone. */
  #take(
    fetch: Fetch,
    { policy, key }: Visit,
    reply: Reply,
    times: { requestMs: number; receivedMs: number },
  ): void {
    const { parts, version, onRefused } = this.#options;
    const { store } = parts;
    const { fields } = fetch.client.head;
    const storage = resolveStorage({ method: "GET", fields }, reply, { policy, times });
    if (storage.kind === "refuse") {
      onRefused();
      if (fetch.stale !== null) store.delete(fetch.stale);
      this.#pass(fetch, reply, storage.reason);
      return;
    }
    const head = withVersion(storage.head, version);
    const bodyBytes = announcedBytes(reply);
    const writer = fetch.isOutdated ? NO_WRITER : store.begin(key, { fields, bodyBytes });
    if (!writer.isStoring && !fetch.isOutdated) {
      onRefused();
      this.#pass(fetch, reply, "too-large");
      return;
    }
    const filling = fill(reply, head, { writer, onEnd: (entry) => this.#onFilled(fetch, entry) });
    fetch.filling = filling;
    this.#filling.add(fetch);
    const visits = this.#takeWaiting(fetch.leader);
    for (const visit of visits) {
      if (visit === fetch.leader || this.#fits(fetch, visit)) {
        this.#answerFrom(fetch, filling, visit, visit !== fetch.leader);
      } else this.#options.retry(visit);
    }
    filling.start();
  }

  #onFilled(fetch: Fetch, entry: StoredEntry | null): void {
    this.#filling.delete(fetch);
    // These came after the first bytes of a large body had left memory.
    if (this.#asking.size === 0)
      for (const visit of this.#takeWaiting(null)) this.#options.retry(visit);
    if (entry === null && this.#asking.size === 0) this.#options.onRefused();
    this.#settle();
  }

  /** Gives an answer that is not for all to its visitor. All others ask for themselves. */
  #pass(fetch: Fetch, reply: Reply, detail: string): void {
    const { leader } = fetch;
    const { inner } = this.#options;
    if (leader === null) dropBody(reply);
    else if (needsOwnAnswer(leader, reply)) {
      dropBody(reply);
      if (fetch.client.passedOn) leader.client.passedOn = false;
      passBy(leader, { ...fetch.why, detail });
      inner.answer(leader.client, leader.target);
    } else replyAs(leader, reply, { ...fetch.why, detail });
    for (const visit of this.#takeWaiting(null)) {
      passBy(visit, { kind: "forward", reason: "miss", detail });
      inner.answer(visit.client, visit.target);
    }
  }

  #freshen(fetch: Fetch, stale: StoredEntry, validated: StoredHead): void {
    const head = withVersion(validated, this.#options.version);
    const entry = this.#options.parts.store.freshen(stale, head) ?? stale;
    const found = toAnswerable(entry, head);
    const why: Forward = { ...fetch.why, status: 304 };
    this.#answerAll(fetch, found, why);
  }

  /** Answers the visitor of the fetch. All others ask for themselves: the answer is no longer for them. */
  #serveOnce(fetch: Fetch, stale: StoredEntry, head: StoredHead): void {
    const { leader } = fetch;
    if (leader !== null)
      this.#reply(leader, toAnswerable(stale, head), { ...fetch.why, status: 304 });
    for (const visit of this.#takeWaiting(null)) this.#options.retry(visit);
  }

  /** The responder failed: visitors get the stale entry if they may, otherwise the failure. */
  #fail(fetch: Fetch, reply: Reply, stale: StoredEntry | null): void {
    const { parts } = this.#options;
    const { leader } = fetch;
    const nowMs = parts.now();
    const mayServe = (visit: Visit): boolean =>
      stale !== null && isUsableOnError(stale.head, visit.directives, nowMs);
    const serve = (visit: Visit): void => {
      if (stale === null) return;
      const ttlSeconds = Math.floor(
        (stale.head.lifetimeMs - currentAgeMs(stale.head, nowMs)) / 1000,
      );
      const why: Forward = { ...fetch.why, status: reply.status, ttlSeconds };
      this.#reply(visit, toAnswerable(stale), why);
    };
    if (leader === null || mayServe(leader)) dropBody(reply);
    if (leader !== null) {
      if (mayServe(leader)) serve(leader);
      else replyAs(leader, reply, fetch.why);
    }
    // Another fetch may still bring the answer.
    if (this.#asking.size > 0) return;
    const retryAfter = Number(/^retry-after\n(\d{1,9})$/m.exec(reply.fields)?.[1]);
    const refusal = toRefusal(reply.status, Number.isInteger(retryAfter) ? retryAfter : undefined);
    for (const visit of this.#takeWaiting(null)) {
      if (mayServe(visit)) serve(visit);
      // The body of a failure may be about the visitor whose request was sent.
      else replyAs(visit, refusal, { ...fetch.why, isCollapsed: true });
    }
  }

  #answerAll(fetch: Fetch, found: Answerable, why: Forward): void {
    for (const visit of this.#takeWaiting(fetch.leader)) {
      const isCollapsed = visit !== fetch.leader;
      if (isCollapsed && !this.#fits(fetch, visit, found.head)) this.#options.retry(visit);
      else this.#reply(visit, found, isCollapsed ? { ...why, isCollapsed } : why);
    }
  }

  #answerFrom(fetch: Fetch, found: Answerable, visit: Visit, isCollapsed: boolean): void {
    const isStored = !fetch.isOutdated;
    const own: Forward = { ...fetch.why, isStored };
    this.#reply(visit, found, isCollapsed ? { ...own, isCollapsed } : own);
  }

  #reply(visit: Visit, found: Answerable, outcome: Forward): void {
    const { parts, retry } = this.#options;
    answerWith(visit.client, found, {
      outcome,
      nowMs: parts.now(),
      hitFields: parts.hitFields,
      onGone: () => retry(visit),
    });
  }

  /** Whether the answer of a fetch is also the answer to a visit: the fields that it varies by are the same. */
  #fits(fetch: Fetch, visit: Visit, head = fetch.filling?.head): boolean {
    if (head === undefined) return false;
    if (head.vary.length === 0) return true;
    const sent = varyValues(head.vary, fetch.client.head.fields);
    return sent === varyValues(head.vary, visit.client.head.fields);
  }

  /** Ends the wait of all visitors, and returns them after the given one. */
  #takeWaiting(first: Visit | null): Visit[] {
    const visits = [...(first === null ? [] : [first]), ...this.#waiting];
    this.#waiting.clear();
    // From here on, each gets its answer in this turn, or another part of the server looks after it.
    for (const { client } of visits) client.onAbort(() => {});
    return visits;
  }

  #restartTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#onLate(), this.#options.parts.waitMs());
    this.#timer.unref();
  }

  /** The fetches take long. Fetches once more, for all visitors that wait. */
  #onLate(): void {
    const [visit] = this.#waiting;
    if (visit === undefined) {
      this.#restartTimer();
      return;
    }
    this.#waiting.delete(visit);
    this.#fetchFor(visit, { kind: "forward", reason: "miss", detail: "late" }, null);
  }

  #settle(): void {
    if (this.#asking.size > 0) return;
    clearTimeout(this.#timer);
    if (this.#filling.size === 0 && this.#waiting.size === 0) this.#options.onEmpty();
  }
}

/** Makes the reply to a visit that goes to the responder itself name the reason. */
export function passBy({ client }: Pick<Visit, "client">, why: Forward): void {
  client.cached = toCacheResult(why);
  addFilter(client, (reply) => withStatus(reply, why));
}

function replyAs({ client }: Visit, reply: Reply, why: Forward): void {
  client.cached = toCacheResult(why);
  client.reply(withStatus(reply, why));
}

function withStatus(reply: Reply, why: Forward): Reply {
  const own = `cache-status\n${formatCacheStatus(why)}`;
  return { ...reply, fields: reply.fields === "" ? own : `${reply.fields}\n${own}` };
}

function withVersion(head: StoredHead, version: string | null): StoredHead {
  if (version === null || head.tags.includes(version)) return head;
  return Object.freeze({ ...head, tags: [...head.tags, version] });
}

/**
 * Tells whether a stand-in has answered in place of a handler that failed after `passThroughOnException()`. Errors of both
 * are alike, and so are answers 304 to requests without an entry of the cache.
 */
function isOfStandIn({ client, stale }: Fetch, { status }: Reply): boolean {
  return client.passedOn && status < 500 && (status !== 304 || stale !== null);
}

/** Tells whether the visitor asked for a part or with conditions, and its fetch did not, or the other way round. */
function needsOwnAnswer({ client: { head } }: Visit, { status }: Reply): boolean {
  return status === 304 || (head.method === "GET" && hasOwnWishes(head));
}

/** A request without conditions cannot have a 304: its visitors would get no body (RFC 9110 section 15.4.5). */
function toBadGateway(reply: Reply): Reply {
  dropBody(reply);
  return toRefusal(502);
}

function dropBody({ body }: Reply): void {
  if (isSource(body)) body.cancel();
}

/** Stores nothing. */
const NO_WRITER: EntryWriter = {
  isStoring: false,
  push: () => {},
  commit: (_, callback) => callback?.(null),
  abort: () => {},
};
