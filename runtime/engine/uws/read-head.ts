import type { RequestHead } from "../../http/client.ts";
import type { HeadSize } from "../../http/head-limits.ts";
import type { Trust } from "../../http/forwarding.ts";
import { HeadFields, type HeadRefusal, isToken } from "../head-fields.ts";
import type { ConnectionAddresses } from "./client-address.ts";
import type { HttpRequest, HttpResponse } from "./uws.ts";

/** DEL, and every character outside of ASCII. */
const UNCOMMON = /[^\0-\x7e]/;

/**
 * The character with which the library replaces bytes that are not UTF-8. A client that really sends it is refused,
 * too.
 */
const REPLACEMENT = "\ufffd";
const DEL = "\x7f";

/**
 * Methods with which clients send a length, 0 for an empty body (RFC 9110 section 8.6). If it is missing, a field with
 * an empty name may hide it (decision 037).
 */
const EXPECTS_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** The library compares only the length of the value of `Connection`: it takes any value of this length for `close`. */
const LIBRARY_CLOSES_LENGTH = "close".length;

/** Two spaces, `HTTP/1.1` and the end of the line. */
const REST_OF_LINE_BYTES = 12;

/**
 * Reads request heads out of uWebSockets.js and refuses invalid ones that its parser accepts (docs/uwebsockets.md
 * section 3). Each listener has one reader. Its private state describes one head and is reset by each `read`.
 */
export class HeadReader {
  readonly #addresses: ConnectionAddresses;
  readonly #fields: HeadFields;
  /** True if the connection must end with the response to the head that was read last. */
  isLast = false;
  /** True if the library itself ends the connection then. */
  libraryCloses = false;

  /**
   * @param options.scheme Scheme of the connections.
   * @param options.onNewName Called with a field name that the reader has not seen before or did not remember.
   * @param options.onDropped Called with a field that is left out because its sender is not trusted.
   */
  constructor(options: {
    scheme: "http" | "https";
    addresses: ConnectionAddresses;
    onNewName?: (name: string) => void;
    onDropped?: (name: string, peer: string) => void;
  }) {
    this.#addresses = options.addresses;
    this.#fields = new HeadFields(options);
  }

  /** The proxies whose forwarding fields count; `null`: none. Changes between two requests. */
  set trust(trust: Trust | null) {
    this.#fields.trust = trust;
  }

  /** The origin that `Host` names in the head that was read last. A trusted proxy may name another one. */
  get ownOrigin(): string {
    return this.#fields.ownOrigin;
  }

  /** Size of the head that was read last, also of a refused one. */
  get size(): HeadSize {
    return this.#fields.size;
  }

  /**
   * Reads a head and copies all of it that is needed: `req` is invalid once its callback has returned.
   *
   * @param knownMethod The method, if the caller knows it: `req` makes a new string for each request.
   */
  read(
    req: HttpRequest,
    res: HttpResponse,
    knownMethod: string | null = null,
  ): RequestHead | HeadRefusal {
    const fields = this.#fields;
    const method = knownMethod ?? req.getCaseSensitiveMethod();
    const query = req.getQuery() as string | undefined;
    const path = req.getUrl();
    const target = query === undefined ? path : `${path}?${query}`;
    fields.begin({ method, target, bytes: method.length + target.length + REST_OF_LINE_BYTES });
    this.isLast = false;
    this.libraryCloses = false;
    req.forEach(fields.add);
    // The library reads only the first `Connection` field.
    this.libraryCloses = fields.firstConnection?.length === LIBRARY_CLOSES_LENGTH;
    if (fields.refusal !== null) return fields.refusal;

    if (knownMethod === null) {
      if (method === "TRACE" || method === "CONNECT") {
        return { status: 405, reason: `method ${method}` };
      }
      if (!isToken(method)) return { status: 400, reason: "method is not a token" };
    }
    const bodyBytes = fields.bodyBytes();
    if (typeof bodyBytes === "object" && bodyBytes !== null) return bodyBytes;
    const head = fields.toHead({ method, target, bodyBytes, peer: this.#addresses.of(res) });
    if ("reason" in head) return head;
    // The parser takes some invalid chunk sizes for the end of the body. A field with an empty name hides all later
    // fields, `Content-Length` too. Bytes after such a request must not be run as another request (decision 037).
    if (bodyBytes === null) this.isLast = true;
    else if (fields.contentLength === null && EXPECTS_BODY.has(method)) this.isLast = true;
    if (fields.hasClose || this.libraryCloses) this.isLast = true;
    return this.#checkValues(head);
  }

  /** True if the `Connection` field of the head that was read last has the option `upgrade`. */
  get asksForUpgrade(): boolean {
    return this.#fields.asksForUpgrade;
  }

  /** Returns the address of the client that sent the head that was read last, also of a refused head. */
  clientAddress(res: HttpResponse): string {
    return this.#fields.clientAddress(this.#addresses.of(res));
  }

  /**
   * Brings the field block into the form of the Fetch standard, in which each character is one byte. The library decodes
   * values as UTF-8 instead.
   */
  #checkValues(head: RequestHead): RequestHead | HeadRefusal {
    const { fields } = head;
    const hasUncommon = UNCOMMON.test(fields);
    if (this.#fields.hasControl || (hasUncommon && fields.includes(DEL))) {
      return { status: 400, reason: "control character in a field value" };
    }
    if (!hasUncommon) return head;
    // The client's bytes are lost, and the handler must not get another value.
    if (fields.includes(REPLACEMENT)) return { status: 400, reason: "field value is not UTF-8" };
    head.fields = Buffer.from(fields, "utf8").toString("latin1");
    return head;
  }
}
