import type { IncomingHttpHeaders, ServerResponse } from "node:http";

/** One thing that the admin listener answers. */
export interface AdminPage {
  readonly path: string;
  /** With GET, the page answers HEAD as well. */
  readonly methods: readonly ("GET" | "POST")[];
  /**
   * `probe`: answered without the token, because it tells nothing secret and supervisors carry none. `action`: it changes the server,
   * so that a TCP listener needs a token.
   */
  readonly access: "probe" | "operator" | "action";
  /** One line for the list of all pages. */
  readonly about: string;
  readonly answer: (request: AdminRequest) => AdminAnswer | Promise<AdminAnswer>;
}

/** A request that may be answered. */
export interface AdminRequest {
  readonly method: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly fields: IncomingHttpHeaders;
  /** Empty with GET. */
  readonly body: string;
  /** Whether its client may change the server. */
  readonly mayAct: boolean;
}

export type AdminAnswer = AdminReply | AdminStream;

export interface AdminReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Further fields. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** An answer without an end. */
export interface AdminStream {
  readonly contentType: string;
  /**
   * Writes head and body. Returns a reply if it does not, and has written nothing then.
   *
   * @param mayRead Whether the client may still read. A reload may revoke or change the token.
   */
  readonly stream: (response: ServerResponse, mayRead: () => boolean) => Promise<AdminReply | null>;
}

/** Returns a reply of plain text. */
export function toText(status: number, body: string): AdminReply {
  return { status, contentType: "text/plain; charset=utf-8", body };
}
