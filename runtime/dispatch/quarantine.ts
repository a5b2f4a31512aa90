import { BODY_FOLLOWS } from "../channel/messages.ts";
import type { Exchange } from "./exchange.ts";
import { computeFingerprint, type Fingerprint } from "./fingerprint.ts";

/** Most requests that are remembered. Beyond it the oldest mark goes, and the oldest condemned one after all marks. */
const LIMIT = 1_024;

/** Whoever is most likely why workers were lost is so by chance once, and not twice. */
const MOST_SUSPICIONS = 1;

/** Takes less than a millisecond to look at. */
const LONGEST_BODY_BYTES = 1024 * 1024;

/** What is known of requests with one fingerprint. */
interface Entry {
  url: string;
  /** Until then it is a suspect: it runs alone. */
  markedUntilMs: number;
  /** Until then it does not run at all; 0: it is not condemned. */
  quarantinedUntilMs: number;
  /** How often it was most likely why a worker was lost. */
  suspicions: number;
}

export type Standing =
  | { kind: "unknown" }
  | { kind: "suspect" }
  | { kind: "quarantined"; forMs: number };

const UNKNOWN: Standing = { kind: "unknown" };
const SUSPECT: Standing = { kind: "suspect" };

/**
 * Remembers requests that were in flight when a worker was lost by its own doing, and those that are known to be why.
 *
 *     unknown ──in flight when a worker went──▶ suspect ──alone when a worker went──▶ condemned ──time──▶ suspect
 *        ▲───────answered, or time────────────────┘ └─────struck twice─────────────────▲
 *
 * After its time a condemned one is tried once more, alone: it harms nobody else.
 */
export class Quarantine {
  readonly #durationMs: number;
  readonly #limit: number;
  /** In the order in which they were marked last. */
  readonly #entries = new Map<Fingerprint, Entry>();
  /** How many entries there are of each URL: most requests are told apart by it, without a look at their bodies. */
  readonly #urls = new Map<string, number>();

  /** @param options `durationMs`: how long anything is remembered; 0: nothing ever is. */
  constructor(options: { durationMs: number; limit?: number }) {
    this.#durationMs = options.durationMs;
    this.#limit = options.limit ?? LIMIT;
  }

  get enabled(): boolean {
    return this.#durationMs > 0;
  }

  /** How many are remembered; while it is 0 nobody needs to ask. */
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

  /** It was in flight when a worker was lost. */
  mark(exchange: Exchange, nowMs: number): void {
    this.#note(exchange, { markedUntilMs: nowMs + this.#durationMs });
  }

  /** It is most likely why a worker was lost, though it was not alone. Returns whether that is enough to condemn it. */
  noteSuspicion(exchange: Exchange, nowMs: number): boolean {
    this.#note(exchange, { markedUntilMs: nowMs + this.#durationMs, suspicions: 1 });
    const { fingerprint } = exchange;
    const entry = fingerprint === null ? undefined : this.#entries.get(fingerprint);
    return entry !== undefined && entry.suspicions > MOST_SUSPICIONS;
  }

  /** It is why a worker was lost. Returns for how long it is not run, in ms. */
  quarantine(exchange: Exchange, nowMs: number): number {
    const quarantinedUntilMs = nowMs + this.#durationMs;
    this.#note(exchange, {
      markedUntilMs: quarantinedUntilMs + this.#durationMs,
      quarantinedUntilMs,
    });
    return this.#durationMs;
  }

  /** It was answered: it is as good as any. */
  clear(exchange: Exchange): void {
    if (exchange.fingerprint !== null) this.#forget(exchange.fingerprint);
  }

  /** Forgets what is over. */
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
 * What an exchange is recognised by. Looks at its body once; from then on the body may go.
 *
 * @returns `null` when its body is not here as a whole: it would be taken for others with the same URL. Or when it is so
 *   large that to look at it would hold up all others.
 */
export function fingerprintOf(exchange: Exchange): Fingerprint | null {
  const { body, client, url } = exchange;
  if (exchange.fingerprint !== null || body === BODY_FOLLOWS) return exchange.fingerprint;
  if (body !== null && body.length > LONGEST_BODY_BYTES) return null;
  exchange.fingerprint = computeFingerprint({ method: client.head.method, url, body });
  return exchange.fingerprint;
}
