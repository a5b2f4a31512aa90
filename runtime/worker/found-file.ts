import type { FoundHead } from "../channel/messages.ts";
import { parseFields } from "../web/fields.ts";
import { toFoundStream } from "../web/file-stream.ts";
import { NULL_BODY_STATUSES } from "../web/null-body-statuses.ts";

/** The heads of files that requests found, by the context of the exchange. Nearly all exchanges have none. */
const heads = new WeakMap<object, FoundHead>();

/** Notes the head of the file that a request found. */
export function noteFound(context: object, head: FoundHead | undefined): void {
  if (head !== undefined) heads.set(context, head);
}

/** Returns the response with the file that a request found, for middleware to pass on. */
export function toFoundResponse(context: object): Response {
  const [status, fields] = heads.get(context) ?? [404, ""];
  const body = NULL_BODY_STATUSES.has(status) ? null : toFoundStream();
  return new Response(body, { status, headers: parseFields(fields) });
}
