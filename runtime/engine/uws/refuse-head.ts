import type { HeadRefusal } from "./read-head.ts";
import type { HttpResponse } from "./uws.ts";
import { prepareFields, type PreparedFields } from "../../http/response-fields.ts";
import { bodyBytesOf, writeResponse } from "./write-response.ts";

/** For methods that no resource here has: those that one may have (RFC 9110 section 15.5.6). */
const ALLOW = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const FIELDS = toFields("content-type\ntext/plain;charset=UTF-8");
const FIELDS_OF_405 = toFields(`content-type\ntext/plain;charset=UTF-8\nallow\n${ALLOW}`);

/**
 * Answers a head whose end, and so the beginning of the next request, cannot be trusted, and closes the connection.
 *
 * Not in the callback that brought it: the library would parse the rest of the same read as another request and pass it
 * to a handler, although the response says that the connection ends. While this answer is pending, the library closes
 * the connection instead (docs/uwebsockets.md section 3). A microtask would still run before the parser goes on.
 *
 * @param options.libraryCloses The library ends the connection with the answer, because the client has asked for that.
 * @param onFinished The head is answered, or its client left (status 499). Called once.
 */
export function refuseHead(
  res: HttpResponse,
  {
    method,
    status,
    reason,
    libraryCloses,
  }: HeadRefusal & { method: string; libraryCloses: boolean },
  onFinished: (outcome: { status: number; bodyBytes: number }) => void,
): void {
  let settled = false;
  const body = `${reason}\n`;
  res.onAborted(() => {
    if (settled) return;
    settled = true;
    onFinished({ status: 499, bodyBytes: 0 });
  });
  setImmediate(() => {
    if (settled) return;
    settled = true;
    const fields = status === 405 ? FIELDS_OF_405 : FIELDS;
    const ending = libraryCloses ? "announce" : "close";
    const lengthBytes = null;
    const response = { method, status, statusText: "", fields, body, lengthBytes, ending } as const;
    const isLeftOpen = writeResponse(res, response);
    onFinished({ status, bodyBytes: bodyBytesOf(response) });
    if (isLeftOpen) res.close();
  });
}

function toFields(block: string): PreparedFields {
  const fields = prepareFields(block);
  if (fields === null) throw new TypeError("a refusal has fields that cannot be written");
  return fields;
}
