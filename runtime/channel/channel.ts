import type { Socket } from "node:net";
import { RuntimeError } from "../errors.ts";
import { Codec } from "./codec.ts";
import { FrameMemories } from "./frame-memory.ts";
import { FrameBuffer } from "./frame-buffer.ts";
import { readInto } from "./read-into.ts";

/** A frame takes no more messages than this together, unless it is a single one that is larger. */
const FLUSH_BYTES = 256 * 1024;

/**
 * A frame leaves before its turn is over once its first message has waited this long: when handlers are slow, the
 * first answers of a batch must not wait for the last ones.
 */
const FLUSH_MS = 1;

/**
 * Messages between two looks at the clock while they come quickly. A look costs up to a third of a microsecond, more
 * than all else in `send`; as soon as messages come slowly, it is looked at for each.
 */
const MOST_UNCLOCKED = 16;

export interface ChannelOptions<In> {
  maxFrameBytes: number;
  /** Narrows one received message; throws `ERR_PROTOCOL` for what is none. */
  parse: (value: unknown) => In;
  /** Byte strings in it are lent: they are valid only while this runs, since what is read goes into memory that is used again. */
  onMessage: (message: In) => void;
  /** Called once: `null` when the other side ended in order, otherwise why the channel broke. */
  onClose: (error: RuntimeError | null) => void;
}

/**
 * One end of the byte stream between the primary and a worker.
 *
 * All that is sent in one turn of the event loop leaves as one frame, packed and written once by `setImmediate`: a
 * microtask would run after each request's callback and never batch anything (docs/uwebsockets.md section 6).
 */
export class Channel<In, Out extends readonly unknown[]> {
  readonly #socket: Socket;
  readonly #codec = new Codec();
  readonly #memories = new FrameMemories();
  readonly #buffer: FrameBuffer;
  readonly #options: ChannelOptions<In>;
  #queue: Out[] = [];
  #queuedBytes = 0;
  #queuedAtMs = 0;
  /** How many messages may be queued before the clock is looked at again. */
  #unclocked = 1;
  #untilClock = 1;
  #closed = false;

  constructor(socket: Socket, options: ChannelOptions<In>) {
    this.#options = options;
    this.#buffer = new FrameBuffer(options);
    this.#socket = readInto(socket, {
      space: () => this.#buffer.space(),
      filled: (bytes) => this.#receive(bytes),
    });
    this.#socket.once("end", () => this.#settle(null));
    this.#socket.once("close", () => this.#settle(null));
    this.#socket.once("error", (error) =>
      this.#settle(new RuntimeError("ERR_CHANNEL_CLOSED", "Channel broke", { cause: error })),
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** How much the other side has sent so far: a sign of life that costs nothing. */
  get receivedBytes(): number {
    return this.#socket.bytesRead;
  }

  /** Longest frame that is taken, from the next one on. */
  set maxFrameBytes(bytes: number) {
    this.#buffer.maxFrameBytes = bytes;
  }

  /**
   * Queues a message for this turn's frame; on a closed channel it is dropped, since `onClose` has settled all.
   *
   * @param bytes About how large it is, if it is not small: counted so that a frame stays small.
   */
  send(message: Out, bytes = 0): void {
    if (this.#closed) return;
    // Before, not after: a large body then has a frame of its own, which bounds the size of frames.
    if (this.#queuedBytes + bytes > FLUSH_BYTES) this.#flush();
    const first = this.#queue.length === 0;
    this.#queue.push(message);
    this.#queuedBytes += bytes;
    if (first) {
      this.#queuedAtMs = performance.now();
      this.#untilClock = this.#unclocked;
      setImmediate(this.#flush);
    } else if (--this.#untilClock <= 0) {
      this.#checkClock();
    }
  }

  /** As `send`, but nothing of the message is used any more when it returns: its byte strings may change then. */
  sendLent(message: Out, bytes: number): void {
    this.send(message, bytes);
    this.#flush();
  }

  #checkClock(): void {
    const late = performance.now() - this.#queuedAtMs > FLUSH_MS;
    this.#unclocked = late ? 1 : Math.min(MOST_UNCLOCKED, this.#unclocked * 2);
    this.#untilClock = this.#unclocked;
    if (late) this.#flush();
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
    const memory = this.#memories.pick(this.#queuedBytes);
    this.#queue = [];
    this.#queuedBytes = 0;
    const frame = this.#codec.encode(messages, memory);
    if (frame.buffer === memory.bytes.buffer) this.#socket.write(frame, memory.release);
    else this.#socket.write(frame);
  };

  readonly #onFrame = (frame: Buffer): void => {
    for (const value of this.#codec.decode(frame)) {
      if (this.#closed) return;
      this.#options.onMessage(this.#options.parse(value));
    }
  };

  #receive(bytes: number): void {
    if (this.#closed) return;
    try {
      this.#buffer.filled(bytes, this.#onFrame);
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
