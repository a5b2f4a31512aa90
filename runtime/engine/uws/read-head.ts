import type { RequestHead } from "../../http/client.ts";
import type { ConnectionAddresses } from "./client-address.ts";
import type { HeadSize } from "../../http/head-limits.ts";
import type { OriginResolver } from "../../http/origin.ts";
import type { HttpRequest, HttpResponse } from "./uws.ts";

/** A head that is refused: its framing or its names cannot be trusted, so the connection ends with the answer. */
export interface HeadRefusal {
  status: 400 | 405 | 501;
  reason: string;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** DEL, and all that is not ASCII. */
const UNCOMMON = /[^\0-\x7e]/;
const DIGITS = /^\d+$/;

/** The library's replacement for bytes that are not UTF-8. A client that sends this character itself is refused too. */
const REPLACEMENT = "\ufffd";
const DEL = "\x7f";

/**
 * With these a client sends a length, 0 where there is no body (RFC 9110 section 8.6). Without one it may be hidden.
 */
const EXPECTS_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** The library ends the connection after the answer for any value of this length. */
const LIBRARY_CLOSES_LENGTH = "close".length;

/** Connection options that name no field to leave out: they are no fields, or left out anyway. */
const PLAIN_OPTIONS: ReadonlySet<string> = new Set(["close", "keep-alive", "te", "upgrade"]);

/**
 * Fields that stay although `Connection` names them. They are end-to-end. A client that could remove them could hide
 * its identity, or the addresses that a proxy has seen, from a handler.
 */
const END_TO_END =
  /^(?:host|authorization|cookie|origin|referer|forwarded|via|x-real-ip|cache-control|if-.*|content-.*|x-forwarded-.*|sec-.*|.*-user|remote-.*)$/;

/** Two spaces, `HTTP/1.1` and the end of the line. */
const REST_OF_LINE_BYTES = 12;

/** A colon, a space and the end of the line. */
const SEPARATORS_BYTES = 4;

/** As many names are remembered as valid; more are looked at anew each time. */
const REMEMBERED_NAMES = 1024;

/**
 * Reads request heads out of uWebSockets.js and refuses invalid ones that its parser accepts (docs/uwebsockets.md
 * section 3). One reader per listener: the state below belongs to the head being read, which never outlives one call.
 */
export class HeadReader {
  readonly #origins: OriginResolver;
  readonly #addresses: ConnectionAddresses;
  readonly #validNames = new Set<string>();
  readonly #onNewName: (name: string) => void;
  /** Whether the connection ends with the response to the head that was read last. */
  isLast = false;
  /** Whether the library ends it then, unasked. */
  libraryCloses = false;
  #connection: string | null = null;
  #hasControl = false;
  #fields = "";
  #host: string | null = null;
  #contentLength: string | null = null;
  #transferCoding: string | null = null;
  #refusal: HeadRefusal | null = null;
  /** Of the head that was read last, whether it was refused or not. */
  readonly size: HeadSize = { requestLineBytes: 0, fields: 0, fieldsBytes: 0, targetBytes: 0 };

  /** @param options.onNewName Called with a field name that was not seen before, or not lately. */
  constructor(options: {
    origins: OriginResolver;
    addresses: ConnectionAddresses;
    onNewName?: (name: string) => void;
  }) {
    this.#origins = options.origins;
    this.#addresses = options.addresses;
    this.#onNewName = options.onNewName ?? (() => {});
  }

  /**
   * Copies all needed parts: `req` is dead once its callback has returned.
   *
   * @param knownMethod The method, if the caller knows it: asking `req` costs a string.
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
    const origin = this.#origins.resolve(host);
    if (origin === null) return { status: 400, reason: "Host names no origin" };
    const bodyBytes = this.#bodyBytes();
    if (typeof bodyBytes === "object" && bodyBytes !== null) return bodyBytes;
    // The parser reads some wrong chunk sizes as the end of the body, and a field with an empty name hides all that
    // follow it, Content-Length too: the bytes after such a request must never be run as another one.
    if (bodyBytes === null) this.isLast = true;
    else if (this.#contentLength === null && EXPECTS_BODY.has(method)) this.isLast = true;
    if (this.#connection !== null) this.#readConnection(this.#connection);
    const fields = this.#takeFields();
    if (typeof fields === "object") return fields;

    return {
      method,
      target,
      origin,
      fields,
      bodyBytes,
      clientAddress: this.#addresses.of(res),
    };
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
        // The parser takes the first and reads the rest of the body as the next request.
        if (this.#contentLength !== null) this.#refuse(400, "two Content-Length fields");
        this.#contentLength = value;
        break;
      case "transfer-encoding":
        if (this.#transferCoding !== null) this.#refuse(400, "two Transfer-Encoding fields");
        this.#transferCoding = value;
        return;
      // They concern this connection only (RFC 9110 section 7.6.1); "expect" is answered by the library.
      case "connection":
        if (this.#connection === null) {
          this.#connection = value;
          // It looks at the first of them only.
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
        if (!this.#isValidName(name)) this.#refuse(400, "field name is not a token");
    }
    this.#fields += this.#fields === "" ? `${name}\n${value}` : `\n${name}\n${value}`;
  };

  #refuse(status: HeadRefusal["status"], reason: string): void {
    this.#refusal ??= { status, reason };
  }

  #isValidName(name: string): boolean {
    if (this.#validNames.has(name)) return true;
    if (!TOKEN.test(name)) return false;
    if (this.#validNames.size < REMEMBERED_NAMES) this.#validNames.add(name);
    this.#onNewName(name);
    return true;
  }

  /** Connection options (RFC 9110 section 7.6.1), of all `Connection` fields. */
  #readConnection(options: string): void {
    this.isLast ||= this.libraryCloses;
    // The library closes after `close`. Neither names a field to leave out.
    if (options === "keep-alive" || options === "close") return;
    this.#hasControl ||= options.includes(DEL);
    const named = options.split(",").map((option) => option.trim().toLowerCase());
    if (named.includes("close")) this.isLast = true;
    const dropped = named.filter((name) => !PLAIN_OPTIONS.has(name) && !END_TO_END.test(name));
    if (dropped.length > 0) this.#fields = withoutFields(this.#fields, new Set(dropped));
  }

  /** RFC 9112 section 6.3: chunked, or so many bytes, or none. */
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

  /** The library decodes values as UTF-8; to a handler each character is one byte of the value (Fetch standard). */
  #takeFields(): string | HeadRefusal {
    const fields = this.#fields;
    const hasUncommon = UNCOMMON.test(fields);
    if (this.#hasControl || (hasUncommon && fields.includes(DEL))) {
      return { status: 400, reason: "control character in a field value" };
    }
    if (!hasUncommon) return fields;
    // The bytes are lost, and another value must not take their place.
    if (fields.includes(REPLACEMENT)) return { status: 400, reason: "field value is not UTF-8" };
    return Buffer.from(fields, "utf8").toString("latin1");
  }
}

/**
 * `null` for `chunked`, the only coding there is here. The parser takes any other for it, so its idea of where the body
 * ends cannot be trusted.
 *
 * @param coding In lower case.
 */
function refusalOfCoding(coding: string): HeadRefusal | null {
  if (coding === "chunked") return null;
  const codings = coding.split(",").map((name) => name.trim());
  const isChunkedOnce = codings.indexOf("chunked") === codings.length - 1;
  // RFC 9112 section 6.3: a body whose last coding is another ends nowhere. Section 6.1: the rest is not known here.
  return isChunkedOnce
    ? { status: 501, reason: "Transfer-Encoding is not chunked alone" }
    : { status: 400, reason: "Transfer-Encoding does not end in chunked, once" };
}

/** A field block without the fields of these names. */
function withoutFields(block: string, names: ReadonlySet<string>): string {
  const parts = block.split("\n");
  return parts.filter((_, at) => !names.has(parts[at - (at % 2)] ?? "")).join("\n");
}
