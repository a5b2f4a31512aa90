import { createHash } from "node:crypto";
import type { Client } from "../http/client.ts";
import { findCookie } from "../http/find-cookie.ts";
import { findField } from "../http/find-field.ts";

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

/**
 * Returns the part of an address that belongs to one client: an IPv4 address, or the first 64 bits of an IPv6 address. A
 * client with IPv6 has a network of 64 bits or more for itself, and can use a new address for each request.
 *
 * @param address In canonical text form (RFC 5952).
 * @returns `192.0.2.1`, `2001:db8:0:1`; any other text unchanged.
 */
export function toNetwork(address: string): string {
  if (!address.includes(":")) return address;
  const gap = address.indexOf("::");
  if (gap === -1) return address.split(":", 4).join(":");
  const first = gap === 0 ? [] : address.slice(0, gap).split(":");
  if (first.length >= 4) return first.slice(0, 4).join(":");
  const rest = address.slice(gap + 2);
  const last = rest === "" ? [] : rest.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => "0");
  return [...first, ...zeros, ...last].slice(0, 4).join(":");
}
