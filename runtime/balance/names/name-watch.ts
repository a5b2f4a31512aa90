import type { NameQuery, Resolution, ResolvedAddress, ResolveName } from "./resolve-name.ts";

/** Bounds for the time that addresses hold, against records with extreme values. */
const LEAST_TTL_MS = 1000;
const MOST_TTL_MS = 5 * 60_000;

/** How long addresses hold whose records say nothing: those of the file of hosts, and of services. */
const USUAL_TTL_MS = 30_000;

/** Time to the next attempt after the first failure in a row; each further time twice as long. */
const FIRST_RETRY_MS = 1000;
const MOST_RETRY_MS = 30_000;

/** Returns the time until a name is resolved again. Pure. */
export function nextResolveMs(
  outcome:
    | { readonly ok: true; readonly ttlMs: number | null }
    | { readonly ok: false; readonly failures: number },
): number {
  if (!outcome.ok) return Math.min(FIRST_RETRY_MS * 2 ** (outcome.failures - 1), MOST_RETRY_MS);
  return Math.min(Math.max(outcome.ttlMs ?? USUAL_TTL_MS, LEAST_TTL_MS), MOST_TTL_MS);
}

export interface NameWatchOptions {
  query: NameQuery;
  resolve: ResolveName;
  /** The addresses have changed. */
  onChange: () => void;
  /** The first failure after a success, or after the start. The last addresses stay. */
  onProblem: (error: unknown) => void;
  /** The first success after a failure. */
  onSolved: () => void;
}

/** Keeps the addresses of a name: resolves it when it starts, and again when the records have expired. */
export class NameWatch {
  readonly query: NameQuery;
  readonly #options: NameWatchOptions;
  #addresses: readonly ResolvedAddress[] = [];
  #failures = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** Begins to resolve. The first event comes in a later turn of the event loop. */
  constructor(options: NameWatchOptions) {
    this.query = options.query;
    this.#options = options;
    void this.#resolve();
  }

  /** The last known addresses, in a fixed order; empty: it has none yet. */
  get addresses(): readonly ResolvedAddress[] {
    return this.#addresses;
  }

  /** The name could not be resolved the last time. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #resolve(): Promise<void> {
    const { query, resolve } = this.#options;
    let resolution: Resolution;
    try {
      resolution = await resolve(query);
      if (resolution.addresses.length === 0) throw new Error(`${query.name} has no address`);
    } catch (error) {
      if (!this.#isClosed) this.#fail(error);
      return;
    }
    if (!this.#isClosed) this.#use(resolution);
  }

  #use({ addresses, ttlMs }: Resolution): void {
    const { onChange, onSolved } = this.#options;
    if (this.#failures > 0) onSolved();
    this.#failures = 0;
    this.#wait(nextResolveMs({ ok: true, ttlMs }));
    // Servers of the DNS rotate the records.
    const sorted = addresses.toSorted((one, other) => compare(textOf(one), textOf(other)));
    if (sorted.map(textOf).join() === this.#addresses.map(textOf).join()) return;
    this.#addresses = sorted;
    onChange();
  }

  #fail(error: unknown): void {
    this.#failures++;
    this.#wait(nextResolveMs({ ok: false, failures: this.#failures }));
    if (this.#failures === 1) this.#options.onProblem(error);
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => void this.#resolve(), ms);
    this.#timer.unref();
  }
}

function textOf({ host, port, weight, backup }: ResolvedAddress): string {
  return JSON.stringify([host, port, weight, backup]);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
