import { once } from "node:events";
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls, TLSSocket } from "node:tls";
import { ResponseReader, type ResponseHead } from "./response-reader.ts";

/** Address of a server on this machine. */
export interface Endpoint {
  readonly port: number;
  /** Whether it speaks TLS. */
  readonly secure: boolean;
}

/** Returns the endpoint of a URL of this machine. */
export function toEndpoint(url: string): Endpoint {
  const { port, protocol } = new URL(url);
  return { port: Number(port), secure: protocol === "https:" };
}

/** The end of a response, for its client. */
export interface Received {
  /** `null`: the connection ended before the head was complete. */
  readonly head: ResponseHead | null;
  readonly bodyBytes: number;
  /** False: the connection ended within the response. */
  readonly complete: boolean;
}

/** A complete response. */
export interface Answer extends ResponseHead {
  readonly body: Buffer;
}

export interface ReceiveOptions {
  /** The response answers a HEAD request. */
  readonly head?: boolean;
  /** @throws An error that `receive` is to throw: the bytes are wrong. */
  readonly onBody?: (bytes: Buffer, offset: number) => void;
}

/** Longest time to connect, and longest wait for an answer: longer than any request waits for a worker. */
const LOST_MS = 30_000;

/**
 * A client's connection that keeps nothing that it reads, so that bodies may have any size. Tells a complete response
 * from a broken one.
 */
export class Connection {
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
    socket.once("close", () => {
      this.#closed = true;
      this.#wake();
    });
    socket.once("end", () => socket.end());
  }

  /** @throws The error of connecting: refused, too many files, no answer in time. */
  static async open({ port, secure }: Endpoint): Promise<Connection> {
    const options = { port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true };
    // The certificate is self-signed.
    const tls = { ...options, servername: "localhost", rejectUnauthorized: false };
    const socket = secure ? connectTls(tls) : connectPlain(options);
    // A reset is an end too: the bytes before it count.
    socket.on("error", () => {});
    const signal = AbortSignal.timeout(LOST_MS);
    try {
      await once(socket, secure ? "secureConnect" : "connect", { signal });
      return new Connection(socket);
    } catch (error) {
      socket.destroy();
      throw error;
    }
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

  /**
   * Sends a request and returns its complete answer. Destroys the connection when none comes within 30 s.
   *
   * @throws Error when the connection ends before the answer does; those of `receive`.
   */
  async ask(request: Uint8Array | string): Promise<Answer> {
    const pieces: Buffer[] = [];
    const timer = setTimeout(() => this.socket.destroy(), LOST_MS);
    try {
      const receiving = this.receive({ onBody: (piece) => pieces.push(piece) });
      const [{ head, complete }] = await Promise.all([receiving, this.send(request)]);
      if (head === null) throw new Error("the connection ended without an answer");
      if (!complete) throw new Error("the connection ended within an answer");
      return { ...head, body: Buffer.concat(pieces) };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when so many bytes of a body have arrived, or the connection has ended or is broken. */
  async untilBody(bytes: number): Promise<void> {
    while (this.#bodyBytes < bytes && this.#complete === 0 && !this.#closed) await this.#change();
  }

  /**
   * Leaves with a TCP reset if Node 20 can send one. Below TLS Node 20 crashes, and it would never close a connection that
   * is ending.
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

/** Returns the head of a request. `bodyBytes`: the size of the body that the caller sends after it. */
export function formatHead(method: string, path: string, bodyBytes?: number): string {
  const length = bodyBytes === undefined ? "" : `Content-Length: ${bodyBytes}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${length}\r\n`;
}

/** Returns the status of a GET on a new connection; 0 when there is no answer. */
export async function statusOf(endpoint: Endpoint, path: string): Promise<number> {
  try {
    const connection = await Connection.open(endpoint);
    const { status } = await connection.ask(formatHead("GET", path));
    connection.socket.destroy();
    return status;
  } catch {
    return 0;
  }
}
