import { once } from "node:events";
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls, TLSSocket } from "node:tls";
import { ResponseReader, type ResponseHead } from "./response-reader.ts";

/** Address of a server. */
export interface Door {
  readonly port: number;
  readonly secure: boolean;
}

/** The end of a response, for its client. */
export interface Received {
  /** `null`: the connection ended before the head was complete. */
  readonly head: ResponseHead | null;
  readonly bodyBytes: number;
  /** False: the connection ended within the response. */
  readonly complete: boolean;
}

export interface ReceiveOptions {
  /** The response answers a HEAD request. */
  readonly head?: boolean;
  /** @throws An error that `receive` is to throw: the bytes are wrong. */
  readonly onBody?: (bytes: Uint8Array, offset: number) => void;
}

/**
 * A client's connection that keeps nothing that it reads, so that bodies may have any size. Tells a complete response
 * from a broken one.
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
    // A reset is an end too: the bytes before it count.
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#closed = true;
      this.#wake();
    });
    socket.once("end", () => socket.end());
  }

  /** @throws The error of connecting: refused, too many files. */
  static async open({ port, secure }: Door): Promise<Client> {
    const options = { port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true };
    if (!secure) {
      const socket = connectPlain(options);
      await once(socket, "connect");
      return new Client(socket);
    }
    // The certificate is self-signed.
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

  /** Writes bytes. Resolves when there is room for more, or the connection has ended. */
  async send(bytes: Uint8Array | string): Promise<void> {
    const data = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    if (this.#closed || this.socket.write(data)) return;
    while (!this.#closed && this.socket.writableNeedDrain) await this.#change();
  }

  /**
   * Returns the next response. Must be called before any of its bytes can arrive.
   *
   * @throws The error of `onBody`; Error for an invalid response, or bytes after one.
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

  /** Resolves when so many bytes of a body have arrived, or the connection has ended or is broken. */
  async untilBody(bytes: number): Promise<void> {
    while (this.#bodyBytes < bytes && this.#complete === 0 && !this.#closed) await this.#change();
  }

  /**
   * Leaves with a TCP reset if Node 20 can: below TLS it crashes, and it would never close a connection that is ending.
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

  /** All waiters share one promise. */
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
