import { type CacheKey, toKey } from "../../runtime/cache/cache-key.ts";
import type { StoredHead } from "../../runtime/cache/stored-head.ts";

/** Returns the head of a fresh answer with some differences. */
export function storedHead(differences: Partial<StoredHead> = {}): StoredHead {
  return {
    status: 200,
    statusText: "",
    fields: "content-type\ntext/plain",
    bodyBytes: 0,
    etag: null,
    lastModified: null,
    receivedMs: 1_000_000,
    initialAgeMs: 0,
    lifetimeMs: 1_000_000,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    mustRevalidate: false,
    alwaysValidate: false,
    isImmutable: false,
    vary: [],
    tags: [],
    ...differences,
  };
}

/** Returns the key of a URL. */
export function keyOf(url: string, space = ""): CacheKey {
  const { origin, pathname, search } = new URL(url);
  return toKey(
    { origin, pathname, search, fields: "" },
    { query: { kind: "all" }, cookies: [] },
    space,
  );
}
