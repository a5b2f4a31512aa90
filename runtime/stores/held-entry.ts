import { randomBytes } from "node:crypto";
import type { Store } from "./store.ts";

export interface HeldEntryOptions {
  space: string;
  key: string;
  /** The entry expires so long after the last `take` or `extend`. */
  ttlMs: number;
}

/**
 * An entry that one holder has at a time, and that is free again when its holder does not extend it.
 *
 *     free ──take──▶ held ──extend──▶ held ──release, or taken by another holder──▶ gone
 *      ▲              └──no answer of the store──▶ unsure ──look──▶ held, gone
 *      └──────────────── taken by another holder ─────┘
 */
export class HeldEntry {
  readonly #store: Store;
  readonly #options: HeldEntryOptions;
  /** Tells the entry of this holder from that of another one. */
  readonly #token = Buffer.from(randomBytes(12).toString("base64url"));
  #state: { kind: "free" | "unsure" | "gone" } | { kind: "held"; version: string } = {
    kind: "free",
  };
  /** The operations so far, one after the other: each needs the version that the one before wrote. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Store, options: HeldEntryOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Returns whether this holder has the entry now. */
  take(): Promise<boolean> {
    return this.#queue(async () => {
      // An earlier attempt may have taken effect without an answer.
      const version = await this.#look();
      return this.#write(version);
    });
  }

  /** Holds the entry for `ttlMs` from now on. Returns whether it was still held. */
  extend(): Promise<boolean> {
    return this.#queue(async () => {
      const version = await this.#look();
      return version !== null && (await this.#write(version));
    });
  }

  /** Returns whether the entry was still held. */
  release(): Promise<boolean> {
    return this.#queue(async () => {
      const version = await this.#look();
      this.#state = { kind: "gone" };
      const { space, key } = this.#options;
      return version !== null && (await this.#store.delete(space, key, version));
    });
  }

  #queue(operation: () => Promise<boolean>): Promise<boolean> {
    const own = this.#last.then(operation);
    this.#last = own.catch(() => {});
    return own;
  }

  async #write(expected: string | null): Promise<boolean> {
    const { space, key, ttlMs } = this.#options;
    // The write may take effect even if no answer comes.
    this.#state = { kind: "unsure" };
    const version = await this.#store.put(space, key, {
      value: this.#token,
      metadata: null,
      ttlMs,
      version: expected,
    });
    this.#state = version === null ? { kind: "gone" } : { kind: "held", version };
    return version !== null;
  }

  /** Returns the version of the entry of this holder; `null`: it has none. */
  async #look(): Promise<string | null> {
    const state = this.#state;
    if (state.kind === "held") return state.version;
    if (state.kind !== "unsure") return null;
    const { space, key } = this.#options;
    const entry = await this.#store.get(space, key);
    return entry !== null && this.#token.equals(entry.value) ? entry.version : null;
  }
}
