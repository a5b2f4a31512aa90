import type { UpgradeContext } from "./uws.ts";

/**
 * Sizes at which the library stops to inflate a message, each above the message limits up to its half. It has one size
 * for each context of an upgrade. Inflating 32 MiB of zeros would take 160 ms.
 */
export const INFLATED_BYTES: readonly number[] = [256 * 1024, 2 * 1024 * 1024, 16 * 1024 * 1024];

/** Parts of the library for the upgrade of a request. */
export interface Upgrade {
  /** For a WebSocket without compression. */
  readonly plain: UpgradeContext;
  /**
   * Returns the one for a WebSocket with permessage-deflate.
   *
   * @param largestBytes Message limit of the WebSocket, at most 8 MiB.
   * @returns `null`: the limit is larger, or the listener does not compress.
   */
  inflating(largestBytes: number): UpgradeContext | null;
}

/** Gathers the contexts of an application, which the library shows with each request for a WebSocket. */
export class Upgrades {
  readonly #inflating = new Map<number, UpgradeContext>();

  /** @param inflatedBytes One of `INFLATED_BYTES`. */
  note(inflatedBytes: number, context: UpgradeContext): void {
    this.#inflating.set(inflatedBytes, context);
  }

  /** Returns the parts for a request, after its calls of `note`. */
  of(plain: UpgradeContext): Upgrade {
    return {
      plain,
      inflating: (largestBytes) => {
        // A message that is a bit too large is closed with 1009; above the context's size the library cuts.
        const size = INFLATED_BYTES.find((bytes) => bytes >= 2 * largestBytes);
        return size === undefined ? null : (this.#inflating.get(size) ?? null);
      },
    };
  }
}
