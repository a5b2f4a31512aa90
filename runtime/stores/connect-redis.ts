import type { RedisClientType } from "@redis/client";
import { within } from "./within.ts";

/** The place of a Redis, and the patience with it. */
export interface RedisPlace {
  /** `redis://user:password@host:6379/0`, `rediss://...`, `unix:/run/redis.sock`. */
  url: string;
  /** Longest time for a connection, and for the answer to a command, in ms. */
  timeoutMs: number;
}

/**
 * Opens a connection to Redis or Valkey. Texts of replies are bytes. A connection that ends is not opened again.
 *
 * @param onEnd Called once when the connection is lost, and not when the caller ends it.
 * @throws StoreError when the connection takes too long; the error of the connection.
 */
export async function connectRedis(
  { url, timeoutMs }: RedisPlace,
  onEnd: () => void = () => {},
): Promise<RedisClientType> {
  const { createClient, RESP_TYPES } = await import("@redis/client");
  const common = { connectTimeout: timeoutMs, reconnectStrategy: false } as const;
  const place = url.startsWith("unix:")
    ? { socket: { path: url.slice("unix:".length), tls: false as const, ...common } }
    : { url, socket: common };
  const client = createClient({
    ...place,
    RESP: 2,
    disableOfflineQueue: true,
    commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  });
  // Each operation reports the failure that it meets.
  client.on("error", () => {});
  // It tells of a lost connection. `destroy()` emits `end` only.
  client.once("terminated", onEnd);
  try {
    await within(client.connect(), timeoutMs, "a connection to Redis");
  } catch (error) {
    if (client.isOpen) client.destroy();
    throw error;
  }
  // Callers read replies as unknown values.
  return client as unknown as RedisClientType;
}
