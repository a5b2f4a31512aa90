import type { Entry, Expiry, Store } from "../stores/store.ts";
import { toBytes } from "./to-bytes.ts";

/** Forms in which `get` returns a value. */
export type KvType = "text" | "json" | "arrayBuffer" | "stream";

export interface KvGetOptions {
  /** Default: `"text"`. */
  type?: KvType;
  /** Has no effect: values are never cached. */
  cacheTtl?: number;
}

export interface KvPutOptions {
  /** When the entry expires, in seconds since 1970. */
  expiration?: number;
  /** Seconds after which the entry expires. */
  expirationTtl?: number;
  /** A value that JSON can hold, up to 1024 bytes. `list` returns it too. */
  metadata?: unknown;
  /** Writes only if the entry has this version; `null`: only if there is none. */
  ifVersion?: string | null;
}

export interface KvListOptions {
  prefix?: string;
  /** Default and most: 1000. */
  limit?: number;
  /** `cursor` of the page before. */
  cursor?: string | null;
}

export interface KvListResult {
  keys: { name: string; expiration?: number; metadata?: unknown }[];
  list_complete: boolean;
  /** For the next page; absent on the last one. */
  cursor?: string;
  cacheStatus: null;
}

export interface KvValue<T> {
  /** `null`: there is no entry. */
  value: T | null;
  metadata: unknown;
  /** For `ifVersion`; `null`: there is no entry. */
  version: string | null;
  cacheStatus: null;
}

/** Values by key, with the methods of `KVNamespace` of Workers, and versions. */
export interface KvNamespace {
  get(key: string, type?: "text" | (KvGetOptions & { type?: "text" })): Promise<string | null>;
  get<T = unknown>(
    key: string,
    type: "json" | (KvGetOptions & { type: "json" }),
  ): Promise<T | null>;
  get(
    key: string,
    type: "arrayBuffer" | (KvGetOptions & { type: "arrayBuffer" }),
  ): Promise<ArrayBuffer | null>;
  get(
    key: string,
    type: "stream" | (KvGetOptions & { type: "stream" }),
  ): Promise<ReadableStream<Uint8Array> | null>;
  getWithMetadata<T = string>(key: string, type?: KvType | KvGetOptions): Promise<KvValue<T>>;
  /** Returns the version of the entry; `null`: `ifVersion` was not met, and nothing is written. */
  put(
    key: string,
    value: string | ArrayBuffer | ArrayBufferView | ReadableStream<Uint8Array>,
    options?: KvPutOptions,
  ): Promise<string | null>;
  /** Returns whether an entry was there. */
  delete(key: string, options?: { ifVersion?: string }): Promise<boolean>;
  list(options?: KvListOptions): Promise<KvListResult>;
}

const MAX_KEY_BYTES = 512;
const MAX_VALUE_BYTES = 25 * 1024 ** 2;
const MAX_METADATA_BYTES = 1_024;
const MAX_LIMIT = 1_000;
const TYPES: readonly string[] = ["text", "json", "arrayBuffer", "stream"] satisfies KvType[];

/** Returns the namespace that a space of a store is. */
export function createKvNamespace(
  store: Store,
  { space, now = Date.now }: { space: string; now?: () => number },
): KvNamespace {
  const find = async (key: string, type: KvType | KvGetOptions = "text"): Promise<Found> => {
    checkKey(key);
    const kind = (typeof type === "string" ? type : type.type) ?? "text";
    if (!TYPES.includes(kind)) {
      throw new TypeError(
        `Cannot get ${JSON.stringify(key)} as ${JSON.stringify(kind)}, expected one of ${TYPES.join(", ")}`,
      );
    }
    const entry = await store.get(space, key);
    return { entry, value: entry === null ? null : toValue(entry.value, kind, key) };
  };
  const namespace = {
    get: async (key: string, type?: KvType | KvGetOptions): Promise<unknown> =>
      (await find(key, type)).value,
    getWithMetadata: async (
      key: string,
      type?: KvType | KvGetOptions,
    ): Promise<KvValue<unknown>> => {
      const { entry, value } = await find(key, type);
      const metadata: unknown = parseMetadata(entry?.metadata ?? null);
      return { value, metadata, version: entry?.version ?? null, cacheStatus: null };
    },
    put: async (
      key: string,
      value: unknown,
      options: KvPutOptions = {},
    ): Promise<string | null> => {
      checkKey(key);
      const expiry = toExpiry(options, now());
      const metadata = toMetadata(options.metadata);
      const { ifVersion: version } = options;
      const bytes = await toBytes(value, { name: "a value", most: MAX_VALUE_BYTES });
      const expected = version === undefined ? {} : { version };
      return store.put(space, key, { value: bytes, metadata, ...expiry, ...expected });
    },
    delete: async (key: string, { ifVersion }: { ifVersion?: string } = {}): Promise<boolean> => {
      checkKey(key);
      return store.delete(space, key, ifVersion);
    },
    list: async ({ prefix = "", limit, cursor }: KvListOptions = {}): Promise<KvListResult> => {
      const most = toLimit(limit);
      const after = cursor === undefined || cursor === null ? null : readCursor(cursor);
      // One more tells whether there is another page.
      const found = await store.list(space, {
        prefix,
        after,
        limit: most + 1,
        withoutValues: true,
      });
      const page = found.slice(0, most);
      const last = page.at(-1);
      const isComplete = found.length <= most;
      return {
        keys: page.map(({ key, metadata, expiresMs }) => ({
          name: key,
          ...(expiresMs > 0 && { expiration: Math.floor(expiresMs / 1_000) }),
          ...(metadata !== null && { metadata: parseMetadata(metadata) }),
        })),
        list_complete: isComplete,
        ...(!isComplete && last !== undefined && { cursor: toCursor(last.key) }),
        cacheStatus: null,
      };
    },
  };
  // The overloads of `get` give its result the type that `find` returns for each form.
  return Object.freeze(namespace) as KvNamespace;
}

interface Found {
  entry: Entry | null;
  value: unknown;
}

function toValue(bytes: Uint8Array, type: KvType, key: string): unknown {
  switch (type) {
    case "text":
      return Buffer.from(bytes).toString();
    case "json":
      try {
        return JSON.parse(Buffer.from(bytes).toString());
      } catch (cause) {
        throw new TypeError(`Cannot get ${JSON.stringify(key)}: found no JSON`, { cause });
      }
    case "arrayBuffer":
      return new Uint8Array(bytes).buffer;
    case "stream":
      return new Blob([new Uint8Array(bytes)]).stream();
  }
}

function checkKey(key: unknown): asserts key is string {
  if (typeof key !== "string" || key === "" || key === "." || key === "..") {
    throw new TypeError(
      `Cannot use the key ${JSON.stringify(key)}, expected a text that is not empty`,
    );
  }
  const bytes = Buffer.byteLength(key);
  if (bytes <= MAX_KEY_BYTES) return;
  throw new TypeError(`Cannot use a key of ${bytes} bytes, expected at most ${MAX_KEY_BYTES}`);
}

function toExpiry({ expiration, expirationTtl }: KvPutOptions, now: number): Expiry {
  const name = expirationTtl === undefined ? "expiration" : "expirationTtl";
  const given = expirationTtl ?? expiration;
  if (given === undefined) return { expiresMs: 0 };
  const ms = Math.ceil(given * 1_000);
  const isTtl = expirationTtl !== undefined;
  if (Number.isFinite(ms) && ms > (isTtl ? 0 : now))
    return isTtl ? { ttlMs: ms } : { expiresMs: ms };
  const expected =
    expirationTtl === undefined
      ? "seconds since 1970 in the future"
      : "a number of seconds above 0";
  throw new TypeError(`Cannot use ${name} ${String(given)}, expected ${expected}`);
}

function toMetadata(metadata: unknown): string | null {
  if (metadata === undefined || metadata === null) return null;
  // `undefined` for a function, although the types say otherwise.
  const text = JSON.stringify(metadata) as string | undefined;
  const bytes = text === undefined ? 0 : Buffer.byteLength(text);
  if (text !== undefined && bytes <= MAX_METADATA_BYTES) return text;
  throw new TypeError(
    `Cannot use metadata of ${text === undefined ? typeof metadata : `${bytes} bytes`}, expected a value that JSON can hold, up to ${MAX_METADATA_BYTES} bytes`,
  );
}

function parseMetadata(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}

function toLimit(limit: number = MAX_LIMIT): number {
  if (Number.isInteger(limit) && limit >= 1) return Math.min(limit, MAX_LIMIT);
  throw new TypeError(`Cannot list ${limit} keys, expected a whole number from 1 to ${MAX_LIMIT}`);
}

function toCursor(key: string): string {
  return Buffer.from(key).toString("base64url");
}

function readCursor(cursor: string): string {
  if (/^[\w-]+$/.test(cursor)) return Buffer.from(cursor, "base64url").toString();
  throw new TypeError(`Cannot use the cursor ${JSON.stringify(cursor)}, expected that of a list`);
}
