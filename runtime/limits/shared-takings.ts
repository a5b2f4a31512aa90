import { type Taking, TokenBuckets } from "./token-buckets.ts";

/** Tokens that requests took from the buckets of one limit: its name, then keys with their numbers. Plain data. */
export type LimitTakings = readonly [limit: string, taken: readonly (readonly [string, number])[]];

/** Time for which takings are gathered. Other servers hear of a taking up to this much later. */
const GATHER_MS = 100;

/** Most keys of one message. */
const MOST_KEYS = 10_000;

export interface SharedTakingsOptions {
  /** Tells the other servers. */
  send: (takings: readonly LimitTakings[]) => void;
  /** Returns the state of a limit of this server (`lib/kept-states.ts`), or anything else for another name. */
  find: (limit: string) => unknown;
  /** Monotonic time, as that of requests. */
  now: () => number;
}

/**
 * Makes the rate limits of several servers act as one. Each server decides by its own buckets, and tells the others
 * of each token that a request has taken. They take the same tokens from their buckets.
 *
 * A request therefore never waits for another server. Within `GATHER_MS`, each server may admit all that its bucket holds.
 * Together they then owe tokens, and admit less until the debt is paid. Without the others, a server limits alone.
 */
export class SharedTakings {
  readonly #options: SharedTakingsOptions;
  #isOn = false;
  #gathered = new Map<string, Map<string, number>>();
  #keys = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: SharedTakingsOptions) {
    this.#options = options;
  }

  /** Whether there are other servers to tell. */
  set isOn(isOn: boolean) {
    this.#isOn = isOn;
    if (!isOn) this.#forget();
  }

  /**
   * Takes a token from a bucket of a limit, and tells the others.
   *
   * @param limit Names the limit. It is the same on all servers.
   */
  take(limit: string, buckets: TokenBuckets, { key, nowMs }: TakingRequest): Taking {
    const taking = buckets.take(key, nowMs);
    if (this.#isOn && taking.isAllowed) this.#note(limit, key);
    return taking;
  }

  /** Takes the tokens that requests took at another server. */
  apply(takings: readonly LimitTakings[]): void {
    const { find, now } = this.#options;
    const nowMs = now();
    for (const [limit, taken] of takings) {
      const buckets = find(limit);
      // The other server may have another config.
      if (!(buckets instanceof TokenBuckets)) continue;
      for (const [key, count] of taken) buckets.owe(key, { count, nowMs });
    }
  }

  /** Tells the others of all takings so far. */
  flush(): void {
    const gathered = this.#gathered;
    this.#forget();
    if (gathered.size === 0) return;
    this.#options.send([...gathered].map(([limit, taken]) => [limit, [...taken]]));
  }

  #note(limit: string, key: string): void {
    const taken = this.#gathered.get(limit) ?? new Map<string, number>();
    this.#gathered.set(limit, taken);
    const before = taken.get(key) ?? 0;
    taken.set(key, before + 1);
    if (before === 0) this.#keys++;
    if (this.#keys >= MOST_KEYS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MS).unref();
  }

  #forget(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#gathered = new Map();
    this.#keys = 0;
  }
}

/** A request as a limit sees it. */
export interface TakingRequest {
  /** The text under which the limit counts it (`limit-key.ts`). */
  readonly key: string;
  /** The time at which it was received. Monotonic. */
  readonly nowMs: number;
}
