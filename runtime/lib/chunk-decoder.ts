/** Longest line of a chunk's size, with its extensions. */
const LINE_BYTES = 4096;

/** Most bytes of extensions in one body: without a bound, an upstream could send them forever, and no byte of body. */
const EXTENSION_BYTES = 16_384;

const CR = 0x0d;
const LF = 0x0a;

/**
 * `chunk-size [chunk-ext] CRLF` (RFC 9112 section 7.1). Sixteen digits are more than a number can count to, which is
 * checked afterwards; zeros before them do not count.
 */
const SIZE_LINE =
  /^0*([0-9A-Fa-f]{1,16})((?:[\t ]*;[\t ]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[\t ]*=[\t ]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"))?)*)\r\n$/;

type State = "size" | "data" | "data-end" | "trailers" | "ended";

export interface ChunkDecoderOptions {
  /** Largest trailer section. */
  headBytes: number;
  /** Returns the reason to refuse a trailer section; `null`: it is valid. Called for one that has fields. */
  refuseTrailers: (trailers: string) => string | null;
}

/**
 * Finds the data in a chunked body (RFC 9112 section 7.1). Refuses everything that recipients read in different ways:
 * signs, spaces and prefixes of a size, a bare CR or LF, data that is longer than its size.
 */
export class ChunkDecoder {
  readonly #options: ChunkDecoderOptions;
  #state: State = "size";
  /** The start of a line that is not complete. */
  #line = "";
  #trailers = "";
  #extensionBytes = 0;
  /** Bytes of data left in the chunk, or of the line end behind it. */
  #left = 0;
  #problem: string | null = null;

  constructor(options: ChunkDecoderOptions) {
    this.#options = options;
  }

  get isEnded(): boolean {
    return this.#state === "ended";
  }

  /** The reason of a refusal; it completes "the sender sent ...". */
  get problem(): string | null {
    return this.#problem;
  }

  /**
   * Returns how many of the next bytes, at most `most`, are data, after `skip` has passed over the lines before them. 0:
   * the body has ended, or more bytes are needed, or there is a problem.
   */
  dataBytes(most: number): number {
    return this.#state === "data" ? Math.min(this.#left, most) : 0;
  }

  /** Notes that the caller has taken data bytes. */
  take(bytes: number): void {
    this.#left -= bytes;
    if (this.#left > 0) return;
    this.#state = "data-end";
    this.#left = 2;
  }

  /** Passes over everything that is not data. Returns the position behind it. */
  skip(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.#problem === null) {
      if (this.#state === "data" || this.#state === "ended") break;
      at =
        this.#state === "data-end" ? this.#skipDataEnd(bytes, at) : this.#readLine(bytes, at, end);
    }
    return at;
  }

  #skipDataEnd(bytes: Buffer, at: number): number {
    if (bytes[at] !== (this.#left === 2 ? CR : LF)) {
      this.#problem = "a chunk that does not end after its size";
      return at;
    }
    this.#left -= 1;
    if (this.#left === 0) this.#state = "size";
    return at + 1;
  }

  #readLine(bytes: Buffer, start: number, end: number): number {
    const most = this.#state === "size" ? LINE_BYTES : this.#options.headBytes;
    const last = Math.min(end, start + most - this.#line.length);
    const lineFeed = bytes.subarray(start, last).indexOf(LF);
    const stop = lineFeed === -1 ? last : start + lineFeed + 1;
    this.#line += bytes.toString("latin1", start, stop);
    if (lineFeed === -1) {
      if (this.#line.length >= most) this.#problem = this.#tooLong();
      return stop;
    }
    const line = this.#line;
    this.#line = "";
    if (this.#state === "size") this.#readSize(line);
    else this.#readTrailer(line);
    return stop;
  }

  #tooLong(): string {
    return this.#state === "size"
      ? `a chunk size with more than ${LINE_BYTES} bytes of extensions`
      : `trailers of more than ${this.#options.headBytes} bytes`;
  }

  #readSize(line: string): void {
    const [, digits, extensions = ""] = SIZE_LINE.exec(line) ?? [];
    if (digits === undefined) {
      this.#problem = "an invalid chunk size";
      return;
    }
    this.#left = Number.parseInt(digits, 16);
    this.#extensionBytes += extensions.length;
    if (this.#left > Number.MAX_SAFE_INTEGER) this.#problem = "a chunk size that is too large";
    else if (this.#extensionBytes > EXTENSION_BYTES)
      this.#problem = `more than ${EXTENSION_BYTES} bytes of chunk extensions`;
    this.#state = this.#left === 0 ? "trailers" : "data";
  }

  #readTrailer(line: string): void {
    if (line !== "\r\n") {
      this.#trailers += line;
      if (this.#trailers.length > this.#options.headBytes) this.#problem = this.#tooLong();
      return;
    }
    if (this.#trailers !== "") this.#problem = this.#options.refuseTrailers(this.#trailers);
    this.#state = "ended";
  }
}
