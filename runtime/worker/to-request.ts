import { BODY_FOLLOWS, type RequestMessage } from "../channel/messages.ts";
import { createRequest } from "../web/fast-request.ts";
import type { RequestBody } from "./request-body.ts";

/** The `Request` that a handler gets. Nothing is parsed until the handler asks for it. */
export function toRequest(message: RequestMessage, follows: RequestBody | null): Request {
  const method = message[4];
  const body = message[9];
  return createRequest({
    method,
    url: message[5],
    fields: message[6],
    // Reading past the end of an array would be slower.
    protocol: message.length > 12 ? (message[12] ?? null) : null,
    tls: message.length > 13 ? (message[13] ?? 0) : 0,
    // The message's bytes are lent.
    body: body === BODY_FOLLOWS ? (follows?.stream ?? null) : body && Buffer.from(body),
  });
}
