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

/** Longest text that is kept. A hash stands for a longer one, so that a table has a bound in bytes. */
const LONGEST = 64;

/**
 * Returns the reader of a key.
 *
 * A request without the field or cookie counts by its address: a client must not avoid the limit by leaving it out, and
 * clients without it must not lock each other out.
 */
export function createKeyReader(key: LimitKey): KeyReader {
  if (key === "site") return () => "";
  if (key === "address") return addressOf;
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

/** Marks values, so that no value can look like an address. */
function toText(value: string | undefined): string | null {
  if (value === undefined || value === "") return null;
  if (value.length <= LONGEST) return `=${value}`;
  return `#${createHash("sha256").update(value, "latin1").digest("base64url")}`;
}
