import type { IncomingHttpHeaders } from "node:http";

/** One thing that the admin listener answers. */
export interface AdminPage {
  readonly path: string;
  /** With GET, the page answers HEAD as well. */
  readonly methods: readonly ("GET" | "POST")[];
  /** `probe`: answered without the token, because it tells nothing secret and supervisors carry none. */
  readonly access: "probe" | "operator";
  /** One line for the list of all pages. */
  readonly about: string;
  readonly answer: (request: AdminRequest) => AdminReply | Promise<AdminReply>;
}

/** A request that may be answered. */
export interface AdminRequest {
  readonly method: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly fields: IncomingHttpHeaders;
}

export interface AdminReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Returns a reply of plain text. */
export function toText(status: number, body: string): AdminReply {
  return { status, contentType: "text/plain; charset=utf-8", body };
}
