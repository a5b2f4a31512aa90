import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { RequestHead } from "../../http/client.ts";
import { toTlsNumber } from "../../lib/tls-facts.ts";

/** Returns the number of the facts about a connection's TLS, once its handshake is complete; 0: there are none. */
export function readTls(socket: Socket): number {
  if (!(socket instanceof TLSSocket)) return 0;
  // A socket that the client has just closed has no cipher, although the types promise one.
  const cipher = socket.getCipher() as { name: string } | null;
  return toTlsNumber(socket.getProtocol(), cipher?.name ?? "");
}

/** Adds these facts to a head. Behind a trusted proxy, they are those of the proxy and not of the client. */
export function noteTls(head: RequestHead, number: number): void {
  if (number !== 0 && head.peerAddress === undefined) head.tls = number;
}
