import { type CacheKey, reduceQuery, splitPage, toPage } from "./cache-key.ts";
import { CompactMap } from "./compact-map.ts";
import type { Purge } from "./store.ts";
import { varyValues } from "./vary-values.ts";

/** A place in the index: one variant of one key. */
export interface Indexed {
  readonly key: CacheKey;
  /** Names of `vary`, sorted, and their values in the request that was answered. */
  readonly vary: readonly string[];
  readonly varyValues: string;
  readonly tags: readonly string[];
  /** Wall clock. Of two entries for one place, the newer one stays. */
  readonly receivedMs: number;
}

/** Most variants of one key. The oldest one makes room: a `vary` by a field of many values must not fill the cache. */
export const MOST_VARIANTS = 32;

/** Finds entries by key and `vary` (RFC 9111 section 4.1), and by URL, prefix and tag for purges. */
export class EntryIndex<T extends Indexed> {
  readonly #pages = new Map<string, CompactMap<KeyRecord<T>>>();
  readonly #tags = new Map<string, Set<T>>();
  /** Number of pages of each space. */
  readonly #spaces = new Map<string, number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Returns the newest entry that matches. */
  find(key: CacheKey, requestFields: string): T | null {
    const record = this.#pages.get(key.page)?.get(toRest(key));
    if (record === undefined) return null;
    let newest: T | null = null;
    for (const { names, byValues } of record.groups) {
      const values = names.length === 0 ? "" : varyValues(names, requestFields);
      const entry = byValues.get(values);
      if (entry !== undefined && (newest === null || entry.receivedMs > newest.receivedMs)) {
        newest = entry;
      }
    }
    return newest;
  }

  /**
   * Adds an entry.
   *
   * @returns The entries that it replaces: the one in its place, or the oldest variant; `null`: a newer entry is in its
   *   place, and nothing was added.
   */
  add(entry: T): T[] | null {
    const record = this.#recordFor(entry.key);
    const group = groupFor(record, entry.vary);
    const replaced: T[] = [];
    const before = group.byValues.get(entry.varyValues);
    if (before !== undefined) {
      if (before.receivedMs > entry.receivedMs) return null;
      replaced.push(before);
    } else if (record.count >= MOST_VARIANTS) {
      replaced.push(...oldestOf(record));
    }
    group.byValues.set(entry.varyValues, entry);
    record.count++;
    this.#size++;
    for (const tag of entry.tags) this.#addTag(tag, entry);
    for (const each of replaced) this.#forget(record, each);
    return replaced;
  }

  /** Puts an entry into the place of another with the same key and variant. */
  replace(before: T, after: T): void {
    const record = this.#pages.get(before.key.page)?.get(toRest(before.key));
    if (record === undefined || !has(record, before)) return;
    groupFor(record, after.vary).byValues.set(after.varyValues, after);
    record.count++;
    this.#size++;
    for (const tag of after.tags) this.#addTag(tag, after);
    this.#forget(record, before);
  }

  /** Returns `false` when the entry is not in the index. */
  delete(entry: T): boolean {
    const page = this.#pages.get(entry.key.page);
    const record = page?.get(toRest(entry.key));
    if (page === undefined || record === undefined || !has(record, entry)) return false;
    this.#forget(record, entry);
    if (record.count === 0) {
      page.delete(toRest(entry.key));
      if (page.size === 0) {
        this.#pages.delete(entry.key.page);
        this.#countPage(entry.key.page, -1);
      }
    }
    return true;
  }

  /** Returns the entries that a purge covers. */
  covered(purge: Purge): T[] {
    switch (purge.kind) {
      case "tag":
        return [...(this.#tags.get(purge.tag) ?? [])].filter((entry) => covers(purge, entry));
      case "url": {
        const url = splitUrl(purge.url).page;
        const spaces = purge.space === undefined ? this.#spaces.keys() : [purge.space];
        return [...spaces].flatMap((space) =>
          [...(this.#pages.get(toPage(url, space))?.values() ?? [])].flatMap((record) =>
            [...entriesOf(record)].filter((each) => covers(purge, each)),
          ),
        );
      }
      case "prefix":
      case "all":
        return this.#collect(purge);
    }
  }

  *[Symbol.iterator](): Generator<T> {
    for (const page of this.#pages.values()) {
      for (const record of page.values()) yield* entriesOf(record);
    }
  }

  #collect(purge: Extract<Purge, { kind: "prefix" | "all" }>): T[] {
    const found: T[] = [];
    // Most pages are passed over without a look at their entries.
    const start = purge.kind === "all" ? "" : purge.prefix;
    const [startPage = ""] = start.split("?", 1);
    for (const [name, page] of this.#pages) {
      const at = name.indexOf("\n") + 1;
      if (!name.startsWith(start, at) && (at === 0 ? name : name.slice(at)) !== startPage) continue;
      for (const record of page.values()) {
        for (const entry of entriesOf(record)) if (covers(purge, entry)) found.push(entry);
      }
    }
    return found;
  }

  #recordFor(key: CacheKey): KeyRecord<T> {
    let page = this.#pages.get(key.page);
    if (page === undefined) {
      page = new CompactMap();
      this.#pages.set(key.page, page);
      this.#countPage(key.page, 1);
    }
    const rest = toRest(key);
    let record = page.get(rest);
    if (record === undefined) {
      record = { groups: [], count: 0 };
      page.set(rest, record);
    }
    return record;
  }

  #countPage(page: string, change: 1 | -1): void {
    const { space } = splitPage(page);
    const count = (this.#spaces.get(space) ?? 0) + change;
    if (count === 0) this.#spaces.delete(space);
    else this.#spaces.set(space, count);
  }

  #forget(record: KeyRecord<T>, entry: T): void {
    record.count--;
    this.#size--;
    const at = record.groups.findIndex(({ names }) => isSame(names, entry.vary));
    const group = record.groups[at];
    if (group?.byValues.get(entry.varyValues) === entry) group.byValues.delete(entry.varyValues);
    if (group?.byValues.size === 0) record.groups.splice(at, 1);
    for (const tag of entry.tags) {
      const tagged = this.#tags.get(tag);
      tagged?.delete(entry);
      if (tagged?.size === 0) this.#tags.delete(tag);
    }
  }

  #addTag(tag: string, entry: T): void {
    const tagged = this.#tags.get(tag);
    if (tagged === undefined) this.#tags.set(tag, new Set([entry]));
    else tagged.add(entry);
  }
}

/** Tells whether a purge covers an entry. For a writer whose tags are not known yet, `tags` is empty. */
export function covers(purge: Purge, { key, tags }: Pick<Indexed, "key" | "tags">): boolean {
  const { space, url } = splitPage(key.page);
  if (!isWithin(purge, key)) return false;
  if (purge.space !== undefined && purge.space !== space) return false;
  switch (purge.kind) {
    case "all":
      return true;
    case "tag":
      return tags.includes(purge.tag);
    case "prefix":
      return (url + key.search).startsWith(purge.prefix);
    case "url": {
      const { page, search } = splitUrl(purge.url);
      return url === page && key.search === reduceQuery(search, key.rule);
    }
  }
}

/** Tells whether a purge may reach the space and the origin of a key. */
export function isWithin({ within }: Purge, { page }: Pick<CacheKey, "page">): boolean {
  if (within === undefined) return true;
  const { space, url } = splitPage(page);
  return within({ space, origin: url.slice(0, url.indexOf("/", url.indexOf("//") + 2)) });
}

interface KeyRecord<T> {
  groups: VaryGroup<T>[];
  /** Number of variants in all groups. */
  count: number;
}

/** The variants of a key that vary by the same fields. */
interface VaryGroup<T> {
  names: readonly string[];
  byValues: CompactMap<T>;
}

function* entriesOf<T>({ groups }: KeyRecord<T>): Generator<T> {
  for (const { byValues } of groups) yield* byValues.values();
}

function has<T extends Indexed>({ groups }: KeyRecord<T>, entry: T): boolean {
  return groups.some(({ byValues }) => byValues.get(entry.varyValues) === entry);
}

/** Returns the oldest variant, or none. */
function oldestOf<T extends Indexed>(record: KeyRecord<T>): T[] {
  return [...entriesOf(record)].toSorted((a, b) => a.receivedMs - b.receivedMs).slice(0, 1);
}

function groupFor<T>(record: KeyRecord<T>, names: readonly string[]): VaryGroup<T> {
  const known = record.groups.find((group) => isSame(group.names, names));
  if (known !== undefined) return known;
  const group: VaryGroup<T> = { names, byValues: new CompactMap() };
  record.groups.push(group);
  return group;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((name, at) => name === b[at]));
}

function toRest({ search, cookies }: CacheKey): string {
  return cookies === "" ? search : `${search}\n${cookies}`;
}

/** Splits a URL as the key has it: without a fragment. */
function splitUrl(url: string): { page: string; search: string } {
  const whole = url.split("#", 1)[0] ?? "";
  const at = whole.indexOf("?");
  return at === -1
    ? { page: whole, search: "" }
    : { page: whole.slice(0, at), search: whole.slice(at) };
}
