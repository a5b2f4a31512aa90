import { createHash } from "node:crypto";
import type { Client } from "../http/client.ts";
import { findCookie } from "../http/find-cookie.ts";
import { findField } from "../http/find-field.ts";
import { toNetwork } from "../lib/to-network.ts";

/**
 * Requests that a limit counts together: those of one client address, of one value of a field or cookie, or all of
 * them.
 */
export type LimitKey =
  | "address"
  | "site"
  | { readonly header: string }
  | { readonly cookie: string };

/** Returns the text under which a limit counts a request. */
export type KeyReader = (client: Client) => string;

/** Longest value whose hash is remembered, and most values of one limit. */
const LONGEST = 64;
const MOST_VALUES = 4_096;

/**
 * Returns the reader of a key.
 *
 * A request without the field or cookie counts by its address: a client must not avoid the limit by leaving it out, and
 * clients without it must not lock each other out.
 */
export function createKeyReader(key: LimitKey): KeyReader {
  if (key === "site") return () => "";
  if (key === "address") return addressOf;
  const toText = createHasher();
  if ("header" in key) {
    const name = key.header.toLowerCase();
    return ({ head }) => toText(findField(head.fields, name)) ?? addressOf({ head });
  }
  const { cookie } = key;
  return ({ head }) => toText(findCookie(head.fields, cookie)) ?? addressOf({ head });
}

function addressOf({ head }: Pick<Client, "head">): string {
  return toNetwork(head.clientAddress);
}

/**
 * Returns a function that hides a value behind its hash, which cannot look like an address. Values may be secrets, other
 * servers hear of keys (`shared-takings.ts`), and a table of keys has a bound in bytes.
 */
function createHasher(): (value: string | undefined) => string | null {
  const known = new Map<string, string>();
  return (value) => {
    if (value === undefined || value === "") return null;
    const found = known.get(value);
    if (found !== undefined) return found;
    const text = `#${createHash("sha256").update(value, "latin1").digest("base64url")}`;
    if (value.length > LONGEST) return text;
    if (known.size >= MOST_VALUES) known.clear();
    known.set(value, text);
    return text;
  };
}
