import { formatFields } from "./fields.ts";
import { NativeHeaders } from "./native.ts";
import type { ResponseState } from "./response-state.ts";
import type { ServerSocket } from "./server-socket.ts";
import { ClientEnd } from "./web-socket-pair.ts";

/** The status of a response that accepts a WebSocket. No other response may have it. */
export const SWITCHING = 101;

/**
 * Reads the init of a response that accepts a WebSocket: `{ status: 101, webSocket }`, as in Workers.
 *
 * @returns `null`: it is another response.
 */
export function readUpgradeInit(
  body: unknown,
  init: unknown,
): { state: ResponseState; webSocket: ClientEnd } | null {
  if (typeof init !== "object" || init === null || (body ?? null) !== null) return null;
  const { status, webSocket, headers } = init as Record<string, unknown>; // members may be anything
  if (status !== SWITCHING || !(webSocket instanceof ClientEnd)) return null;
  // Node's own class checks them.
  const fields = formatFields(
    new NativeHeaders(headers as ConstructorParameters<typeof Headers>[0]),
  );
  const state = { status, statusText: "", fields, body: null, headers: null, real: null };
  return { state, webSocket };
}

/** Returns the server's end of the WebSocket that a response accepts; `null`: it accepts none. */
export function upgradeOf(response: unknown): ServerSocket | null {
  if (typeof response !== "object" || response === null) return null;
  return ClientEnd.serverOf(Reflect.get(response, "webSocket"));
}
