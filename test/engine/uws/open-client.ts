import type { ExchangeId } from "../../../runtime/http/client.ts";
import { prepareFields, ResponseFields } from "../../../runtime/http/response-fields.ts";
import type { HttpResponse } from "../../../runtime/engine/uws/uws.ts";
import { UnreadBytes } from "../../../runtime/engine/uws/unread-bytes.ts";
import { type ListenerContext, UwsClient } from "../../../runtime/engine/uws/uws-client.ts";
import { TurnClock } from "../../../runtime/lib/turn-clock.ts";

/** Returns a listener's parts for one client, without limits. A test replaces the parts that it observes. */
export function createContext(own: Partial<ListenerContext> = {}): ListenerContext {
  return {
    clock: new TurnClock(),
    fields: new ResponseFields(prepareFields),
    // Ids are made in tests only here.
    nextId: () => 1 as ExchangeId,
    admitWrite: () => true,
    closing: false,
    port: 0,
    unread: new UnreadBytes(),
    anchor: { prepare() {}, run: () => false },
    savedMasks: new Set(),
    secure: false,
    limits: { bodyTimeoutMs: 0, minBodyRateBytesPerSecond: 0, sendTimeoutMs: 0 },
    countsBytes: false,
    onBodyBytes() {},
    onTransferStart() {},
    onTransferEnd() {},
    onWebSocket() {},
    onWebSocketEnd() {},
    onCut() {},
    onError(error) {
      throw error;
    },
    onFinished() {},
    ...own,
  };
}

/**
 * Opens the client of a request.
 *
 * @param res Has the methods of a response that the test makes the client call.
 */
export function openClient(
  res: object,
  context: ListenerContext,
  {
    method = "POST",
    isLast = false,
    bodyBytes = null,
  }: { method?: string; isLast?: boolean; bodyBytes?: number | null } = {},
): UwsClient {
  const head = {
    method,
    target: "/",
    origin: context.secure ? "https://a" : "http://a",
    fields: "",
    bodyBytes,
    clientAddress: "127.0.0.1",
  };
  // See `res`.
  return new UwsClient(res as HttpResponse, head, { context, isLast, libraryCloses: false });
}
