import { dropFields } from "../../http/change-fields.ts";
import type { RequestHead } from "../../http/client.ts";
import type { ConnectionAddresses } from "./client-address.ts";
import type { HeadSize } from "../../http/head-limits.ts";
import {
  type Field,
  type FieldRole,
  readForwarding,
  toFieldRole,
  type Trust,
} from "../../http/forwarding.ts";
import { OriginResolver } from "../../http/origin.ts";
import type { HttpRequest, HttpResponse } from "./uws.ts";

/**
 * The reason why a head is refused: its framing or its field names cannot be trusted. The connection ends with the
 * answer.
 */
export interface HeadRefusal {
  status: 400 | 405 | 501;
  reason: string;
}

const HOST_ONLY: ReadonlySet<string> = new Set(["host"]);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** DEL, and every character outside of ASCII. */
const UNCOMMON = /[^\0-\x7e]/;
const DIGITS = /^\d+$/;

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

/**
 * Connection options that name no field to leave out. They are not field names, or the reader leaves the field out
 * anyway.
 */
const PLAIN_OPTIONS: ReadonlySet<string> = new Set(["close", "keep-alive", "te", "upgrade"]);

/**
 * End-to-end fields that stay even if `Connection` names them. A client that could remove them could hide from a
 * handler its identity or the addresses that a proxy has seen.
 */
const END_TO_END =
  /^(?:host|authorization|cookie|origin|referer|forwarded|via|x-real-ip|cache-control|if-.*|content-.*|x-forwarded-.*|sec-.*|.*-user|remote-.*)$/;

/** Two spaces, `HTTP/1.1` and the end of the line. */
const REST_OF_LINE_BYTES = 12;

/** A colon, a space and the end of the line. */
const SEPARATORS_BYTES = 4;

/** Most field names that are remembered as valid. Further names are checked each time. */
const REMEMBERED_NAMES = 1024;

/**
 * Reads request heads out of uWebSockets.js and refuses invalid ones that its parser accepts (docs/uwebsockets.md
 * section 3). Each listener has one reader. Its private state describes one head and is reset by each `read`.
 */
export class HeadReader {
  readonly #origins: Readonly<Record<"http" | "https", OriginResolver>> = {
    http: new OriginResolver("http"),
    https: new OriginResolver("https"),
  };
  readonly #scheme: "http" | "https";
  readonly #ownOrigins: OriginResolver;
  readonly #addresses: ConnectionAddresses;
  readonly #plainNames = new Set<string>();
  /** Roles of the other valid field names. */
  readonly #otherRoles = new Map<string, FieldRole>();
  readonly #onNewName: (name: string) => void;
  readonly #onDropped: (name: string, peer: string) => void;
  /** The proxies whose forwarding fields count; `null`: none. Changes between two requests. */
  trust: Trust | null = null;
  /** The origin that `Host` names in the head that was read last. A trusted proxy may name another one. */
  ownOrigin = "";
  /** True if the connection must end with the response to the head that was read last. */
  isLast = false;
  /** True if the library itself ends the connection then. */
  libraryCloses = false;
  #connection: string | null = null;
  #hasControl = false;
  #fields = "";
  #host: string | null = null;
  #contentLength: string | null = null;
  #transferCoding: string | null = null;
  #refusal: HeadRefusal | null = null;
  /** Fields that describe the client, apart from the others; `null`: none. */
  #forwarding: Field[] | null = null;
  /** Size of the head that was read last, also of a refused one. */
  readonly size: HeadSize = { requestLineBytes: 0, fields: 0, fieldsBytes: 0, targetBytes: 0 };

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
    this.#scheme = options.scheme;
    this.#ownOrigins = this.#origins[options.scheme];
    this.#addresses = options.addresses;
    this.#onNewName = options.onNewName ?? (() => {});
    this.#onDropped = options.onDropped ?? (() => {});
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
    this.#fields = "";
    this.#host = null;
    this.#contentLength = null;
    this.#transferCoding = null;
    this.#refusal = null;
    this.#connection = null;
    this.#hasControl = false;
    this.#forwarding = null;
    this.isLast = false;
    this.libraryCloses = false;
    this.size.fields = 0;
    this.size.fieldsBytes = 0;

    const method = knownMethod ?? req.getCaseSensitiveMethod();
    const query = req.getQuery() as string | undefined;
    const path = req.getUrl();
    const target = query === undefined ? path : `${path}?${query}`;
    this.size.targetBytes = target.length;
    this.size.requestLineBytes = method.length + target.length + REST_OF_LINE_BYTES;
    req.forEach(this.#onField);
    if (this.#refusal !== null) return this.#refusal;

    if (knownMethod === null) {
      if (method === "TRACE" || method === "CONNECT") {
        return { status: 405, reason: `method ${method}` };
      }
      if (!TOKEN.test(method)) return { status: 400, reason: "method is not a token" };
    }
    const host = this.#host;
    if (host === null) return { status: 400, reason: "no Host" };
    const origin = this.#ownOrigins.resolve(host);
    if (origin === null) return { status: 400, reason: "Host names no origin" };
    const bodyBytes = this.#bodyBytes();
    if (typeof bodyBytes === "object" && bodyBytes !== null) return bodyBytes;
    // The parser takes some invalid chunk sizes for the end of the body. A field with an empty name hides all later
    // fields, `Content-Length` too. Bytes after such a request must not be run as another request (decision 037).
    if (bodyBytes === null) this.isLast = true;
    else if (this.#contentLength === null && EXPECTS_BODY.has(method)) this.isLast = true;
    if (this.#connection !== null) this.#readConnection(this.#connection);
    const head: RequestHead = {
      method,
      target,
      origin,
      fields: "",
      bodyBytes,
      clientAddress: this.#addresses.of(res),
    };
    this.ownOrigin = origin;
    if (this.#forwarding !== null && !this.#applyForwarding(head, host)) {
      return { status: 400, reason: "a trusted proxy names no origin" };
    }
    const fields = this.#takeFields();
    if (typeof fields === "object") return fields;
    head.fields = fields;
    return head;
  }

  /** Returns the address of the client that sent the head that was read last, also of a refused head. */
  clientAddress(res: HttpResponse): string {
    const peer = this.#addresses.of(res);
    const forwarding = this.#forwarding;
    if (forwarding === null || this.trust?.proxies.has(peer) !== true) return peer;
    const connection = { peer, scheme: this.#scheme, host: this.#host ?? "" };
    return readForwarding(connection, forwarding, this.trust).clientAddress;
  }

  /**
   * Applies the fields that describe the client if a trusted proxy sent them, and drops them otherwise.
   *
   * @returns False: the proxy names a host that is none.
   */
  #applyForwarding(head: RequestHead, host: string): boolean {
    const forwarding = this.#forwarding ?? [];
    const peer = head.clientAddress;
    if (this.trust?.proxies.has(peer) !== true) {
      for (const [name] of forwarding) this.#onDropped(name, peer);
      return true;
    }
    const found = readForwarding({ peer, scheme: this.#scheme, host }, forwarding, this.trust);
    const origin = this.#origins[found.scheme].resolve(found.host);
    if (origin === null) return false;
    head.origin = origin;
    head.peerAddress = peer;
    head.clientAddress = found.clientAddress;
    head.requestId = found.requestId;
    // All programs behind this server must see the same host.
    if (found.host !== host) {
      const rest = dropFields(this.#fields, (name) => HOST_ONLY.has(name));
      this.#fields = `host\n${found.host}${rest === "" ? "" : `\n${rest}`}`;
    }
    for (const [name, value] of found.fields) this.#fields += `\n${name}\n${value}`;
    return true;
  }

  readonly #onField = (name: string, value: string): void => {
    this.size.fields++;
    this.size.fieldsBytes += name.length + value.length + SEPARATORS_BYTES;
    switch (name) {
      case "host":
        if (this.#host !== null) this.#refuse(400, "two Host fields");
        this.#host = value;
        break;
      case "content-length":
        // The parser uses the first length, and takes the rest of the body for the next request.
        if (this.#contentLength !== null) this.#refuse(400, "two Content-Length fields");
        this.#contentLength = value;
        break;
      case "transfer-encoding":
        if (this.#transferCoding !== null) this.#refuse(400, "two Transfer-Encoding fields");
        this.#transferCoding = value;
        return;
      // These fields concern this connection only (RFC 9110 section 7.6.1). The library itself answers "expect".
      case "connection":
        if (this.#connection === null) {
          this.#connection = value;
          // The library reads only the first `Connection` field.
          this.libraryCloses = value.length === LIBRARY_CLOSES_LENGTH;
        } else this.#connection += `,${value}`;
        return;
      case "keep-alive":
      case "proxy-connection":
      case "te":
      case "expect":
        this.#hasControl ||= value.includes(DEL);
        return;
      default:
        if (!this.#plainNames.has(name) && this.#takeOut(name, value)) return;
    }
    this.#fields += this.#fields === "" ? `${name}\n${value}` : `\n${name}\n${value}`;
  };

  #refuse(status: HeadRefusal["status"], reason: string): void {
    this.#refusal ??= { status, reason };
  }

  /** Takes a field that describes the client out of the block. Returns false for a field that stays in it. */
  #takeOut(name: string, value: string): boolean {
    const role = this.#otherRoles.get(name) ?? this.#learnRole(name);
    if (role === null) {
      this.#refuse(400, "field name is not a token");
      return true;
    }
    if (role === "plain" || (role === "request-id" && this.trust === null)) return false;
    // A field with `_` looks to many programs like the one with `-`: it is dropped, also from a proxy.
    if (role !== "twin" && role !== "server") (this.#forwarding ??= []).push([name, value]);
    this.#hasControl ||= value.includes(DEL);
    return true;
  }

  /** Returns the role of a field; `null`: its name is invalid. */
  #learnRole(name: string): FieldRole | null {
    if (!TOKEN.test(name)) return null;
    const role = toFieldRole(name);
    if (this.#plainNames.size + this.#otherRoles.size < REMEMBERED_NAMES) {
      if (role === "plain") this.#plainNames.add(name);
      else this.#otherRoles.set(name, role);
    }
    this.#onNewName(name);
    return role;
  }

  /** Applies the options of all `Connection` fields (RFC 9110 section 7.6.1). */
  #readConnection(options: string): void {
    this.isLast ||= this.libraryCloses;
    // The usual values, which name no field to leave out. `libraryCloses` covers `close`.
    if (options === "keep-alive" || options === "close") return;
    this.#hasControl ||= options.includes(DEL);
    const named = options.split(",").map((option) => option.trim().toLowerCase());
    if (named.includes("close")) this.isLast = true;
    const dropped = named.filter((name) => !PLAIN_OPTIONS.has(name) && !END_TO_END.test(name));
    if (dropped.length > 0)
      this.#fields = dropFields(this.#fields, (name) => dropped.includes(name));
  }

  /** Returns the length of the body (RFC 9112 section 6.3): a number of bytes, 0 for no body, `null` for chunked. */
  #bodyBytes(): number | null | HeadRefusal {
    const length = this.#contentLength;
    const coding = this.#transferCoding;
    if (coding !== null) {
      if (length !== null) {
        return { status: 400, reason: "both Transfer-Encoding and Content-Length" };
      }
      return refusalOfCoding(coding.toLowerCase());
    }
    if (length === null) return 0;
    if (!DIGITS.test(length)) return { status: 400, reason: "Content-Length is not a number" };
    return Number(length);
  }

  /**
   * Returns the field block in the form of the Fetch standard, in which each character is one byte. The library decodes
   * values as UTF-8 instead.
   */
  #takeFields(): string | HeadRefusal {
    const fields = this.#fields;
    const hasUncommon = UNCOMMON.test(fields);
    if (this.#hasControl || (hasUncommon && fields.includes(DEL))) {
      return { status: 400, reason: "control character in a field value" };
    }
    if (!hasUncommon) return fields;
    // The client's bytes are lost, and the handler must not get another value.
    if (fields.includes(REPLACEMENT)) return { status: 400, reason: "field value is not UTF-8" };
    return Buffer.from(fields, "utf8").toString("latin1");
  }
}

/**
 * Returns `null` for `chunked`, the only coding that this server supports. The parser takes every other coding for
 * `chunked`, so it may misread where the body ends.
 *
 * @param coding In lower case.
 */
function refusalOfCoding(coding: string): HeadRefusal | null {
  if (coding === "chunked") return null;
  const codings = coding.split(",").map((name) => name.trim());
  const isChunkedOnce = codings.indexOf("chunked") === codings.length - 1;
  // A body without `chunked` as its last coding has no known end (RFC 9112 section 6.3). Other codings are not
  // supported here (section 6.1).
  return isChunkedOnce
    ? { status: 501, reason: "Transfer-Encoding is not chunked alone" }
    : { status: 400, reason: "Transfer-Encoding does not end in chunked, once" };
}
