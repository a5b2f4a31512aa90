import { constants, type ServerHttp2Stream } from "node:http2";
import { toHttp2Headers, withSingleValues } from "./http2-fields.ts";
import type { NodeClient } from "./node-client.ts";
import type { UpgradedStream } from "./node-web-socket.ts";
import type { ResponseHead, Transport, UpgradeAnswer } from "./transport.ts";

const { NGHTTP2_NO_ERROR } = constants;

/**
 * Most bytes of a stream that wait for the client before the stream counts as blocked. Node keeps them in memory: a
 * connection of 128 streams that reads nothing holds 2 to 4 MiB.
 */
const BLOCKED_BYTES = 16 * 1024;

/** Bytes of a body that the client may send ahead of the server: Node's window for a stream (RFC 9113 section 6.9.2). */
const WINDOW_BYTES = 65_535;

/** A connection of HTTP/2, as its streams see it. */
export interface Http2Owner {
  /** The stream has closed: its request and its response are over. */
  onStreamClosed(transport: Http2Transport): void;
  /** The client sent a part of a body, or may have sent it to a stream that has closed. */
  onBodyBytes(bytes: number): void;
  /** Time by the clock of the listener. */
  now(): number;
}

/** The way of one exchange to its client over a stream of HTTP/2. */
export class Http2Transport implements Transport {
  readonly #stream: ServerHttp2Stream;
  readonly #owner: Http2Owner;
  #client: NodeClient | null = null;
  /** The client waits for 100 (Continue). */
  #expects: boolean;
  /** The request has a body whose end has not come. */
  #bodyOpen: boolean;
  /** The events of the body have listeners. */
  #reads = false;
  #unsentBytes = 0;
  #hasEnded = false;
  #isCut = false;
  #isUpgraded = false;
  /** Time at which a whole response was written; `null`: none was. It leaves as soon as the client takes it. */
  writtenMs: number | null = null;

  /**
   * Must run in the event that brought the stream.
   *
   * @param options.hasBody A body follows.
   * @param options.expects The client waits for 100 (Continue) before it sends the body.
   */
  constructor(
    stream: ServerHttp2Stream,
    owner: Http2Owner,
    options: { hasBody: boolean; expects: boolean },
  ) {
    this.#stream = stream;
    this.#owner = owner;
    this.#bodyOpen = options.hasBody;
    this.#expects = options.expects;
    // An error is always followed by `close`.
    stream.on("error", ignore);
    stream.on("close", this.#onClose);
  }

  /** Passes the events of the request on to this client. */
  attach(client: NodeClient): void {
    this.#client = client;
    // After a reset with NO_ERROR, Node closes a stream only once its body was read. Its reader may have paused it.
    if (this.#bodyOpen) this.#stream.on("aborted", this.#onAborted);
  }

  get connection(): object {
    return this.#owner;
  }

  get isBlocked(): boolean {
    return this.#unsentBytes >= (this.#hasEnded ? 1 : BLOCKED_BYTES);
  }

  get awaitsContinue(): boolean {
    return this.#expects;
  }

  /** True once the server has reset the stream, whether or not the frame can leave. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** True while bytes wait until the client takes them. */
  get waitsForClient(): boolean {
    if (this.#isUpgraded) return !this.#isCut && this.#stream.writableLength > 0;
    return !this.#isCut && (this.#unsentBytes > 0 || this.writtenMs !== null);
  }

  writeWhole(head: ResponseHead, { body }: { body: string | Uint8Array | null }): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    this.writtenMs = this.#owner.now();
    const isEmpty = !head.hasBody || body === null || body.length === 0;
    this.#respond(head, isEmpty);
    // Node copies a string while it writes it. The bytes are lent.
    if (!isEmpty) stream.end(typeof body === "string" ? body : Buffer.from(body));
    this.#letGo();
  }

  writeHead(head: ResponseHead): void {
    if (!this.#stream.destroyed && !this.#stream.closed) this.#respond(head, false);
  }

  write(bytes: Uint8Array): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const size = bytes.length;
    this.#unsentBytes += size;
    // The bytes are lent, and Node keeps them until the client takes them.
    stream.write(Buffer.from(bytes), (error) => {
      this.#unsentBytes -= size;
      if (this.#unsentBytes === 0 && (error === null || error === undefined)) {
        this.#client?.onRoom();
      }
    });
  }

  end(): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    this.#hasEnded = true;
    stream.end();
    this.#letGo();
  }

  destroy(): void {
    this.#isCut = true;
    // `close` would end the body in order before it resets the stream (seen with Node 20.20): the client would take an
    // incomplete response for a whole one. After an error, `destroy` resets the stream with INTERNAL_ERROR.
    this.#stream.destroy(new Error("the exchange is broken off"));
  }

  wantBody(): void {
    const stream = this.#stream;
    if (this.#expects && !stream.headersSent && !stream.destroyed && !stream.closed) {
      stream.additionalHeaders({ ":status": 100 });
    }
    this.#expects = false;
    this.#read();
  }

  pauseBody(): void {
    this.#stream.pause();
  }

  resumeBody(): void {
    this.#stream.resume();
  }

  upgrade(head: ResponseHead, { protocol, extensions }: UpgradeAnswer): UpgradedStream | null {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed || stream.aborted) return null;
    const headers = { ...toHttp2Headers({ ...head, status: 200 }) };
    if (protocol !== null) headers["sec-websocket-protocol"] = protocol;
    if (extensions !== null) headers["sec-websocket-extensions"] = extensions;
    try {
      stream.respond(headers);
    } catch (error) {
      if (!isRepeated(error)) throw error;
      stream.respond(withSingleValues(headers));
    }
    this.#client = null;
    this.#isUpgraded = true;
    // Counts the bytes.
    this.#read();
    return { duplex: stream, writesAtOnce: false, cut: () => this.destroy() };
  }

  dropBody(): void {
    this.#client = null;
    // Dropped bytes count as well: a connection that sends mostly frames without content is cut off.
    this.#read();
    this.#stream.resume();
  }

  #read(): void {
    if (this.#reads || !this.#bodyOpen) return;
    this.#reads = true;
    this.#stream.on("data", this.#onData);
    this.#stream.on("end", this.#onEnd);
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#owner.onBodyBytes(bytes.length);
    this.#client?.onBody(bytes);
  };

  readonly #onEnd = (): void => {
    this.#bodyOpen = false;
    // A client that resets the stream with NO_ERROR also ends the body, which is then incomplete.
    if (!this.#stream.aborted) this.#client?.onBodyEnd();
  };

  readonly #onAborted = (): void => {
    this.#client?.onGone();
    // Node closes the stream once its body is read.
    this.dropBody();
  };

  readonly #onClose = (): void => {
    this.#client?.onGone();
    this.#owner.onStreamClosed(this);
  };

  #respond(head: ResponseHead, isEmpty: boolean): void {
    const headers = toHttp2Headers(head);
    const options = { endStream: isEmpty };
    try {
      this.#stream.respond(headers, options);
    } catch (error) {
      if (!isRepeated(error)) throw error;
      this.#stream.respond(withSingleValues(headers), options);
    }
  }

  /**
   * Ends a stream whose response is complete. If the client still sends its body, it is told to stop, without an error
   * (RFC 9113 section 8.1).
   */
  #letGo(): void {
    if (!this.#bodyOpen) return;
    const stream = this.#stream;
    // Nothing else reads the bytes behind a refused request for a WebSocket.
    if (!this.#reads) {
      this.#read();
      stream.resume();
    }
    stream.once("finish", () => {
      // The client may have sent a whole window before it learns of the end. nghttp2 drops these bytes without a word.
      if (this.#bodyOpen) this.#owner.onBodyBytes(WINDOW_BYTES);
      stream.close(NGHTTP2_NO_ERROR);
    });
  }
}

function ignore(): void {}

/** Tells whether `node:http2` refused a field that occurs more than once. */
function isRepeated(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && error.code === "ERR_HTTP2_HEADER_SINGLE_VALUE"
  );
}
