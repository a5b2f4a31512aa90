import { ServerSocket } from "../web/server-socket.ts";

/** The end of a WebSocket whose request got another answer. */
export const NEVER_OPENED = { code: 1006, reason: "", wasClean: false };

/** Tells listeners of a WebSocket that its client has never had it, and drops the messages that wait for the client. */
export function endUnopened(socket: ServerSocket): void {
  ServerSocket.ended(socket, NEVER_OPENED, { isTold: ServerSocket.hasListeners(socket) });
}
