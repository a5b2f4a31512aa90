/** The parts of a response's head that a client needs. */
export interface ResponseHead {
  readonly status: number;
  /** Names in lower case; of a repeated field, the last value. */
  readonly fields: ReadonlyMap<string, string>;
}

/** A part of a response. */
export interface ResponseSink {
  onHead(head: ResponseHead): void;
  /** A piece of the body and its offset. A view of the pushed bytes. */
  onBody(bytes: Buffer, offset: number): void;
  /** The response is complete. */
  onEnd(bodyBytes: number): void;
}

/** No head, and no line of a chunk, is longer. */
const MAX_LINE_BYTES = 64 * 1024;

/**
 * Reads one response after another from the bytes of a connection (RFC 9112), wherever the bytes are split.
 *
 *     head ──▶ fixed ─────────────────────────────▶ head of the next one
 *        └───▶ size ──▶ chunk ──▶ chunk-end ──▶ size
 *                └─0──▶ trailer ──────────────────▶ head of the next one
 *
 * Strict, because this client checks the server: anything that Edgicorn should not send is an error.
 */
export class ResponseReader {
  readonly #sink: ResponseSink;
  #state: "head" | "fixed" | "size" | "chunk" | "chunk-end" | "trailer" = "head";
  /** An incomplete line or head. */
  #partial: Buffer = Buffer.alloc(0);
  /** Bytes left of the body or chunk. */
  #left = 0;
  #bodyBytes = 0;
  #withoutBody = false;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  /** Whether the next response answers a HEAD request. */
  set nextIsHead(head: boolean) {
    this.#withoutBody = head;
  }

  /** @throws Error for an invalid response. */
  push(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) rest = this.#take(rest);
  }

  #take(bytes: Buffer): Buffer {
    switch (this.#state) {
      case "head":
        return this.#until("\r\n\r\n", bytes, (head) => this.#onHead(head));
      case "size":
        return this.#until("\r\n", bytes, (line) => this.#onSize(line));
      case "chunk-end":
        return this.#until("\r\n", bytes, (line) => this.#onEmpty(line, "size"));
      case "trailer":
        return this.#until("\r\n", bytes, (line) => this.#onEmpty(line, "head"));
      case "fixed":
      case "chunk":
        return this.#onBytes(bytes);
    }
  }

  #until(mark: string, bytes: Buffer, onText: (text: string) => void): Buffer {
    // The mark may be split between two pieces.
    const all = this.#partial.length === 0 ? bytes : Buffer.concat([this.#partial, bytes]);
    const end = all.indexOf(mark, 0, "latin1");
    if (end === -1) {
      if (all.length > MAX_LINE_BYTES) throw new Error("not a response: a line without an end");
      this.#partial = Buffer.from(all);
      return bytes.subarray(bytes.length);
    }
    this.#partial = Buffer.alloc(0);
    onText(all.toString("latin1", 0, end));
    return all.subarray(end + mark.length);
  }

  #onHead(text: string): void {
    const [first = "", ...lines] = text.split("\r\n");
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1];
    if (status === undefined) throw new Error(`not a response: ${JSON.stringify(first)}`);
    const fields = new Map(
      lines.map((line) => {
        const colon = line.indexOf(":");
        if (colon < 1) throw new Error(`not a field: ${JSON.stringify(line)}`);
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    );
    const head = { status: Number(status), fields };
    this.#bodyBytes = 0;
    this.#sink.onHead(head);
    const length = fields.get("content-length");
    const isChunked = fields.get("transfer-encoding") === "chunked";
    if (length !== undefined && isChunked) throw new Error("a length and chunks");
    if (this.#withoutBody || head.status === 204 || head.status === 304) {
      this.#end();
    } else if (isChunked) {
      this.#state = "size";
    } else if (length !== undefined && /^\d+$/.test(length)) {
      this.#left = Number(length);
      this.#state = "fixed";
      if (this.#left === 0) this.#end();
    } else if (fields.get("connection") === "close") {
      // uWebSockets.js itself answers a head that it cannot read.
      this.#left = Infinity;
      this.#state = "fixed";
    } else {
      throw new Error(`a body without a size: ${JSON.stringify(text)}`);
    }
  }

  #onSize(line: string): void {
    if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`not a chunk: ${JSON.stringify(line)}`);
    this.#left = Number.parseInt(line, 16);
    this.#state = this.#left === 0 ? "trailer" : "chunk";
  }

  #onEmpty(line: string, next: "size" | "head"): void {
    if (line !== "") throw new Error(`not the end of a chunk: ${JSON.stringify(line)}`);
    if (next === "head") this.#end();
    else this.#state = next;
  }

  #onBytes(bytes: Buffer): Buffer {
    const piece = bytes.subarray(0, this.#left);
    this.#left -= piece.length;
    const offset = this.#bodyBytes;
    this.#bodyBytes += piece.length;
    this.#sink.onBody(piece, offset);
    if (this.#left === 0) {
      if (this.#state === "fixed") this.#end();
      else this.#state = "chunk-end";
    }
    return bytes.subarray(piece.length);
  }

  #end(): void {
    this.#state = "head";
    this.#withoutBody = false;
    this.#sink.onEnd(this.#bodyBytes);
  }
}
