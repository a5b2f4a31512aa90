import { Duplex } from "node:stream";

/** One write to the socket; a string has its encoding. */
export interface SocketWrite {
  readonly chunk: string | Uint8Array;
  readonly encoding: BufferEncoding;
}

export interface SocketOptions {
  remoteAddress: string;
  /** Absolute URL of the request. It gives the port, and tells whether the client uses TLS. */
  url: string;
  /** The application reads the request: it can take more of its body. */
  onRead: () => void;
  /** Takes writes. Calls `done` when more may come. */
  onWrite: (writes: readonly SocketWrite[], done: () => void) => void;
  /** The application, or its end, closed the sending side. */
  onEnd: () => void;
  /** Nothing was written for the time set by `setTimeout`. */
  onTimeout: () => void;
  /** Called once, with the error that destroyed the socket. */
  onDestroy: (error: Error | null) => void;
}

/**
 * The `socket` of one exchange of a Node-style application: it looks like a `net.Socket`, and connects to nothing.
 *
 * Bytes written to it go to `onWrite`. It never has anything to read: the request's body goes to the request directly.
 */
export class ExchangeSocket extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly connecting = false;
  readonly pending = false;
  /** As in `tls.TLSSocket`; without TLS the property is missing, as in `net.Socket`. */
  declare readonly encrypted?: true;
  timeout: number | undefined;
  bytesRead = 0;
  bytesWritten = 0;
  readonly #options: SocketOptions;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: SocketOptions) {
    // It ends when the exchange does, not when one of its sides does.
    super({ decodeStrings: false, autoDestroy: false });
    this.#options = options;
    this.remoteAddress = options.remoteAddress;
    if (options.url.startsWith("https:")) this.encrypted = true;
    // As in `http.Server`: an error of the connection concerns the exchange, and ends no process.
    this.on("error", ignore);
  }

  get remoteFamily(): "IPv4" | "IPv6" {
    return this.remoteAddress.includes(":") ? "IPv6" : "IPv4";
  }

  /** The port that the client asked for. */
  get localPort(): number {
    const { port, protocol } = new URL(this.#options.url);
    if (port !== "") return Number(port);
    return protocol === "https:" ? 443 : 80;
  }

  get readyState(): string {
    return this.destroyed ? "closed" : this.writable ? "open" : "readOnly";
  }

  address(): object {
    return {};
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** Like `net.Socket`: emits `timeout` when nothing was written for that long; 0 switches it off. */
  setTimeout(timeoutMs: number, callback?: () => void): this {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.timeout = timeoutMs;
    if (timeoutMs === 0) {
      if (callback !== undefined) this.removeListener("timeout", callback);
      return this;
    }
    if (callback !== undefined) this.once("timeout", callback);
    if (!this.destroyed) {
      this.#timer = setTimeout(() => {
        this.emit("timeout");
        this.#options.onTimeout();
      }, timeoutMs).unref();
    }
    return this;
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  override _read(): void {
    // There is nothing to read.
  }

  /** An `IncomingMessage` calls this to ask its socket for more. */
  override resume(): this {
    this.#options.onRead();
    return this;
  }

  override _write(
    chunk: string | Uint8Array,
    encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    this.#take([{ chunk, encoding }], callback);
  }

  override _writev(
    writes: { chunk: string | Uint8Array; encoding: BufferEncoding }[],
    callback: (error?: Error | null) => void,
  ): void {
    this.#take(writes, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#options.onEnd();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#options.onDestroy(error);
    callback(error);
  }

  #take(writes: readonly SocketWrite[], callback: (error?: Error | null) => void): void {
    this.#timer?.refresh();
    try {
      this.#options.onWrite(writes, callback);
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

function ignore(): void {
  // `onDestroy` has told the exchange.
}
