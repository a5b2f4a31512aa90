import { assertNever } from "../lib/errors.ts";
import { ChunkDecoder } from "../lib/chunk-decoder.ts";
import {
  BAD_LINES,
  type AnsweredRequest,
  type FieldNames,
  mayBeHead,
  NO_STATUS_LINE,
  type ParsedHead,
  parseResponseHead,
  refuseTrailers,
} from "./response-head.ts";

/** Receives the parts of a response, in the order of the bytes. It may stop the reader in each call. */
export interface ReaderSink {
  onInformational(status: number, fields: string): void;
  onHead(head: ParsedHead): void;
  /** The bytes are lent. False: the sink takes no more bytes in this call of `push`. */
  onBody(bytes: Buffer): boolean;
  /** The response is complete. `hasSurplus`: bytes followed that belong to no response. */
  onComplete(hasSurplus: boolean): void;
  /** The upstream changed the protocol. The bytes are lent, and belong to the new one. */
  onSwitch(head: ParsedHead, bytes: Buffer): void;
  /** The response has no single meaning. `reason` completes "the upstream sent ...". */
  onRefused(reason: string): void;
}

export interface ReaderOptions {
  sink: ReaderSink;
  names: FieldNames;
  /** Largest head, with all its lines. */
  headBytes: number;
  fields: number;
}

/** Where a reader is in a response. `first-byte`: before a head. `idle`: no response is expected, or it is complete. */
export type ReaderState = "idle" | "first-byte" | "head" | "body";

/** More informational responses before one final response are an error, or an attack. */
const MOST_INFORMATIONAL = 64;

const HEAD_END = "\r\n\r\n";
/** Characters of a head that show whether it is one. */
const HEAD_START = "HTTP/1.1 ".length;
/** A LF without a CR. One at the start of a head is no status line either. */
const BARE_LINE_FEED = /[^\r]\n/;

/** Reads responses (RFC 9112), one after the other, from bytes in pieces of any size. */
export class ResponseReader {
  readonly #options: ReaderOptions;
  #state: ReaderState = "idle";
  #request: AnsweredRequest = { isHead: false, asksForUpgrade: false };
  #isBegun = false;
  /** The start of a head that is not complete, and its last three characters. */
  #head = "";
  #tail = "";
  #informational = 0;
  /** Bytes of the body left; infinite: it ends with the connection. */
  #left = 0;
  #chunks: ChunkDecoder | null = null;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  get state(): ReaderState {
    return this.#state;
  }

  /** A byte of the response has arrived, perhaps of an informational one. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** Expects the response to a request. */
  begin(request: AnsweredRequest): void {
    this.#request = request;
    this.#state = "first-byte";
    this.#isBegun = false;
    this.#informational = 0;
  }

  /** Reads nothing more of this response. Also has an effect within a call of the sink. */
  stop(): void {
    this.#state = "idle";
    this.#head = "";
    this.#tail = "";
    this.#chunks = null;
  }

  /**
   * Reads bytes, and tells the sink. Returns the number of bytes that were read: fewer than `end - start` after
   * `onBody` returned false, and once no response is expected any more.
   */
  push(bytes: Buffer, start: number, end: number): number {
    let at = start;
    let goesOn = true;
    this.#isBegun = true;
    while (at < end && this.#state !== "idle") {
      if (this.#state !== "body") at = this.#readHead(bytes, at, end);
      else {
        if (this.#chunks !== null) at = this.#skipLines(this.#chunks, bytes, at, end);
        const size = this.#dataBytes(end - at);
        // A pause leaves data for later, but does not hide the end of a body that is complete.
        if (size > 0 && !goesOn) break;
        if (size > 0) goesOn = this.#pass(bytes, at, at + size, end);
        at += size;
      }
    }
    return at - start;
  }

  /** Notes the end of the connection. Completes a body that ends with it, otherwise returns the reason of a failure. */
  finish(): string | null {
    switch (this.#state) {
      case "idle":
        return null;
      case "first-byte":
        return "the upstream closed the connection without an answer";
      case "head":
        return "the upstream closed the connection within the head of its answer";
      case "body":
        if (this.#chunks !== null || this.#left !== Number.POSITIVE_INFINITY)
          return "the upstream closed the connection before its body was complete";
        this.#complete(false);
        return null;
      default:
        return assertNever(this.#state);
    }
  }

  #readHead(bytes: Buffer, start: number, end: number): number {
    const { headBytes } = this.#options;
    const had = this.#head.length;
    const stop = Math.min(end, start + headBytes + HEAD_END.length - had);
    const text = this.#tail + bytes.toString("latin1", start, stop);
    const overlap = this.#tail.length;
    const blank = text.indexOf(HEAD_END);
    if (blank === -1) {
      this.#holdHead(text, overlap);
      return stop;
    }
    const last = text.slice(0, blank + 2);
    const lines = had === 0 ? last : this.#head.slice(0, had - overlap) + last;
    this.#head = "";
    this.#tail = "";
    const at = start + blank + HEAD_END.length - overlap;
    return this.#takeHead(lines, bytes, at, end);
  }

  /** Keeps the start of a head, unless it can no longer become a valid one. */
  #holdHead(text: string, overlap: number): void {
    this.#state = "head";
    const isStart = this.#head.length < HEAD_START;
    this.#head += text.slice(overlap);
    this.#tail = text.slice(-(HEAD_END.length - 1));
    const { headBytes } = this.#options;
    if (isStart && !mayBeHead(this.#head)) this.#refuse(NO_STATUS_LINE);
    else if (BARE_LINE_FEED.test(text)) this.#refuse(BAD_LINES);
    else if (this.#head.length >= headBytes + HEAD_END.length) this.#refuse(tooLong(headBytes));
  }

  /** Returns the position behind the bytes that the head and a switch took. */
  #takeHead(lines: string, bytes: Buffer, at: number, end: number): number {
    const { headBytes, names, fields } = this.#options;
    const parsed =
      lines.length + 2 > headBytes
        ? tooLong(headBytes)
        : parseResponseHead(lines, { names, fields, request: this.#request });
    if (typeof parsed === "string") {
      this.#refuse(parsed);
      return at;
    }
    if (parsed.status >= 200) {
      this.#beginBody(parsed, at < end);
      return at;
    }
    if (parsed.status !== 101) {
      this.#takeInformational(parsed);
      return at;
    }
    if (!this.#request.asksForUpgrade) {
      this.#refuse("a 101 although the request asked for no other protocol");
      return at;
    }
    this.stop();
    this.#options.sink.onSwitch(parsed, bytes.subarray(at, end));
    return end;
  }

  #takeInformational({ status, fields }: ParsedHead): void {
    this.#state = "first-byte";
    this.#informational += 1;
    if (this.#informational > MOST_INFORMATIONAL)
      this.#refuse(`more than ${MOST_INFORMATIONAL} informational answers`);
    else this.#options.sink.onInformational(status, fields);
  }

  #decodeChunks(): ChunkDecoder {
    const options = this.#options;
    return new ChunkDecoder({
      headBytes: options.headBytes,
      refuseTrailers: (trailers) => refuseTrailers(trailers, options),
    });
  }

  #beginBody(head: ParsedHead, hasMore: boolean): void {
    this.#state = "body";
    this.#left = head.framing === "length" ? (head.bodyBytes ?? 0) : Number.POSITIVE_INFINITY;
    this.#chunks = head.framing === "chunked" ? this.#decodeChunks() : null;
    this.#options.sink.onHead(head);
    if (head.framing === "none" && this.#state === "body") this.#complete(hasMore);
  }

  /** Passes over the lines of a chunked body, to data, its end, or the end of the bytes. Returns the position. */
  #skipLines(decoder: ChunkDecoder, bytes: Buffer, start: number, end: number): number {
    const at = decoder.skip(bytes, start, end);
    if (decoder.problem !== null) this.#refuse(decoder.problem);
    else if (decoder.isEnded) this.#complete(at < end);
    return at;
  }

  /** Returns how many of the next bytes are data of the body. */
  #dataBytes(most: number): number {
    if (this.#state !== "body") return 0;
    return this.#chunks === null ? Math.min(this.#left, most) : this.#chunks.dataBytes(most);
  }

  /** Passes data on. Returns false if the sink takes no more of it. */
  #pass(bytes: Buffer, start: number, stop: number, end: number): boolean {
    const size = stop - start;
    if (this.#chunks === null) this.#left -= size;
    else this.#chunks.take(size);
    const goesOn = this.#options.sink.onBody(bytes.subarray(start, stop));
    if (this.#left === 0 && this.#state === "body") this.#complete(stop < end);
    return goesOn;
  }

  #complete(hasSurplus: boolean): void {
    this.stop();
    this.#options.sink.onComplete(hasSurplus);
  }

  #refuse(reason: string): void {
    this.stop();
    this.#options.sink.onRefused(reason);
  }
}

function tooLong(headBytes: number): string {
  return `a head of more than ${headBytes} bytes`;
}
