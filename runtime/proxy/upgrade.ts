import { dropFields } from "../http/change-fields.ts";
import { findField } from "../http/find-field.ts";
import { offeredProtocols, toAccept, WEB_SOCKET_VERSION } from "../http/web-socket-handshake.ts";
import { listTokens } from "../lib/list-tokens.ts";

/** A checked 101 of an upstream. */
export type UpgradeAnswer =
  | { readonly ok: true; readonly protocol: string | null; readonly fields: string }
  | { readonly ok: false; readonly reason: string };

/** Fields of the handshake that each connection makes anew. Subprotocols go on. */
const REQUEST_HANDSHAKE: ReadonlySet<string> = new Set([
  "sec-websocket-extensions",
  "sec-websocket-key",
  "sec-websocket-version",
]);

const ANSWER_HANDSHAKE: ReadonlySet<string> = new Set([
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "sec-websocket-protocol",
  "sec-websocket-version",
  "upgrade",
]);

/** Returns the fields of a request for a WebSocket, with a key of its own and without extensions. */
export function toUpgradeRequest(fields: string, key: string): string {
  const kept = dropFields(fields, (name) => REQUEST_HANDSHAKE.has(name));
  const own = `sec-websocket-version\n${WEB_SOCKET_VERSION}\nsec-websocket-key\n${key}`;
  return kept === "" ? own : `${kept}\n${own}`;
}

/**
 * Checks a 101 (RFC 6455 section 4.1).
 *
 * @param fields Of the answer.
 * @param asked The key that was sent, and the fields of the client's request.
 * @returns The subprotocol, and the fields of the answer other than those of the handshake.
 */
export function checkUpgrade(
  fields: string,
  asked: { key: string; fields: string },
): UpgradeAnswer {
  const upgrade = listTokens(findField(fields, "upgrade")?.toLowerCase() ?? "");
  if (upgrade.length !== 1 || upgrade[0] !== "websocket")
    return { ok: false, reason: "the 101 names another protocol than websocket" };
  if (findField(fields, "sec-websocket-accept") !== toAccept(asked.key))
    return { ok: false, reason: "the 101 has no Sec-WebSocket-Accept that fits the key" };
  if (listTokens(findField(fields, "sec-websocket-extensions") ?? "").length > 0)
    return { ok: false, reason: "the 101 has an extension that was not offered" };
  const protocol = findField(fields, "sec-websocket-protocol") ?? null;
  if (protocol !== null && !offeredProtocols(asked.fields).includes(protocol))
    return { ok: false, reason: "the 101 has a subprotocol that was not offered" };
  return { ok: true, protocol, fields: dropFields(fields, (name) => ANSWER_HANDSHAKE.has(name)) };
}
