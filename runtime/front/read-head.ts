import type { RequestHead } from "../dispatch/client-side.ts";
import type { ConnectionAddresses } from "./client-address.ts";
import type { HeadSize } from "./head-limits.ts";
import type { OriginResolver } from "./origin.ts";
import type { HttpRequest, HttpResponse } from "./uws.ts";

/** A head that is refused: its framing or its names cannot be trusted, so the connection ends with the answer. */
export interface HeadRefusal {
  status: 400 | 405 | 501;
  reason: string;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NOT_ASCII = /[^\0-\x7f]/;
const DIGITS = /^\d+$/;

/** Two spaces, `HTTP/1.1` and the end of the line. */
const REST_OF_LINE_BYTES = 12;

/** A colon, a space and the end of the line. */
const SEPARATORS_BYTES = 4;

/** As many names are remembered as valid; more are looked at anew each time. */
const REMEMBERED_NAMES = 1024;

/**
 * Reads request heads out of uWebSockets.js and refuses what its parser lets pass (uws-notes section 2). One reader
 * per listener: the state below belongs to the head being read, which never outlives one call.
 */
export class HeadReader {
  readonly #origins: OriginResolver;
  readonly #addresses: ConnectionAddresses;
  readonly #validNames = new Set<string>();
  /** Whether the head that was read last asks to close the connection after its response. */
  closes = false;
  #fields = "";
  #host: string | null = null;
  #contentLength: string | null = null;
  #transferCoding: string | null = null;
  #refusal: HeadRefusal | null = null;
  /** Of the head that was read last, whether it was refused or not. */
  readonly size: HeadSize = { requestLineBytes: 0, fields: 0, fieldsBytes: 0, targetBytes: 0 };

  constructor(options: { origins: OriginResolver; addresses: ConnectionAddresses }) {
    this.#origins = options.origins;
    this.#addresses = options.addresses;
  }

  /**
   * Copies all that is needed: `req` is dead once the callback that got it has returned.
   *
   * @param knownMethod What `req` would say, if the caller knows it: to ask costs a string.
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
    this.closes = false;
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

    return {
      method,
      target,
      origin,
      fields: this.#takeFields(),
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
        // As the library sees it: any value of this length.
        this.closes = value.length === "close".length;
        return;
      case "keep-alive":
      case "proxy-connection":
      case "te":
      case "expect":
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
    return true;
  }

  /** RFC 9112 section 6.3: chunked, or so many bytes, or none. */
  #bodyBytes(): number | null | HeadRefusal {
    const length = this.#contentLength;
    const coding = this.#transferCoding;
    if (coding !== null) {
      if (length !== null) {
        return { status: 400, reason: "both Transfer-Encoding and Content-Length" };
      }
      // The parser takes any coding for chunked, so its idea of where the body ends cannot be trusted.
      if (coding.toLowerCase() !== "chunked") {
        return { status: 501, reason: "Transfer-Encoding is not chunked" };
      }
      return null;
    }
    if (length === null) return 0;
    if (!DIGITS.test(length)) return { status: 400, reason: "Content-Length is not a number" };
    return Number(length);
  }

  /** The library decodes values as UTF-8; to a handler each character is one byte of the value (Fetch standard). */
  #takeFields(): string {
    const fields = this.#fields;
    return NOT_ASCII.test(fields) ? Buffer.from(fields, "utf8").toString("latin1") : fields;
  }
}
