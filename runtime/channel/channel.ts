import type { Socket } from "node:net";
import { RuntimeError } from "../errors.ts";
import { Codec } from "./codec.ts";
import { FrameReader } from "./framing.ts";

/** A frame leaves before its turn of the loop is over once this much body is in it, so that it stays small. */
const FLUSH_BYTES = 256 * 1024;

/**
 * A frame leaves before its turn is over once its first message has waited this long: when handlers are slow, the
 * first answers of a batch must not wait for the last ones.
 */
const FLUSH_MS = 1;

export interface ChannelOptions<In> {
  maxFrameBytes: number;
  /** Narrows one received message; throws `ERR_PROTOCOL` for what is none. */
  parse: (value: unknown) => In;
  onMessage: (message: In) => void;
  /** Called once: `null` when the other side ended in order, otherwise why the channel broke. */
  onClose: (error: RuntimeError | null) => void;
}

/**
 * One end of the byte stream between the primary and a worker.
 *
 * All that is sent in one turn of the event loop leaves as one frame, packed and written once by `setImmediate`: a
 * microtask would run after each request's callback and never batch anything (uws-notes section 7).
 */
export class Channel<In, Out extends readonly unknown[]> {
  readonly #socket: Socket;
  readonly #codec = new Codec();
  readonly #reader: FrameReader;
  readonly #options: ChannelOptions<In>;
  #queue: Out[] = [];
  #queuedBytes = 0;
  #queuedAtMs = 0;
  #closed = false;

  constructor(socket: Socket, options: ChannelOptions<In>) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = new FrameReader({ maxFrameBytes: options.maxFrameBytes });
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.once("end", () => this.#settle(null));
    socket.once("close", () => this.#settle(null));
    socket.once("error", (error) =>
      this.#settle(new RuntimeError("ERR_CHANNEL_CLOSED", "Channel broke", { cause: error })),
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Queues a message for this turn's frame; on a closed channel it is dropped, since `onClose` has settled all.
   *
   * @param bodyBytes Size of the body in it, if any.
   */
  send(message: Out, bodyBytes = 0): void {
    if (this.#closed) return;
    const first = this.#queue.length === 0;
    this.#queue.push(message);
    this.#queuedBytes += bodyBytes;
    if (first) {
      this.#queuedAtMs = performance.now();
      setImmediate(this.#flush);
    } else if (this.#queuedBytes > FLUSH_BYTES || performance.now() - this.#queuedAtMs > FLUSH_MS) {
      this.#flush();
    }
  }

  /** Sends what is queued, then ends this direction. The other side sees an end, not an error. */
  close(): void {
    if (this.#closed) return;
    this.#flush();
    this.#settle(null);
    this.#socket.end();
  }

  /** Breaks the channel at once; what is queued is lost. */
  destroy(error: RuntimeError): void {
    this.#settle(error);
    this.#socket.destroy();
  }

  readonly #flush = (): void => {
    // A turn that flushed early still has its immediate to come.
    if (this.#queue.length === 0 || this.#closed) return;
    const messages = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#socket.write(this.#codec.encode(messages));
  };

  readonly #onFrame = (frame: Buffer): void => {
    for (const value of this.#codec.decode(frame)) {
      if (this.#closed) return;
      this.#options.onMessage(this.#options.parse(value));
    }
  };

  #receive(bytes: Buffer): void {
    if (this.#closed) return;
    try {
      this.#reader.push(bytes, this.#onFrame);
    } catch (error) {
      // A bug in `onMessage` is not the other side's breach: it must surface as the bug it is.
      if (!(error instanceof RuntimeError && error.code === "ERR_PROTOCOL")) throw error;
      this.destroy(error);
    }
  }

  #settle(error: RuntimeError | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#options.onClose(error);
  }
}
