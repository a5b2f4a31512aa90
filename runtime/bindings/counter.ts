import type { Store } from "../stores/store.ts";

/** Numbers by name, which all workers share. No addition is lost. */
export interface Counter {
  /** Adds to a number, which is 0 at first, and returns the sum. `by` is 1 unless given, and may be negative. */
  add(name: string, by?: number): Promise<number>;
  /** Returns a number; 0: it was never added to. */
  get(name: string): Promise<number>;
  /** Sets a number to 0. */
  reset(name: string): Promise<void>;
}

/** Returns the numbers that a space of a store has. */
export function createCounter(store: Store, { space }: { space: string }): Counter {
  return Object.freeze({
    add: async (name: string, by = 1) => {
      if (!Number.isSafeInteger(by)) {
        throw new TypeError(`Cannot add ${String(by)}, expected a whole number`);
      }
      return store.add(space, toName(name), { by, expiresMs: 0 });
    },
    get: async (name: string) => {
      const entry = await store.get(space, toName(name));
      return entry === null ? 0 : Number(Buffer.from(entry.value).toString());
    },
    reset: async (name: string) => {
      await store.delete(space, toName(name));
    },
  });
}

function toName(name: unknown): string {
  if (typeof name === "string" && name !== "" && Buffer.byteLength(name) <= 512) return name;
  throw new TypeError("Cannot use a counter: its name is no text of 1 to 512 bytes");
}
