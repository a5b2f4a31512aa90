import { BODY_FOLLOWS, type RequestMessage } from "../channel/messages.ts";
import { createRequest } from "../web/fast-request.ts";

/** The `Request` that a handler gets. Nothing is parsed or copied until the handler asks for it. */
export function toRequest(message: RequestMessage): Request {
  const [, , , , method, url, fields, , body] = message;
  return createRequest({ method, url, fields, body: body === BODY_FOLLOWS ? null : body });
}
