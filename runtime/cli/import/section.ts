import type { Remark } from "./report.ts";

/** A value of the new config. */
export type Value = string | number | boolean | null | readonly Value[] | Section;

/** An object of the new config, with notes that stand above its members. */
export class Section {
  readonly notes: Remark[] = [];
  readonly #members = new Map<string, Value>();

  constructor(members: Readonly<Record<string, Value>> = {}) {
    for (const [key, value] of Object.entries(members)) this.set(key, value);
  }

  get size(): number {
    return this.#members.size;
  }

  get members(): ReadonlyMap<string, Value> {
    return this.#members;
  }

  set(key: string, value: Value): void {
    this.#members.set(key, value);
  }

  get(key: string): Value | undefined {
    return this.#members.get(key);
  }

  /** Returns the values of a key that holds a list or one value; empty: there is none. */
  list(key: string): readonly Value[] {
    const found = this.#members.get(key);
    if (found === undefined) return [];
    return isList(found) ? found : [found];
  }

  delete(key: string): void {
    this.#members.delete(key);
  }

  /** Returns the section of a key, which is created if there is none. */
  child(key: string): Section {
    const found = this.#members.get(key);
    if (found instanceof Section) return found;
    const section = new Section();
    this.#members.set(key, section);
    return section;
  }

  /** Returns plain data for `JSON.stringify`. */
  toJSON(): Record<string, unknown> {
    return Object.fromEntries(this.#members);
  }
}

/** Narrows a value to a list, which `Array.isArray` does not do for read-only ones. */
export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}
