import { type Entry, type KeyedEntry, type Store, StoreError } from "../../runtime/stores/store.ts";

/** A store in memory that several servers share, and that can stop to answer. Entries do not expire. */
export class FakeStore implements Store {
  /** Whether every operation fails. */
  isGone = false;
  /** How many of the next operations fail. */
  failures = 0;
  isClosed = false;
  readonly #entries = new Map<string, Entry>();
  #version = 0;

  async get(space: string, key: string): Promise<Entry | null> {
    this.#check();
    return this.#entries.get(`${space} ${key}`) ?? null;
  }

  async put(...[space, key, entry]: Parameters<Store["put"]>): Promise<string | null> {
    this.#check();
    const { version: expected, value, metadata } = entry;
    const before = this.#entries.get(`${space} ${key}`)?.version ?? null;
    if (expected !== undefined && expected !== before) return null;
    const version = String(++this.#version);
    this.#entries.set(`${space} ${key}`, { value, metadata, expiresMs: 0, version });
    return version;
  }

  async delete(space: string, key: string, version?: string): Promise<boolean> {
    this.#check();
    const before = this.#entries.get(`${space} ${key}`)?.version;
    if (before === undefined || (version !== undefined && version !== before)) return false;
    return this.#entries.delete(`${space} ${key}`);
  }

  async list(space: string, { prefix }: { prefix: string }): Promise<KeyedEntry[]> {
    this.#check();
    const own = [...this.#entries].filter(([name]) => name.startsWith(`${space} ${prefix}`));
    return own.map(([name, entry]) => ({ ...entry, key: name.slice(space.length + 1) }));
  }

  move(): Promise<never> {
    throw new TypeError("not used by leases");
  }

  add(): Promise<never> {
    throw new TypeError("not used by leases");
  }

  count(): Promise<never> {
    throw new TypeError("not used by leases");
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  #check(): void {
    if (this.isGone) throw new StoreError("gone");
    if (this.failures === 0) return;
    this.failures -= 1;
    throw new StoreError("fails");
  }
}
