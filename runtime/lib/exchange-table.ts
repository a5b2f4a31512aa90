import type { ExchangeId } from "../channel/messages.ts";

const FEWEST_SLOTS = 64;

/** 2^32 divided by the golden ratio (Knuth, The Art of Computer Programming, section 6.4). */
const GOLDEN = 0x9e3779b1;

/** An item with a number. No two items in a table have the same number. */
export interface Numbered {
  readonly id: ExchangeId;
}

/**
 * Exchanges by their number: a hash table with open addressing and reused slots.
 *
 * A `Map` is not suitable. When items are inserted and deleted equally often, V8 rebuilds a map's table again and
 * again, and each old table refers to the next one. Once an old table has survived two collections of young objects,
 * the whole chain survives, with every exchange that was in flight at a rebuild. This was a third of all memory that
 * requests allocate (measured; decision 020).
 */
export class ExchangeTable<T extends Numbered> {
  /** The slots: a power of two, at most half of them taken. An item whose slot is taken goes to the next free one. */
  #slots: (T | undefined)[] = emptySlots(FEWEST_SLOTS);
  /** 32 minus the number of bits in a slot's index. */
  #shift = 32 - Math.log2(FEWEST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The number of slots. The table grows when more than half of them are taken. */
  get capacity(): number {
    return this.#slots.length;
  }

  get(id: ExchangeId): T | undefined {
    return this.#slots[this.#find(id)];
  }

  /** Adds an item. If one with this number exists, keeps that one. */
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
    // Items behind the free slot move up, but not beyond their own slot.
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

  /** Returns the item with the lowest value of a measure; `null`: the table is empty. */
  least(measure: (item: T) => number): T | null {
    let found: T | null = null;
    let lowest = Infinity;
    for (const item of this.#slots) {
      if (item === undefined) continue;
      const value = measure(item);
      if (found !== null && value >= lowest) continue;
      found = item;
      lowest = value;
    }
    return found;
  }

  /** Returns all items, sorted by number, which is the order of insertion. */
  values(): T[] {
    return this.#slots.filter((item) => item !== undefined).toSorted((a, b) => a.id - b.id);
  }

  /** Returns the item's slot, or the free slot where it would go. */
  #find(id: ExchangeId): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = this.#ownSlotOf(id);
    for (let item = slots[at]; item !== undefined && item.id !== id; item = slots[at]) {
      at = (at + 1) & mask;
    }
    return at;
  }

  /**
   * Returns the preferred slot of a number. The multiplication spreads numbers with a common step, such as every second
   * one.
   */
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
