import type { ExchangeId } from "./channel/messages.ts";

const FEWEST_SLOTS = 64;

/** 2^32 divided by the golden ratio (Knuth, The Art of Computer Programming, section 6.4). */
const GOLDEN = 0x9e3779b1;

/** What is kept: one exchange has one number, and nobody else has it meanwhile. */
export interface Numbered {
  readonly id: ExchangeId;
}

/**
 * Exchanges by their number: a table with open addressing, whose slots are used again.
 *
 * Not a `Map`: with as many insertions as deletions V8 rebuilds a map's table again and again, and each old one refers to
 * the next. Once one of them has outlived two collections of young objects the whole chain does, with every exchange that
 * was in flight when a table was replaced: a third of all that requests allocate (measured; decision 020).
 */
export class ExchangeTable<T extends Numbered> {
  /** A power of two, at most half of it taken. What has no room in its slot is in the next free one after it. */
  #slots: (T | undefined)[] = emptySlots(FEWEST_SLOTS);
  /** 32 less the bits of a slot's number. */
  #shift = 32 - Math.log2(FEWEST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** How many it has room for without growing is half of that. */
  get capacity(): number {
    return this.#slots.length;
  }

  get(id: ExchangeId): T | undefined {
    return this.#slots[this.#find(id)];
  }

  /** Takes one in. One that is there already stays. */
  add(item: T): void {
    const at = this.#find(item.id);
    if (this.#slots[at] !== undefined) return;
    this.#slots[at] = item;
    this.#size++;
    if (2 * this.#size > this.#slots.length) this.#grow();
  }

  delete(id: ExchangeId): boolean {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let free = this.#find(id);
    if (slots[free] === undefined) return false;
    // Those behind it move up, as far as that brings them no further than to their own slot.
    for (let at = (free + 1) & mask; ; at = (at + 1) & mask) {
      const item = slots[at];
      if (item === undefined) break;
      const fromOwn = (at - this.#ownSlotOf(item.id)) & mask;
      const fromFree = (at - free) & mask;
      if (fromOwn < fromFree) continue;
      slots[free] = item;
      free = at;
    }
    slots[free] = undefined;
    this.#size--;
    return true;
  }

  clear(): void {
    this.#slots = emptySlots(FEWEST_SLOTS);
    this.#shift = 32 - Math.log2(FEWEST_SLOTS);
    this.#size = 0;
  }

  /** All of them, the lowest number first, which is the order in which they came. */
  values(): T[] {
    return this.#slots.filter((item) => item !== undefined).toSorted((a, b) => a.id - b.id);
  }

  /** Its slot, or the free one that would be. */
  #find(id: ExchangeId): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = this.#ownSlotOf(id);
    for (let item = slots[at]; item !== undefined && item.id !== id; item = slots[at]) {
      at = (at + 1) & mask;
    }
    return at;
  }

  /** Multiplied: numbers that have a step in common, as those of one group have, spread all the same. */
  #ownSlotOf(id: ExchangeId): number {
    return Math.imul(id, GOLDEN) >>> this.#shift;
  }

  #grow(): void {
    const items = this.#slots;
    this.#slots = emptySlots(2 * items.length);
    this.#shift--;
    for (const item of items) {
      if (item !== undefined) this.#slots[this.#find(item.id)] = item;
    }
  }
}

function emptySlots(count: number): undefined[] {
  return Array.from({ length: count }, () => undefined);
}
