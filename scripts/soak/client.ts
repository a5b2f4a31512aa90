import { once } from "node:events";
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls, TLSSocket } from "node:tls";
import { ResponseReader, type ResponseHead } from "./response-reader.ts";

/** Where a client connects to. */
export interface Door {
  readonly port: number;
  readonly secure: boolean;
}

/** How a response ended for its client. */
export interface Received {
  /** `null`: the connection ended before the head was complete. */
  readonly head: ResponseHead | null;
  readonly bodyBytes: number;
  /** Whether it was whole. If not, the connection ended within it. */
  readonly complete: boolean;
}

export interface ReceiveOptions {
  /** It answers a HEAD request. */
  readonly head?: boolean;
  /** @throws What `receive` is to throw: the bytes are wrong. */
  readonly onBody?: (bytes: Uint8Array, offset: number) => void;
}

/**
 * A client's connection that keeps nothing of what it reads, so that bodies may have any size, and that tells a response
 * which ended from one that was broken off.
 */
export class Client {
  readonly socket: Socket;
  readonly #reader: ResponseReader;
  #head: ResponseHead | null = null;
  #bodyBytes = 0;
  #complete = 0;
  #onBody: ReceiveOptions["onBody"];
  #failure: Error | null = null;
  #closed = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    this.#reader = new ResponseReader({
      onHead: (head) => (this.#head = head),
      onBody: (bytes, offset) => {
        this.#bodyBytes += bytes.length;
        this.#onBody?.(bytes, offset);
      },
      onEnd: () => this.#complete++,
    });
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("drain", () => this.#wake());
    // A reset is an end too: what had arrived before it is what counts.
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#closed = true;
      this.#wake();
    });
    socket.once("end", () => socket.end());
  }

  /** @throws What connecting throws: refused, too many files. */
  static async open({ port, secure }: Door): Promise<Client> {
    const options = { port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true };
    if (!secure) {
      const socket = connectPlain(options);
      await once(socket, "connect");
      return new Client(socket);
    }
    // The certificate is signed by nobody.
    const socket = connectTls({ ...options, servername: "localhost", rejectUnauthorized: false });
    await once(socket, "secureConnect");
    return new Client(socket);
  }

  get secure(): boolean {
    return this.socket instanceof TLSSocket;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes of the body of the response that is being received. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  get head(): ResponseHead | null {
    return this.#head;
  }

  /** Hands bytes over; resolves when there is room for more, or the connection has ended. */
  async send(bytes: Uint8Array | string): Promise<void> {
    const data = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    if (this.#closed || this.socket.write(data)) return;
    while (!this.#closed && this.socket.writableNeedDrain) await this.#change();
  }

  /**
   * The next response. Must be called before any of it may have come.
   *
   * @throws What `onBody` throws; Error for what is no response, or comes behind one.
   */
  async receive(options: ReceiveOptions = {}): Promise<Received> {
    this.#head = null;
    this.#bodyBytes = 0;
    this.#complete = 0;
    this.#onBody = options.onBody;
    this.#reader.nextIsHead = options.head === true;
    while (this.#complete === 0 && !this.#closed && this.#failure === null) await this.#change();
    if (this.#failure !== null) throw this.#failure;
    return { head: this.#head, bodyBytes: this.#bodyBytes, complete: this.#complete > 0 };
  }

  /** Resolves when so much of a body has come, or the connection has ended, or is broken. */
  async untilBody(bytes: number): Promise<void> {
    while (this.#bodyBytes < bytes && this.#complete === 0 && !this.#closed) await this.#change();
  }

  /**
   * Leaves with a TCP reset, where Node 20 can: below TLS it crashes, and what is ending already it would never close.
   */
  reset(): void {
    if (this.secure || this.socket.writableEnded) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  async untilClosed(): Promise<void> {
    while (!this.#closed) await this.#change();
  }

  #read(bytes: Buffer): void {
    if (this.#failure !== null) return;
    try {
      this.#reader.push(bytes);
      if (this.#complete > 1) throw new Error("two responses to one request");
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.socket.destroy();
    }
    this.#wake();
  }

  #waiting: Promise<void> | null = null;

  /** All who wait share one promise. */
  #change(): Promise<void> {
    this.#waiting ??= new Promise((resolve) => {
      this.#wake = () => {
        this.#waiting = null;
        this.#wake = () => {};
        resolve();
      };
    });
    return this.#waiting;
  }
}
