import { randomBytes } from "node:crypto";
import type { RedisClientType } from "@redis/client";
import { connectRedis, type RedisPlace } from "./connect-redis.ts";
import { InFlight } from "./in-flight.ts";
import { ADD, DELETE, LIST, MOVE, PUT } from "./redis-scripts.ts";
import {
  type Entry,
  type Expiry,
  type KeyedEntry,
  type KeyRange,
  type ListOptions,
  type NewEntry,
  type Store,
  StoreError,
} from "./store.ts";
import { within } from "./within.ts";

export interface RedisStoreOptions extends RedisPlace {
  /** Goes before all names in Redis. */
  prefix: string;
}

/**
 * Returns a store in Redis or Valkey, which several machines share. It connects with the first operation.
 *
 * Nothing is sent twice: an operation whose answer does not come rejects with a `StoreError`, and may have taken effect. The next
 * operation connects again.
 */
export function createRedisStore(options: RedisStoreOptions): Store {
  return new RedisStore(options);
}

class RedisStore implements Store {
  readonly #options: RedisStoreOptions;
  #client: Promise<RedisClientType> | null = null;
  readonly #inFlight = new InFlight();
  #closing: Promise<void> | null = null;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
  }

  async get(space: string, key: string): Promise<Entry | null> {
    const [name] = this.#names(space, key);
    const reply = await this.#send(["HMGET", name, "v", "m", "x", "r"]);
    return toEntry(reply as Reply[]); // The reply of HMGET.
  }

  async put(
    space: string,
    key: string,
    { version: expected, ...entry }: NewEntry & { version?: string | null },
  ): Promise<string | null> {
    const version = createVersion();
    const condition = expected === undefined ? "any" : (expected ?? "none");
    const written = await this.#run(PUT, this.#names(space, key), [
      this.#prefix(space),
      key,
      condition,
      ...toArguments(entry, version),
    ]);
    return written === 1 ? version : null;
  }

  async delete(space: string, key: string, version = "any"): Promise<boolean> {
    const given = [this.#prefix(space), key, version];
    return (await this.#run(DELETE, this.#names(space, key), given)) === 1;
  }

  async move(
    space: string,
    from: { key: string; version: string },
    { key, ...entry }: NewEntry & { key: string },
  ): Promise<string | null> {
    const version = createVersion();
    const names = [...this.#names(space, from.key), `${this.#prefix(space)}${key}`];
    const moved = await this.#run(MOVE, names, [
      this.#prefix(space),
      from.key,
      from.version,
      key,
      ...toArguments(entry, version),
    ]);
    return moved === 1 ? version : null;
  }

  async add(
    space: string,
    key: string,
    { by, ...expiry }: { by: number } & Expiry,
  ): Promise<number> {
    const given = [this.#prefix(space), key, String(by), toExpiryText(expiry), createVersion()];
    return Number(await this.#run(ADD, this.#names(space, key), given));
  }

  async list(space: string, options: ListOptions): Promise<KeyedEntry[]> {
    const { prefix, after, limit, withoutValues = false } = options;
    const isAfter = after !== null && Buffer.compare(Buffer.from(after), Buffer.from(prefix)) >= 0;
    const first = isAfter ? `(${after}` : `[${prefix}`;
    // No UTF-8 has this byte.
    const last = Buffer.concat([Buffer.from(`[${prefix}`), Buffer.of(255)]);
    const field = withoutValues ? NO_FIELD : "v";
    const given = [this.#prefix(space), first, last, String(limit), field];
    const rows = await this.#run(LIST, this.#names(space, ""), given);
    // The script returns rows.
    return (rows as Reply[][]).flatMap(([key, ...row]) => {
      const entry = toEntry(row);
      return entry === null || !Buffer.isBuffer(key) ? [] : [{ key: key.toString(), ...entry }];
    });
  }

  async count(space: string, { from, before }: KeyRange): Promise<number> {
    const [, keys] = this.#names(space, "");
    return Number(await this.#send(["ZLEXCOUNT", keys, `[${from}`, `(${before}`]));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Answers may still be on the way.
    await this.#inFlight.close();
    const client = await this.#client?.catch(() => null);
    this.#client = null;
    client?.destroy();
  }

  /** Names of entries of a space begin so. In a cluster, all names of a space are on one server. */
  #prefix(space: string): string {
    return `${this.#options.prefix}:{${space}}:e:`;
  }

  /** Returns the names of an entry and of the two sets of its space. */
  #names(space: string, key: string): [entry: string, keys: string, times: string] {
    const base = `${this.#options.prefix}:{${space}}`;
    return [`${this.#prefix(space)}${key}`, `${base}:k`, `${base}:t`];
  }

  #run(
    script: string,
    names: readonly string[],
    given: readonly (string | Buffer)[],
  ): Promise<Reply> {
    return this.#send(["EVAL", script, String(names.length), ...names, ...given]);
  }

  #send(command: readonly (string | Buffer)[]): Promise<Reply> {
    return this.#inFlight.run(() => this.#exchange(command));
  }

  async #exchange(command: readonly (string | Buffer)[]): Promise<Reply> {
    const { timeoutMs } = this.#options;
    let connecting = this.#connect();
    try {
      let client = await connecting;
      if (!client.isReady) {
        // It ended while it was idle: nothing was sent on it.
        if (this.#client === connecting) this.#client = null;
        connecting = this.#connect();
        client = await connecting;
      }
      return await within(client.sendCommand<Reply>(command), timeoutMs, "an answer of Redis");
    } catch (cause) {
      throw await this.#fail(cause, connecting);
    }
  }

  #connect(): Promise<RedisClientType> {
    this.#client ??= connectRedis(this.#options);
    return this.#client;
  }

  /** Gives the connection up, unless Redis answered on it. */
  async #fail(cause: unknown, connecting: Promise<RedisClientType>): Promise<Error> {
    const { message = String(cause), name = "" } = cause instanceof Error ? cause : {};
    if (name === "ErrorReply" || message.includes("not an integer")) {
      const text = message.includes("not an integer")
        ? "Cannot add: found no whole number"
        : `Cannot use Redis: ${message}`;
      return new StoreError(text, { cause });
    }
    if (this.#client === connecting) this.#client = null;
    const client = await connecting.catch(() => null);
    if (client?.isOpen === true) client.destroy();
    if (cause instanceof StoreError) return cause;
    return new StoreError(`Cannot reach Redis: ${message || name || "the connection ended"}`, {
      cause,
    });
  }
}

/** A field that no entry has. */
const NO_FIELD = "-";

type Reply = Buffer | number | null | Reply[];

/** The fields v, m, x and r. `null`: there is no entry. */
function toEntry([value, metadata, expiresMs, version]: readonly Reply[]): Entry | null {
  if (!Buffer.isBuffer(version)) return null;
  const text = String(metadata);
  return {
    // A list without values has none.
    value: Buffer.isBuffer(value) ? new Uint8Array(value) : NOTHING,
    metadata: text === "" ? null : text,
    expiresMs: Number(String(expiresMs)),
    version: version.toString(),
  };
}

function toArguments(
  { value, metadata, ...expiry }: NewEntry,
  version: string,
): (string | Buffer)[] {
  return [Buffer.from(value), metadata ?? "", toExpiryText(expiry), version];
}

/** Returns an expiry in the words of the scripts: `+` and a duration, or a time. */
function toExpiryText({ expiresMs, ttlMs }: Expiry): string {
  return ttlMs === undefined ? String(expiresMs) : `+${ttlMs}`;
}

const NOTHING = new Uint8Array(0);

function createVersion(): string {
  return randomBytes(9).toString("base64url");
}
