/**
 * How a connection ends up, in words: the statuses of all answers, then what became of the connection.
 *
 *     "200 open"    answered, and the connection stays
 *     "400 closed"  answered, and the server closes
 *     "closed"      closed without an answer
 *     "silent"      no answer within a second, and the connection stays: the library's timer closes it after 8 to 12 s
 */
export type Outcome = `${string}open` | `${string}closed` | "silent";

/** One request, or several on one connection. */
export interface Row {
  name: string;
  /**
   * One character per byte. Several writes are sent with a pause between them, or `later`: once all before it are
   * answered, or once the bytes that came match `after`.
   */
  send: string | readonly (string | { readonly later: string; readonly after?: RegExp })[];
  /** The outcome that the RFC asks for, and where it does. */
  rfc: Outcome;
  section: string;
  /** The outcome here, where it is another with both libraries, with `uws-pack`, with `@btc-vision/uwebsockets.js`. */
  here?: Outcome;
  pack?: Outcome;
  btc?: Outcome;
  /** The outcome with the Node engine, where it is another than the RFC asks for. */
  node?: Outcome;
  /** The connection is paused and unread, so the library's timer may close it before the test looks: on a slow machine. */
  mayClose?: boolean;
  /** Matches what the handler was given, as JSON: `{ path, query, body, fields }`. */
  sees?: RegExp;
  /** The same with the Node engine, where it is another. */
  nodeSees?: RegExp;
  /** Matches the answer's bytes. */
  answer?: RegExp;
}

/** Handled by nobody: a request that is hidden in another one, or comes after one that ends the connection. */
export const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/** A head with `Host`. */
export function head(line: string, ...fields: string[]): string {
  return [line, "Host: a", ...fields, "", ""].join("\r\n");
}

export function get(...fields: string[]): string {
  return head("GET /a HTTP/1.1", ...fields);
}

export function post(...fields: string[]): string {
  return head("POST /a HTTP/1.1", ...fields);
}

export function chunked(body: string, ...fields: string[]): string {
  return post("Transfer-Encoding: chunked", ...fields) + body;
}
