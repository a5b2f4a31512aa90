import type { Client } from "../http/client.ts";
import { filterReply } from "../http/reply.ts";
import type { ResponseFields } from "../http/response-fields.ts";
import type { TransferLimits, TransferSetting } from "../http/transfer-limits.ts";
import type { WebSocketAnswer, WebSocketEvents } from "../http/web-socket.ts";
import { ClientWebSocket } from "./client-web-socket.ts";

/** The parts of a listener that a new WebSocket needs, with either engine. */
export interface WebSocketContext<C, F extends object> {
  readonly clock: { now(): number };
  readonly fields: ResponseFields<F>;
  /** The request became this WebSocket. Its client is checked every second from now on. */
  onWebSocket(side: ClientWebSocket): void;
  onWebSocketEnd(side: ClientWebSocket): void;
  /** The client was cut off because of this setting. `value` is the one that applied: a route may have its own. */
  onCut(client: C, setting: TransferSetting, value: number): void;
  /** A bug in Edgicorn, which spoiled one reply. */
  onError(error: unknown): void;
}

/**
 * Passes the answer 101 through the filters of the client, and prepares its fields.
 *
 * @returns `null`: a filter made another answer of it, or a field cannot be written. The client must get a refusal.
 */
export function prepareAcceptance<F extends object>(
  { fields }: WebSocketAnswer,
  client: Client,
  context: Pick<WebSocketContext<unknown, F>, "fields" | "onError">,
): F | null {
  const answer = { status: 101, statusText: "", fields, body: null, lengthBytes: null };
  const reply = client.filters === null ? answer : filterReply(answer, client, context);
  return reply.status === 101 ? context.fields.prepare(reply.fields) : null;
}

/**
 * Creates the client's side of a WebSocket, and tells the listener.
 *
 * @param options.compresses The client takes compressed messages.
 * @param options.onEnd The WebSocket is over, and so is the exchange.
 */
export function createSide<C extends Client>(
  client: C,
  options: {
    context: Omit<WebSocketContext<C, object>, "fields">;
    events: WebSocketEvents;
    limits: () => TransferLimits;
    silence: WebSocketAnswer["silence"];
    compresses: boolean;
    onEnd: (sentBytes: number) => void;
  },
): ClientWebSocket {
  const { context, events, limits, silence, compresses, onEnd } = options;
  const side: ClientWebSocket = new ClientWebSocket({
    request: client,
    events,
    now: () => context.clock.now(),
    sendTimeoutMs: limits().sendTimeoutMs,
    silence,
    compresses,
    onSlow: () => context.onCut(client, "sendTimeout", limits().sendTimeoutMs),
    onEnd: (sentBytes) => {
      context.onWebSocketEnd(side);
      onEnd(sentBytes);
    },
    onError: (error) => context.onError(error),
  });
  context.onWebSocket(side);
  return side;
}
