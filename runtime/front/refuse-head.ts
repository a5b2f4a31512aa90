import { STATUS_CODES } from "node:http";
import type { ExchangeId } from "../dispatch/client-side.ts";
import type { HeadRefusal } from "./read-head.ts";
import type { HttpResponse } from "./uws.ts";

/** What is known of a request whose head could not be trusted. */
export interface RefusedHead {
  /** 499 when the client left before it was told. */
  status: number;
  reason: string;
  /** As they came: anything. */
  method: string;
  target: string;
  scheme: "http" | "https";
  clientAddress: string;
  id: ExchangeId;
  /** `performance.now()` when the head was complete. */
  receivedMs: number;
  /** Of the response. */
  bodyBytes: number;
}

/** For methods that no resource here has: those that one may have (RFC 9110 section 15.5.6). */
const ALLOW = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/**
 * Answers a head whose end, and so the beginning of the next request, cannot be trusted, and closes the connection.
 *
 * Not in the callback that brought it: the library would parse what follows in the same read as a request of its own and
 * hand it to a handler, although the response says that the connection ends. While this one is pending it closes the
 * connection instead (uws-notes section 2, pipelining). A microtask would still come before the parser goes on.
 *
 * @param onFinished It is answered, or its client left (status 499). Called once.
 */
export function refuseHead(
  res: HttpResponse,
  { status, reason }: HeadRefusal,
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
    res.cork(() => {
      res.writeStatus(`${status} ${STATUS_CODES[status]}`);
      res.writeHeader("content-type", "text/plain;charset=UTF-8");
      if (status === 405) res.writeHeader("allow", ALLOW);
      res.end(body, true);
    });
    onFinished({ status, bodyBytes: body.length });
  });
}
