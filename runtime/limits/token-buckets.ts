import type { Rate } from "../lib/rate.ts";

/** Most keys of one table. Each takes about 200 bytes. */
const MOST_KEYS = 65_536;

/** Number of lists into which the table sorts its buckets, by the time at which they are full again. */
const SLOTS = 64;

/** Most tokens that a bucket may owe: in bursts, and in time, whichever is more. Servers hear of each other in less. */
const MOST_DEBT_BURSTS = 3;
const MOST_DEBT_MS = 1_000;

/** Most full buckets that one request removes, so that no request pays for many. */
const REMOVED_AT_ONCE = 2;

/** Rounding errors of the refill are smaller. */
const EPSILON = 1e-9;

/** The answer of a table for one request. */
export interface Taking {
  /** The bucket had a token, and the request took it. */
  readonly isAllowed: boolean;
  /** Whole tokens that are left, at least 0. */
  readonly left: number;
  /** Time until the bucket has its next token if it has none, otherwise until it is full. */
  readonly waitMs: number;
}

/** A list node. A list without buckets consists of its head only. */
interface Node {
  before: Node;
  after: Node;
}

interface Bucket extends Node {
  readonly key: string;
  tokens: number;
  /** Time to which `tokens` belongs. */
  atMs: number;
}

/**
 * Token buckets by key. Each bucket begins with `burst` tokens, each request takes one, and `rate` refills it. Requests at
 * other servers may leave it with a debt.
 *
 * A full bucket says the same as no bucket. The table therefore keeps a bucket only until it is full again. When the
 * table is full, it drops the bucket that will be full first: its client has used the least. Both take constant time:
 * the buckets are in a ring of lists, each for a span of times at which buckets are full again.
 *
 *     full ◀─ expired list ◀── ring: [now, now + w) [now + w, now + 2w) ... up to (burst + debt) / rate from now
 *
 * Invariant: each bucket is in exactly one list.
 */
export class TokenBuckets {
  readonly burst: number;
  readonly rate: Rate;
  /** Time in which one token arrives. */
  readonly #tokenMs: number;
  /** Most tokens that a bucket may owe. */
  readonly #mostDebt: number;
  /** Span of time of one list of the ring. */
  readonly #slotMs: number;
  readonly #mostKeys: number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #ring: readonly Node[] = Array.from({ length: SLOTS }, createHead);
  readonly #expired: Node = createHead();
  /** Number of the first span that has not passed. */
  #firstSlot = 0;

  constructor({
    rate,
    burst,
    mostKeys = MOST_KEYS,
  }: {
    rate: Rate;
    burst: number;
    mostKeys?: number;
  }) {
    this.rate = rate;
    this.burst = burst;
    this.#mostKeys = mostKeys;
    this.#tokenMs = rate.windowMs / rate.requests;
    this.#mostDebt = Math.max(MOST_DEBT_BURSTS * burst, MOST_DEBT_MS / this.#tokenMs);
    // Two spans less than the ring has: the span that has begun, and the span of the bucket with the most debt now.
    this.#slotMs = ((burst + this.#mostDebt) * this.#tokenMs) / (SLOTS - 2);
  }

  /** The number of buckets, including full ones that are not removed yet. */
  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Takes a token from the bucket of a key, if it has one.
   *
   * @param nowMs Monotonic time. Earlier than that of the last call counts as the same time.
   */
  take(key: string, nowMs: number): Taking {
    this.#expire(nowMs);
    const bucket = this.#buckets.get(key) ?? this.#add(key, nowMs);
    const tokens = this.#refill(bucket, nowMs);
    const isAllowed = tokens >= 1 - EPSILON;
    if (isAllowed) bucket.tokens = Math.max(0, tokens - 1);
    this.#place(bucket);
    const left = Math.max(0, Math.floor(bucket.tokens + EPSILON));
    const missing = left === 0 ? 1 - bucket.tokens : this.burst - bucket.tokens;
    return { isAllowed, left, waitMs: missing * this.#tokenMs };
  }

  /**
   * Takes tokens for requests that another server has admitted. The bucket may owe them.
   *
   * @param nowMs As for `take`.
   */
  owe(key: string, { count, nowMs }: { count: number; nowMs: number }): void {
    this.#expire(nowMs);
    const bucket = this.#buckets.get(key) ?? this.#add(key, nowMs);
    bucket.tokens = Math.max(-this.#mostDebt, this.#refill(bucket, nowMs) - count);
    this.#place(bucket);
  }

  /** Returns the answer of `take` without taking: `left` counts the token that a request would take. */
  peek(key: string, nowMs: number): Taking {
    const { tokens: before, atMs } = this.#buckets.get(key) ?? { tokens: this.burst, atMs: nowMs };
    const tokens = Math.min(this.burst, before + Math.max(0, nowMs - atMs) / this.#tokenMs);
    const isAllowed = tokens >= 1 - EPSILON;
    const left = Math.max(0, Math.floor(tokens + EPSILON));
    const missing = isAllowed ? this.burst - tokens : 1 - tokens;
    return { isAllowed, left, waitMs: missing * this.#tokenMs };
  }

  /** Adds the tokens that have arrived since the last time, and returns their number. */
  #refill(bucket: Bucket, nowMs: number): number {
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.tokens = Math.min(this.burst, bucket.tokens + passedMs / this.#tokenMs);
    bucket.atMs = Math.max(bucket.atMs, nowMs);
    return bucket.tokens;
  }

  #add(key: string, nowMs: number): Bucket {
    if (this.#buckets.size >= this.#mostKeys) this.#removeFullest();
    const bucket = { key, tokens: this.burst, atMs: nowMs } as Bucket;
    bucket.before = bucket.after = bucket;
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** Moves a bucket to the list of the time at which it is full. */
  #place(bucket: Bucket): void {
    unlink(bucket);
    const fullMs = bucket.atMs + (this.burst - bucket.tokens) * this.#tokenMs;
    const slot = Math.max(this.#firstSlot, Math.floor(fullMs / this.#slotMs));
    insertBefore(this.#headOf(slot), bucket);
  }

  /** Moves lists whose time has passed to the list of full buckets, and removes a few of those. */
  #expire(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs);
    if (slot > this.#firstSlot) {
      const passed = Math.min(slot - this.#firstSlot, SLOTS);
      for (let each = 0; each < passed; each++) {
        moveAll(this.#headOf(this.#firstSlot + each), this.#expired);
      }
      this.#firstSlot = slot;
    }
    for (let each = 0; each < REMOVED_AT_ONCE; each++) {
      if (this.#expired.after === this.#expired) return;
      this.#remove(this.#expired.after);
    }
  }

  #removeFullest(): void {
    for (let each = -1; each < SLOTS; each++) {
      const head = each === -1 ? this.#expired : this.#headOf(this.#firstSlot + each);
      if (head.after === head) continue;
      this.#remove(head.after);
      return;
    }
  }

  #remove(node: Node): void {
    unlink(node);
    // Every node of a list but its head is a bucket.
    this.#buckets.delete((node as Bucket).key);
  }

  #headOf(slot: number): Node {
    const head = this.#ring[slot % SLOTS];
    if (head === undefined) throw new TypeError(`no slot ${slot}`);
    return head;
  }
}

function createHead(): Node {
  const head = {} as Node;
  head.before = head.after = head;
  return head;
}

function unlink(node: Node): void {
  node.before.after = node.after;
  node.after.before = node.before;
  node.before = node.after = node;
}

function insertBefore(head: Node, node: Node): void {
  node.before = head.before;
  node.after = head;
  head.before.after = node;
  head.before = node;
}

/** Appends all nodes of a list to another list. */
function moveAll(from: Node, to: Node): void {
  if (from.after === from) return;
  const { after: first, before: last } = from;
  from.after = from.before = from;
  first.before = to.before;
  to.before.after = first;
  last.after = to;
  to.before = last;
}
