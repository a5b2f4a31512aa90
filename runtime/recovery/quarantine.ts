import { BODY_FOLLOWS } from "../channel/messages.ts";
import type { Exchange } from "../dispatch/exchange.ts";
import { computeFingerprint, type Fingerprint } from "./fingerprint.ts";

/** Most requests that a quarantine remembers. It forgets the oldest suspects first, and quarantined requests last. */
const LIMIT = 1_024;

/** One suspicion may be chance. A second one is not. */
const MOST_SUSPICIONS = 1;

/** A larger body is not hashed: hashing this many bytes takes less than a millisecond. */
const LONGEST_BODY_BYTES = 1024 * 1024;

/** The record of requests with one fingerprint. */
interface Entry {
  url: string;
  /** Until then the request is a suspect and runs alone. */
  markedUntilMs: number;
  /** Until then the request is refused; 0: it is not quarantined. */
  quarantinedUntilMs: number;
  /** How often the request was the most likely cause of a lost worker. */
  suspicions: number;
}

export type Standing =
  | { kind: "unknown" }
  | { kind: "suspect" }
  | { kind: "quarantined"; forMs: number };

const UNKNOWN: Standing = { kind: "unknown" };
const SUSPECT: Standing = { kind: "suspect" };

/**
 * Remembers suspects and quarantined requests. A suspect was in flight when a worker crashed. A quarantined request is
 * known to crash workers.
 *
 *     unknown ──in flight at a crash──▶ suspect ──alone at a crash──▶ quarantined ──time──▶ suspect
 *        ▲──answered, or time─────────────┘ └──────suspected twice─────────▲
 *
 * After its time, a quarantined request becomes a suspect: it runs once more, alone, where it harms no other request.
 */
export class Quarantine {
  readonly #durationMs: number;
  readonly #limit: number;
  /** Ordered by the time of the last change. */
  readonly #entries = new Map<Fingerprint, Entry>();
  /** Number of entries per URL. It rules out most requests without a look at their bodies. */
  readonly #urls = new Map<string, number>();

  /** @param options `durationMs`: how long the quarantine remembers a request; 0: it remembers none. */
  constructor(options: { durationMs: number; limit?: number }) {
    this.#durationMs = options.durationMs;
    this.#limit = options.limit ?? LIMIT;
  }

  get enabled(): boolean {
    return this.#durationMs > 0;
  }

  /** Number of remembered requests. While it is 0, callers need no look-up. */
  get size(): number {
    return this.#entries.size;
  }

  lookUp(exchange: Exchange, nowMs: number): Standing {
    if (!this.#urls.has(exchange.url)) return UNKNOWN;
    const fingerprint = fingerprintOf(exchange);
    const entry = fingerprint === null ? undefined : this.#entries.get(fingerprint);
    if (entry === undefined) return UNKNOWN;
    const forMs = entry.quarantinedUntilMs - nowMs;
    if (forMs > 0) return { kind: "quarantined", forMs };
    return entry.markedUntilMs > nowMs ? SUSPECT : UNKNOWN;
  }

  /** Notes that the exchange was in flight when a worker was lost. */
  mark(exchange: Exchange, nowMs: number): void {
    this.#note(exchange, { markedUntilMs: nowMs + this.#durationMs });
  }

  /**
   * Notes that the exchange is the most likely cause of a lost worker, though it was not alone there. Returns whether
   * that is enough for a quarantine.
   */
  noteSuspicion(exchange: Exchange, nowMs: number): boolean {
    this.#note(exchange, { markedUntilMs: nowMs + this.#durationMs, suspicions: 1 });
    const { fingerprint } = exchange;
    const entry = fingerprint === null ? undefined : this.#entries.get(fingerprint);
    return entry !== undefined && entry.suspicions > MOST_SUSPICIONS;
  }

  /** Quarantines an exchange that crashed its worker. Returns for how long it is refused, in ms. */
  quarantine(exchange: Exchange, nowMs: number): number {
    const quarantinedUntilMs = nowMs + this.#durationMs;
    this.#note(exchange, {
      markedUntilMs: quarantinedUntilMs + this.#durationMs,
      quarantinedUntilMs,
    });
    return this.#durationMs;
  }

  /** Forgets an exchange that was answered. */
  clear(exchange: Exchange): void {
    if (exchange.fingerprint !== null) this.#forget(exchange.fingerprint);
  }

  /** Forgets entries whose time is over. */
  expire(nowMs: number): void {
    for (const [fingerprint, { markedUntilMs }] of this.#entries) {
      if (markedUntilMs <= nowMs) this.#forget(fingerprint);
    }
  }

  #note(
    exchange: Exchange,
    news: { markedUntilMs: number; quarantinedUntilMs?: number; suspicions?: number },
  ): void {
    const fingerprint = this.enabled ? fingerprintOf(exchange) : null;
    if (fingerprint === null) return;
    const before = this.#entries.get(fingerprint);
    this.#forget(fingerprint);
    const { url } = exchange;
    this.#entries.set(fingerprint, {
      url,
      markedUntilMs: Math.max(news.markedUntilMs, before?.markedUntilMs ?? 0),
      quarantinedUntilMs: Math.max(news.quarantinedUntilMs ?? 0, before?.quarantinedUntilMs ?? 0),
      suspicions: (news.suspicions ?? 0) + (before?.suspicions ?? 0),
    });
    this.#urls.set(url, (this.#urls.get(url) ?? 0) + 1);
    if (this.#entries.size > this.#limit) this.#forget(this.#leastOfAll());
  }

  #leastOfAll(): Fingerprint {
    let first: Fingerprint | null = null;
    for (const [fingerprint, { quarantinedUntilMs }] of this.#entries) {
      if (quarantinedUntilMs === 0) return fingerprint;
      first ??= fingerprint;
    }
    if (first === null) throw new TypeError("nothing is remembered");
    return first;
  }

  #forget(fingerprint: Fingerprint): void {
    const entry = this.#entries.get(fingerprint);
    if (entry === undefined) return;
    this.#entries.delete(fingerprint);
    const left = (this.#urls.get(entry.url) ?? 1) - 1;
    if (left === 0) this.#urls.delete(entry.url);
    else this.#urls.set(entry.url, left);
  }
}

/**
 * Returns the fingerprint by which an exchange is recognised. Reads the body on the first call only: after that the
 * body may be dropped.
 *
 * @returns `null` when the whole body is not in memory: requests with the same URL would be mistaken for each other.
 *   Also `null` for a body so large that hashing it would delay all other requests.
 */
export function fingerprintOf(exchange: Exchange): Fingerprint | null {
  const { body, client, url } = exchange;
  if (exchange.fingerprint !== null || body === BODY_FOLLOWS) return exchange.fingerprint;
  if (body !== null && body.length > LONGEST_BODY_BYTES) return null;
  exchange.fingerprint = computeFingerprint({ method: client.head.method, url, body });
  return exchange.fingerprint;
}
