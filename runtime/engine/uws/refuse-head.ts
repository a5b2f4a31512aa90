import type { HeadRefusal } from "../head-fields.ts";
import { refusalFields } from "../refusal-page.ts";
import type { HttpResponse } from "./uws.ts";
import { prepareFields, type PreparedFields } from "../../http/response-fields.ts";
import { bodyBytesOf, writeResponse } from "./write-response.ts";

const FIELDS = toFields(refusalFields(400));
const FIELDS_OF_405 = toFields(refusalFields(405));

/**
 * Answers an invalid head and closes the connection, because it is not certain where the request ends.
 *
 * The answer is deferred to a later turn of the event loop. In the callback that brought the head, a complete answer
 * would let the library parse the rest of the same read as another request and run it. While the answer is pending, the
 * library closes the connection instead (docs/uwebsockets.md section 3). A microtask is too early: it runs before the
 * parser continues.
 *
 * @param options.libraryCloses The library closes the connection after the answer, because the client asked for it.
 * @param onFinished The head was answered, or the client left first (status 499). Called once.
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
