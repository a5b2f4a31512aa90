import type { ServerSocket } from "./server-socket.ts";
import type { WebSocketPair } from "./web-socket-pair.ts";

/** Options of `upgradeWebSocket`. */
export interface UpgradeWebSocketOptions {
  /** The subprotocol, one of those that the client offers. */
  protocol?: string;
  /** Fields of the answer 101. */
  headers?: ConstructorParameters<typeof Headers>[0];
}

/** Tells whether a request asks for a WebSocket. */
export function asksForWebSocket(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/**
 * Accepts a request for a WebSocket.
 *
 *     export default (request) => {
 *       const { socket, response } = upgradeWebSocket(request);
 *       socket.serializeAttachment({ name: "eve" });
 *       return response;
 *     };
 *     export function webSocketMessage(socket, message) { socket.send(message); }
 *
 * Its messages go to the export `webSocketMessage` of the module, and the WebSocket outlives reloads and lost workers. After
 * `socket.accept()`, listeners in this worker receive them instead, and the WebSocket ends with the worker.
 *
 * @throws Response 426 for a request that asks for no WebSocket: uncaught, it is the answer. TypeError for a subprotocol that
 *   the client does not offer.
 */
export function upgradeWebSocket(
  request: Request,
  { protocol, headers }: UpgradeWebSocketOptions = {},
): { socket: ServerSocket; response: Response } {
  if (!asksForWebSocket(request)) {
    // A thrown response is the answer: such a request is a mistake of its client (RFC 9110 section 15.5.22).
    // oxlint-disable-next-line typescript/only-throw-error -- As above.
    throw new Response("Upgrade Required\n", {
      status: 426,
      headers: { upgrade: "websocket", "sec-websocket-version": "13" },
    });
  }
  const offered = request.headers.get("sec-websocket-protocol")?.split(",") ?? [];
  if (protocol !== undefined && !offered.some((each) => each.trim() === protocol)) {
    throw new TypeError(
      `Cannot upgrade a request: found the subprotocol "${protocol}", expected one that the client offers`,
    );
  }
  const Pair = Reflect.get(globalThis, "WebSocketPair") as (new () => WebSocketPair) | undefined;
  if (Pair === undefined) {
    throw new TypeError(
      "Cannot upgrade a request: found no WebSocketPair, expected to run in a worker of Edgicorn",
    );
  }
  const { 0: webSocket, 1: socket } = new Pair();
  const fields = new Headers(headers);
  if (protocol !== undefined) fields.set("sec-websocket-protocol", protocol);
  // The types of the Fetch API do not have `webSocket`.
  const init = { status: 101, headers: fields, webSocket } as ResponseInit;
  return { socket, response: new Response(null, init) };
}
