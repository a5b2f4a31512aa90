import type { LimitTakings } from "../limits/shared-takings.ts";
import { pack, unpack } from "msgpackr";

/** A message of one server to the others. Plain data. */
export type RelayMessage =
  /** A message for the subscribers of a topic of a site. Text is UTF-8. */
  | {
      readonly kind: "topic";
      readonly site: string;
      readonly topic: string;
      readonly bytes: Uint8Array;
      readonly isBinary: boolean;
    }
  /** Tokens that requests took from rate limits. */
  | { readonly kind: "taken"; readonly takings: readonly LimitTakings[] }
  /** Entries of the response cache to remove. `site`: the site whose handler asks; `null`: an operator. */
  | { readonly kind: "purge"; readonly entries: string; readonly site: string | null };

/** Servers of another version ignore messages of this one, and the other way round. */
const VERSION = 1;

/** Longest key of a rate limit (`limits/limit-key.ts`). */
const LONGEST_KEY = 128;

/** @param server Id of the server that sends: it ignores its own messages. */
export function encodeRelayMessage(server: string, message: RelayMessage): Buffer {
  if (message.kind === "topic") {
    const { site, topic, bytes, isBinary } = message;
    return pack([VERSION, server, "topic", site, topic, bytes, isBinary]);
  }
  if (message.kind === "taken") return pack([VERSION, server, "taken", message.takings]);
  return pack([VERSION, server, "purge", message.entries, message.site]);
}

/** Reads a message. `null`: it is none of this version. */
export function parseRelayMessage(
  bytes: Uint8Array,
): { server: string; message: RelayMessage } | null {
  const value = unpackSafely(bytes);
  if (!Array.isArray(value) || value[0] !== VERSION || !isText(value[1])) return null;
  const [, server, kind, first, second, third, fourth] = value as unknown[];
  if (!isText(server)) return null;
  if (kind === "purge" && isText(first) && (second === null || isText(second))) {
    return { server, message: { kind, entries: first, site: second } };
  }
  if (kind === "taken" && Array.isArray(first) && first.every(isLimitTakings)) {
    return { server, message: { kind, takings: first } };
  }
  const isTopic = kind === "topic" && isText(first) && isText(second);
  if (isTopic && third instanceof Uint8Array && typeof fourth === "boolean") {
    const message = { kind, site: first, topic: second, bytes: third, isBinary: fourth } as const;
    return { server, message };
  }
  return null;
}

/** Refuses keys that no server sends, so that a table of buckets has a bound in bytes. */
function isLimitTakings(value: unknown): value is LimitTakings {
  if (!Array.isArray(value) || !isText(value[0]) || !Array.isArray(value[1])) return false;
  return value[1].every(
    (each: unknown) =>
      Array.isArray(each) && isText(each[0]) && each[0].length <= LONGEST_KEY && isCount(each[1]),
  );
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function unpackSafely(bytes: Uint8Array): unknown {
  try {
    return unpack(bytes);
  } catch {
    return null;
  }
}
