import { createHash, randomBytes } from "node:crypto";
import { listTokens } from "../lib/list-tokens.ts";
import { findField } from "./find-field.ts";

/** RFC 6455 section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The only version of the protocol (RFC 6455 section 4.1). */
export const WEB_SOCKET_VERSION = "13";

/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/** A valid request for a WebSocket. */
export interface Handshake {
  readonly key: string;
  /** The client asks for version 13. */
  readonly isCurrent: boolean;
}

/**
 * Reads the fields of a request that asks for a WebSocket (RFC 6455 section 4.2.1), other than `connection`.
 *
 * @param fields Field block with names in lower case.
 * @returns `null`: the request asks for none, or its key is invalid.
 */
export function readHandshake(fields: string): Handshake | null {
  const upgrade = findField(fields, "upgrade");
  if (upgrade === undefined || !listTokens(upgrade.toLowerCase()).includes("websocket"))
    return null;
  const key = findField(fields, "sec-websocket-key");
  if (key === undefined || !KEY.test(key)) return null;
  const isCurrent = findField(fields, "sec-websocket-version") === WEB_SOCKET_VERSION;
  return { key, isCurrent };
}

/** Returns the subprotocols that a client offers. */
export function offeredProtocols(fields: string): string[] {
  const offered = findField(fields, "sec-websocket-protocol");
  return offered === undefined ? [] : listTokens(offered);
}

/** Returns a key for a request. */
export function createKey(): string {
  return randomBytes(16).toString("base64");
}

/** Returns the answer to a key (RFC 6455 section 4.2.2). */
export function toAccept(key: string): string {
  return createHash("sha1")
    .update(key + GUID)
    .digest("base64");
}
