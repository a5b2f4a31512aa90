import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A response as it came over the wire. */
export interface RawResponse {
  status: number;
  statusText: string;
  /** In order, names as they were written, values with one character per byte. */
  fields: [name: string, value: string][];
  body: Buffer;
}

/** A client's end of a connection: sends bytes as they are, and reads responses one by one or until the end. */
export class RawConnection {
  readonly #socket: Socket;
  /** Bytes that are joined, and pieces behind them. Joining at each piece would take minutes for a large body. */
  #joined: Buffer = Buffer.alloc(0);
  #pieces: Buffer[] = [];
  /** Number of all these bytes. */
  #size = 0;
  #closed = false;
  /** The line of the chunk that was read last has not ended yet. */
  #owesLineEnd = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    const changed = (): void => this.#wake();
    socket.on("data", (bytes: Buffer) => {
      this.#pieces.push(bytes);
      this.#size += bytes.length;
      changed();
    });
    // A reset is an end too: what had arrived before it is what counts.
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#closed = true;
      changed();
    });
    // With `allowHalfOpen` the end of the server's side must be answered by hand.
    socket.once("end", () => socket.end());
    // A test that fails half-way must not be kept alive by it.
    socket.unref();
  }

  static async open(port: number, host = "127.0.0.1"): Promise<RawConnection> {
    const socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
    await once(socket, "connect");
    return new RawConnection(socket);
  }

  /** Takes over a connected socket, such as a TLS one. */
  static over(socket: Socket): RawConnection {
    return new RawConnection(socket);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The underlying socket, for tests that pause or reset it. */
  get socket(): Socket {
    return this.#socket;
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** As `send`; resolves when the bytes have been handed to the operating system. */
  async sent(bytes: string | Uint8Array): Promise<void> {
    const data = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    await new Promise<void>((resolve) => this.#socket.write(data, () => resolve()));
  }

  /**
   * Reads the next response, whose body has a length or comes in chunks.
   *
   * @param options.head It answers a HEAD request and has no body.
   * @throws AssertionError when the connection ends first.
   */
  async response(options: { head?: boolean } = {}): Promise<RawResponse> {
    const headBytes = await this.#untilHeadEnds();
    const [statusLine = "", ...lines] = this.#take(headBytes)
      .toString("latin1")
      .trimEnd()
      .split("\r\n");
    const [, status = "", statusText = ""] = /^HTTP\/1\.1 (\d{3}) ?(.*)$/.exec(statusLine) ?? [];
    const fields = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    const response = { status: Number(status), statusText, fields, body: Buffer.alloc(0) };
    const hasBody = options.head !== true && response.status !== 204 && response.status !== 304;
    if (!hasBody) return response;
    const isChunked = fieldOf(response, "transfer-encoding") === "chunked";
    const body = isChunked
      ? await this.#chunks()
      : await this.bytes(Number(fieldOf(response, "content-length") ?? 0));
    return { ...response, body };
  }

  /** Waits until so many bytes are there, and takes them. */
  async bytes(count: number): Promise<Buffer> {
    while (this.#size < count) await this.#more(`${count} bytes`);
    return this.#take(count);
  }

  /**
   * Reads the next chunk of a body (RFC 9112 section 7.1), empty when it was the last; without extensions and trailers,
   * which nobody here sends.
   */
  async chunk(): Promise<Buffer> {
    // The server writes the end of a chunk's line together with the next chunk.
    if (this.#owesLineEnd) assert.equal(String(await this.bytes(2)), "\r\n", "the end of a chunk");
    let end = this.#find("\r\n");
    for (; end === -1; end = this.#find("\r\n")) await this.#more("a chunk");
    const size = this.#take(end + 2)
      .toString("latin1")
      .trimEnd();
    assert.match(size, /^[0-9a-f]+$/i, "the size of a chunk");
    const chunk = await this.bytes(Number.parseInt(size, 16));
    this.#owesLineEnd = chunk.length > 0;
    if (chunk.length === 0) assert.equal(String(await this.bytes(2)), "\r\n", "no trailers");
    return chunk;
  }

  /** All that is left to read once the server has closed the connection; one character per byte. */
  async untilClosed(): Promise<string> {
    while (!this.#closed) await this.#change();
    return this.#take(this.#size).toString("latin1");
  }

  /** Leaves without a word. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Leaves with a TCP reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  async #untilHeadEnds(): Promise<number> {
    for (;;) {
      const end = this.#find("\r\n\r\n");
      if (end !== -1) return end + 4;
      await this.#more("a response");
    }
  }

  async #chunks(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (let chunk = await this.chunk(); chunk.length > 0; chunk = await this.chunk()) {
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  async #more(what: string): Promise<void> {
    assert.ok(!this.#closed, `the server closed the connection, expected ${what}`);
    await this.#change();
  }

  #change(): Promise<void> {
    this.#socket.ref();
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#socket.unref();
        resolve();
      };
    });
  }

  /** Returns where a text begins; -1: it has not come so far. */
  #find(text: string): number {
    const at = this.#joined.indexOf(text);
    if (at !== -1 || this.#pieces.length === 0) return at;
    this.#join();
    return this.#joined.indexOf(text);
  }

  #take(count: number): Buffer {
    if (this.#joined.length < count) this.#join();
    const taken = this.#joined.subarray(0, count);
    this.#joined = this.#joined.subarray(count);
    this.#size -= count;
    return taken;
  }

  #join(): void {
    this.#joined = Buffer.concat([this.#joined, ...this.#pieces]);
    this.#pieces = [];
  }
}

/** The value of a response field, those of all of its lines joined with `, `; `undefined` when it is not there. */
export function fieldOf({ fields }: Pick<RawResponse, "fields">, name: string): string | undefined {
  const values = fields.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(", ");
}
