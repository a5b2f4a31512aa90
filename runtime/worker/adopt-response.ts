import { isForeignResponse, openForeignBody, readForeignFields } from "../web/foreign-response.ts";
import { NULL_BODY_STATUSES } from "../web/null-body-statuses.ts";

/**
 * The global kind of `Response` with the content of one of another kind: a ponyfill's, of the packages `undici` or
 * `node-fetch`, of another realm. `null` if `value` is nothing of the sort.
 *
 * @throws TypeError for a body that was read; RangeError for a status that cannot be sent.
 */
export function adoptResponse(value: unknown): Response | null {
  if (!isForeignResponse(value)) return null;
  const { status, statusText, bodyUsed } = value;
  if (bodyUsed === true) {
    throw new TypeError("Cannot send the response: its body was read already");
  }
  // Before its body is opened: some classes change their fields then.
  const headers = readForeignFields(value);
  const opened = openForeignBody(value.body);
  const body = NULL_BODY_STATUSES.has(status) ? null : opened;
  if (body !== opened) opened?.cancel().catch(() => {});
  const text = typeof statusText === "string" ? statusText : "";
  return new Response(body, { status, statusText: text, headers });
}
