import type { Client } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import { addFilter } from "../http/reply.ts";
import type { Inquiry } from "../http/inquiry.ts";
import { lead, type Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { answerWith, toAnswerable } from "./answer-entry.ts";
import { splitPage, toKey } from "./cache-key.ts";
import type { CacheParts } from "./cache-parts.ts";
import { hasOwnWishes } from "./fetch-head.ts";
import { currentAgeMs } from "./freshness.ts";
import { resolveInvalidation } from "./invalidation.ts";
import { Line, passBy } from "./line.ts";
import { resolveAccess, resolveReuse } from "./reuse.ts";
import { isPersonal, type RoutePolicy } from "./route-policy.ts";
import type { StoredEntry } from "./store.ts";
import type { UnstoredKeys } from "./unstored-keys.ts";
import { toCanonicalEncodings } from "./vary-values.ts";
import type { Forward, Visit } from "./visit.ts";

export interface CachedResponderOptions {
  parts: CacheParts;
  policy: RoutePolicy;
  /** A tag for the answers of this version of the responder's code: answers of other versions are not used. `null`: all are. */
  version: string | null;
  /** Name of the responder, which is a part of the keys; `""`: no other responder answers for its URLs. */
  destination: string;
  /** The responder accepts WebSockets, so that it gets all requests for one. */
  acceptsWebSockets: boolean;
  /** Lines of all responders, by key. */
  lines: Map<string, Line>;
  unstored: UnstoredKeys;
  /** Removes the entries of these URLs. */
  invalidate: (urls: readonly string[]) => void;
}

/** A responder that answers from the cache where it can, and stores the answers of the responder behind it. */
export class CachedResponder implements Responder {
  readonly #inner: Responder;
  readonly #options: CachedResponderOptions;
  readonly #parts: CacheParts;

  constructor(inner: Responder, options: CachedResponderOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#parts = options.parts;
  }

  answer(client: Client, target: ParsedTarget): void {
    // The answer is a connection, or the upstream's reason why there is none.
    if (this.#options.acceptsWebSockets && (client.webSocket ?? null) !== null) {
      this.#inner.answer(client, target);
      return;
    }
    const visit = this.#toVisit(client, target);
    if (visit === null) this.#bypass(client, target);
    else this.#lookUp(visit);
  }

  /** Returns the visit of a request; `null`: the cache does not concern it. */
  #toVisit(client: Client, target: ParsedTarget): Visit | null {
    const { policy: policies, destination } = this.#options;
    const { method, fields, origin, bodyBytes } = client.head;
    const isOwn = policies.personal !== null && isPersonal(client.head, policies.shared.cookies);
    const policy = isOwn ? (policies.personal ?? policies.shared) : policies.shared;
    const access = resolveAccess(method, fields, policy);
    if (access.kind === "bypass" || bodyBytes !== 0) return null;
    const { pathname, search } = target;
    const shared = toKey({ origin, pathname, search, fields }, policy);
    const suffix = isOwn ? destination + OWN : destination;
    const key = suffix === "" ? shared : { ...shared, cookies: `${shared.cookies}\n${suffix}` };
    const { directives } = access;
    return { client, target, key, policy, directives, hasLeft: false };
  }

  /** Describes the use of the cache: looks the request up, and fetches nothing. */
  explain(client: Client, target: ParsedTarget, inquiry: Inquiry): void {
    const { shared } = this.#options.policy;
    const fact = {
      kind: "cache",
      url: client.head.origin + target.pathname + target.search,
      cookies: shared.cookies,
      isPersonal: isPersonal(client.head, shared.cookies),
      ageMs: null,
      lifetimeMs: null,
    } as const;
    const visit = this.#toVisit(client, target);
    if (visit === null) {
      inquiry.tell({ ...fact, result: "bypass" });
      lead(this.#inner, client, target);
      return;
    }
    const { key, directives } = visit;
    const url = splitPage(key.page).url + key.search;
    const decide = (entry: StoredEntry | null): void => {
      const { version } = this.#options;
      const isOfVersion = version === null || entry?.head.tags.includes(version) === true;
      const nowMs = this.#parts.now();
      if (entry === null || !isOfVersion) {
        inquiry.tell({ ...fact, url, result: "miss" });
        if (directives?.onlyIfCached === true) client.refuse(504);
        else lead(this.#inner, client, target);
        return;
      }
      const reuse = resolveReuse(entry.head, directives, nowMs);
      const result =
        reuse === "serve" ? "hit" : reuse === "serve-and-refresh" ? "stale" : "validate";
      const { lifetimeMs } = entry.head;
      inquiry.tell({ ...fact, url, result, ageMs: currentAgeMs(entry.head, nowMs), lifetimeMs });
      if (reuse === "unavailable") client.refuse(504);
      else if (reuse === "validate") lead(this.#inner, client, target);
      else {
        const { hitFields } = this.#parts;
        const onGone = (): void => lead(this.#inner, client, target);
        answerWith(client, toAnswerable(entry), { outcome: null, nowMs, hitFields, onGone });
      }
    };
    const found = this.#parts.store.find(key, client.head.fields);
    if (found === null || found.isLoaded) decide(found);
    else found.load(decide);
  }

  #lookUp(visit: Visit): void {
    if (visit.hasLeft) return;
    const { client, key } = visit;
    const found = this.#parts.store.find(key, client.head.fields);
    if (found === null) this.#miss(visit);
    else if (found.isLoaded) this.#use(visit, found);
    else {
      client.onAbort(() => {
        visit.hasLeft = true;
      });
      found.load((entry) => {
        if (visit.hasLeft) return;
        if (entry === null) this.#miss(visit);
        else this.#use(visit, entry);
      });
    }
  }

  #use(visit: Visit, entry: StoredEntry): void {
    const { version } = this.#options;
    if (version !== null && !entry.head.tags.includes(version)) {
      this.#miss(visit);
      return;
    }
    const nowMs = this.#parts.now();
    const { client, directives } = visit;
    const reuse = resolveReuse(entry.head, directives, nowMs);
    switch (reuse) {
      case "serve":
      case "serve-and-refresh":
        answerWith(client, toAnswerable(entry), {
          outcome: null,
          nowMs,
          hitFields: this.#parts.hitFields,
          onGone: () => this.#miss(visit),
        });
        if (reuse === "serve-and-refresh") this.#lineOf(this.#idOf(visit)).refresh(visit, entry);
        return;
      case "validate":
        this.#validate(visit, entry);
        return;
      case "unavailable":
        client.refuse(504);
    }
  }

  #validate(visit: Visit, entry: StoredEntry): void {
    const why: Forward = { kind: "forward", reason: "stale" };
    const id = this.#idOf(visit);
    if (this.#mayWait(id)) this.#lineOf(id).join(visit, why, entry);
    else this.#ownLine(id).fetchAlone(visit, why, entry);
  }

  #miss(visit: Visit): void {
    const why: Forward = { kind: "forward", reason: "miss" };
    const { client, target } = visit;
    if (visit.directives?.onlyIfCached === true) {
      client.refuse(504);
      return;
    }
    const id = this.#idOf(visit);
    if (this.#mayWait(id)) this.#lineOf(id).join(visit, why, null);
    else if (hasOwnWishes(client.head)) {
      passBy(visit, why);
      this.#inner.answer(client, target);
    } else this.#ownLine(id).fetchAlone(visit, why, null);
  }

  #idOf(visit: Visit): string {
    return lineKey(visit, this.#options.version);
  }

  /** Tells whether visits of a line may wait for each other: its last answer was for all. */
  #mayWait(id: string): boolean {
    return !this.#options.unstored.has(id, this.#parts.now());
  }

  #lineOf(id: string): Line {
    return this.#options.lines.get(id) ?? this.#addLine(id, id);
  }

  /** Returns a line that no other visit joins. It is among the others, so that a purge finds it. */
  #ownLine(id: string): Line {
    return this.#addLine(`${id}\n${this.#parts.nextId()}`, id);
  }

  #addLine(name: string, id: string): Line {
    const { version, unstored, lines } = this.#options;
    const parts = this.#parts;
    const line = new Line({
      parts,
      inner: this.#inner,
      version,
      retry: (other) => this.#lookUp(other),
      onRefused: () => unstored.add(id, parts.now()),
      onEmpty() {
        if (lines.get(name) === line) lines.delete(name);
      },
    });
    lines.set(name, line);
    return line;
  }

  /** Lets the responder answer, and removes the entries that the answer makes invalid (RFC 9111 section 4.4). */
  #bypass(client: Client, target: ParsedTarget): void {
    const { method, origin } = client.head;
    const isSafe = method === "GET" || method === "HEAD" || method === "OPTIONS";
    if (isSafe) passBy({ client }, { kind: "forward", reason: "bypass" });
    else {
      const url = origin + target.pathname + target.search;
      addFilter(client, (reply) => {
        const urls = resolveInvalidation({ method, url }, reply);
        if (urls.length > 0) this.#options.invalidate(urls);
        return reply;
      });
      passBy({ client }, { kind: "forward", reason: "method" });
    }
    this.#inner.answer(client, target);
  }
}

/** Ends the cookies of a key for personal requests. A cookie has no line break, and a destination no space. */
const OWN = " own";

/**
 * Returns the name of a line: visitors with other codings get other answers, and visitors after a reload do not wait for
 * an answer of earlier code.
 */
function lineKey({ key, client }: Visit, version: string | null): string {
  const encodings = findField(client.head.fields, "accept-encoding");
  const codings = encodings === undefined ? "-" : toCanonicalEncodings(encodings);
  return `${key.page}\n${key.search}\n${key.cookies}\n${codings}\n${version ?? ""}`;
}
