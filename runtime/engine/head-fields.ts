import { dropFields } from "../http/change-fields.ts";
import type { RequestHead } from "../http/client.ts";
import {
  type Field,
  type FieldRole,
  readForwarding,
  toFieldRole,
  type Trust,
} from "../http/forwarding.ts";
import type { HeadSize } from "../http/head-limits.ts";
import { OriginResolver } from "../http/origin.ts";
import { listTokens } from "../lib/list-tokens.ts";

/**
 * The reason why a head is refused: its framing or its field names cannot be trusted. The connection ends with the
 * answer.
 */
export interface HeadRefusal {
  status: 400 | 405 | 408 | 414 | 417 | 431 | 501 | 505;
  reason: string;
}

/** A request line, or the pseudo-fields of HTTP/2. */
export interface RequestLine {
  method: string;
  target: string;
  /** Size of the request line, with its end. */
  bytes: number;
}

const HOST_ONLY: ReadonlySet<string> = new Set(["host"]);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const DIGITS = /^\d+$/;
/** Recipients that count with 64 bits misread a length from here on. */
const MOST_LENGTH = 2 ** 63;
const DEL = "\x7f";

/**
 * Connection options that name no field to leave out. They are not field names, or this module leaves the field out
 * anyway.
 */
const PLAIN_OPTIONS: ReadonlySet<string> = new Set(["close", "keep-alive", "te", "upgrade"]);

/**
 * End-to-end fields that stay even if `Connection` names them. A client that could remove them could hide from a
 * handler its identity or the addresses that a proxy has seen.
 */
const END_TO_END =
  /^(?:host|authorization|cookie|origin|referer|forwarded|via|x-real-ip|cache-control|if-.*|content-.*|x-forwarded-.*|sec-.*|.*-user|remote-.*)$/;

/** A colon, a space and the end of the line. */
const SEPARATORS_BYTES = 4;

/** Most field names that are remembered as valid. Further names are checked each time. */
const REMEMBERED_NAMES = 1024;

/**
 * Collects the fields of a request head, and makes a `RequestHead` of them. Has the rules that all engines share:
 * which fields are refused, which ones are left out, and which client and host a trusted proxy names.
 *
 * Each listener has one object. Its state describes one head, from `begin` to `toHead`.
 */
export class HeadFields {
  readonly #origins: Readonly<Record<"http" | "https", OriginResolver>> = {
    http: new OriginResolver("http"),
    https: new OriginResolver("https"),
  };
  readonly #scheme: "http" | "https";
  readonly #ownOrigins: OriginResolver;
  readonly #plainNames = new Set<string>();
  /** Roles of the other valid field names. */
  readonly #otherRoles = new Map<string, FieldRole>();
  readonly #onNewName: (name: string) => void;
  readonly #onDropped: (name: string, peer: string) => void;
  /** The proxies whose forwarding fields count; `null`: none. Changes between two requests. */
  trust: Trust | null = null;
  /** The origin that `Host` names in the head that was read last. A trusted proxy may name another one. */
  ownOrigin = "";
  /** Values of all `Connection` fields, as one list; `null`: there is none. */
  connection: string | null = null;
  /** Value of the first `Connection` field. */
  firstConnection: string | null = null;
  /** `Connection` has the option `close`. Known after `toHead`. */
  hasClose = false;
  host: string | null = null;
  contentLength: string | null = null;
  transferCoding: string | null = null;
  /** Values of all `Expect` fields, as one list; `null`: there is none. */
  expect: string | null = null;
  /** The first reason to refuse the head. */
  refusal: HeadRefusal | null = null;
  #hasControl = false;
  #block = "";
  /** Fields that describe the client, apart from the others; `null`: none. */
  #forwarding: Field[] | null = null;
  /** Size of the head that was read last, also of a refused one. */
  readonly size: HeadSize = { requestLineBytes: 0, fields: 0, fieldsBytes: 0, targetBytes: 0 };

  /**
   * @param options.scheme Scheme of the connections.
   * @param options.onNewName Called with a field name that was not seen before or is no longer remembered.
   * @param options.onDropped Called with a field that is left out because its sender is not trusted.
   */
  constructor(options: {
    scheme: "http" | "https";
    onNewName?: ((name: string) => void) | undefined;
    onDropped?: ((name: string, peer: string) => void) | undefined;
  }) {
    this.#scheme = options.scheme;
    this.#ownOrigins = this.#origins[options.scheme];
    this.#onNewName = options.onNewName ?? (() => {});
    this.#onDropped = options.onDropped ?? (() => {});
  }

  /** Begins with another head. */
  begin(line: RequestLine): void {
    this.#block = "";
    this.#hasControl = false;
    this.#forwarding = null;
    this.connection = null;
    this.firstConnection = null;
    this.hasClose = false;
    this.host = null;
    this.contentLength = null;
    this.transferCoding = null;
    this.expect = null;
    this.refusal = null;
    this.size.fields = 0;
    this.size.fieldsBytes = 0;
    this.size.targetBytes = line.target.length;
    this.size.requestLineBytes = line.bytes;
  }

  /** Adds a field. Its name is in lower case. */
  readonly add = (name: string, value: string): void => {
    this.size.fields++;
    this.size.fieldsBytes += name.length + value.length + SEPARATORS_BYTES;
    switch (name) {
      case "host":
        if (this.host !== null) this.refuse(400, "two Host fields");
        this.host = value;
        break;
      case "content-length":
        // Two recipients may use different ones, and take the rest of the body for the next request.
        if (this.contentLength !== null) this.refuse(400, "two Content-Length fields");
        this.contentLength = value;
        break;
      case "transfer-encoding":
        if (this.transferCoding !== null) this.refuse(400, "two Transfer-Encoding fields");
        this.transferCoding = value;
        return;
      // These fields concern this connection only (RFC 9110 section 7.6.1), and the engine answers "expect".
      case "connection":
        if (this.connection === null) {
          this.connection = value;
          this.firstConnection = value;
        } else this.connection += `,${value}`;
        return;
      case "expect":
        this.expect = this.expect === null ? value : `${this.expect}, ${value}`;
        this.#hasControl ||= value.includes(DEL);
        return;
      case "keep-alive":
      case "proxy-connection":
      case "te":
        this.#hasControl ||= value.includes(DEL);
        return;
      default:
        if (!this.#plainNames.has(name) && this.#takeOut(name, value)) return;
    }
    this.#block += this.#block === "" ? `${name}\n${value}` : `\n${name}\n${value}`;
  };

  /** Notes a reason to refuse the head. The first reason counts. */
  refuse(status: HeadRefusal["status"], reason: string): void {
    this.refusal ??= { status, reason };
  }

  /** Uses this host instead of the one that `Host` names: the target of the request names it. */
  replaceHost(host: string): void {
    if (this.host !== host) {
      const rest = dropFields(this.#block, (name) => HOST_ONLY.has(name));
      this.#block = `host\n${host}${rest === "" ? "" : `\n${rest}`}`;
    }
    this.host = host;
  }

  /**
   * Returns the length of the body (RFC 9112 section 6.3): a number of bytes, 0 for no body, `null` for chunked. For
   * HTTP/1 only.
   */
  bodyBytes(): number | null | HeadRefusal {
    const length = this.contentLength;
    const coding = this.transferCoding;
    if (coding !== null) {
      if (length !== null) {
        return { status: 400, reason: "both Transfer-Encoding and Content-Length" };
      }
      return refusalOfCoding(coding.toLowerCase());
    }
    if (length === null) return 0;
    if (!DIGITS.test(length)) return { status: 400, reason: "Content-Length is not a number" };
    const bytes = Number(length);
    if (bytes >= MOST_LENGTH) return { status: 400, reason: "Content-Length is too large" };
    return bytes;
  }

  /**
   * Returns the head. The caller checks the values of its fields; `hasControl` tells about values that are not in it.
   *
   * @param request.peer Address of the peer.
   */
  toHead({
    method,
    target,
    bodyBytes,
    peer,
  }: Pick<RequestHead, "method" | "target" | "bodyBytes"> & { peer: string }):
    | RequestHead
    | HeadRefusal {
    const { host } = this;
    if (host === null) return { status: 400, reason: "no Host" };
    const origin = this.#ownOrigins.resolve(host);
    if (origin === null) return { status: 400, reason: "Host names no origin" };
    if (this.connection !== null) this.#readConnection(this.connection);
    const head: RequestHead = {
      method,
      target,
      origin,
      fields: "",
      bodyBytes,
      clientAddress: peer,
    };
    this.ownOrigin = origin;
    if (this.#forwarding !== null && !this.#applyForwarding(head, host)) {
      return { status: 400, reason: "a trusted proxy names no origin" };
    }
    head.fields = this.#block;
    return head;
  }

  /** A value that is not in the field block has a control character. */
  get hasControl(): boolean {
    return this.#hasControl;
  }

  /** True if `Connection` has the option `upgrade`. */
  get asksForUpgrade(): boolean {
    return listTokens(this.connection?.toLowerCase() ?? "").includes("upgrade");
  }

  /** Returns the address of the client that sent the head that was read last, also of a refused head. */
  clientAddress(peer: string): string {
    const forwarding = this.#forwarding;
    if (forwarding === null || this.trust?.proxies.has(peer) !== true) return peer;
    const connection = { peer, scheme: this.#scheme, host: this.host ?? "" };
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
    if (found.host !== host) this.replaceHost(found.host);
    for (const [name, value] of found.fields) this.#block += `\n${name}\n${value}`;
    return true;
  }

  /** Takes a field that describes the client out of the block. Returns false for a field that stays in it. */
  #takeOut(name: string, value: string): boolean {
    const role = this.#otherRoles.get(name) ?? this.#learnRole(name);
    if (role === null) {
      this.refuse(400, "field name is not a token");
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
    // The usual values, which name no field to leave out.
    if (options === "keep-alive") return;
    if (options === "close") {
      this.hasClose = true;
      return;
    }
    this.#hasControl ||= options.includes(DEL);
    const named = options.split(",").map((option) => option.trim().toLowerCase());
    if (named.includes("close")) this.hasClose = true;
    const dropped = named.filter((name) => !PLAIN_OPTIONS.has(name) && !END_TO_END.test(name));
    if (dropped.length > 0) this.#block = dropFields(this.#block, (name) => dropped.includes(name));
  }
}

/** Tells whether a text is a token (RFC 9110 section 5.6.2). */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/**
 * Returns `null` for `chunked`, the only coding that this server supports. The parser takes every other coding for
 * `chunked`, so it may misread where the body ends.
 *
 * @param coding In lower case.
 */
function refusalOfCoding(coding: string): HeadRefusal | null {
  if (coding === "chunked") return null;
  // `trim` would also take a no-break space (0xa0), which is no part of a list.
  const codings = coding.split(/[\t ]*,[\t ]*/);
  const isChunkedOnce = codings.indexOf("chunked") === codings.length - 1;
  // A body without `chunked` as its last coding has no known end (RFC 9112 section 6.3). Other codings are not
  // supported here (section 6.1).
  return isChunkedOnce
    ? { status: 501, reason: "Transfer-Encoding is not chunked alone" }
    : { status: 400, reason: "Transfer-Encoding does not end in chunked, once" };
}
