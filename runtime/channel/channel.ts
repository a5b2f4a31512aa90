import type { Socket } from "node:net";
import { RuntimeError } from "../lib/errors.ts";
import { Codec } from "./codec.ts";
import { FrameMemories } from "./frame-memory.ts";
import { FrameBuffer } from "./frame-buffer.ts";
import { readInto } from "./read-into.ts";

/** Most bytes of messages in one frame, unless a single message is larger. */
const FLUSH_BYTES = 256 * 1024;

/**
 * A frame leaves before its turn of the event loop ends once its first message has waited this long. With slow
 * handlers, the first answers of a batch must not wait for the last ones.
 */
const FLUSH_MS = 1;

/**
 * Most messages between two reads of the clock. A read costs up to a third of a microsecond, more than all else in
 * `send`. When messages come slowly, the clock is read for each of them.
 */
const MOST_UNCLOCKED = 16;

export interface ChannelOptions<In> {
  maxFrameBytes: number;
  /** Counts bytes and frames; absent: nothing does. */
  traffic?: {
    sentBytes: number;
    sentFrames: number;
    receivedBytes: number;
    receivedFrames: number;
  };
  /** Narrows one received message; throws `ERR_PROTOCOL` for an invalid one. */
  parse: (value: unknown) => In;
  /**
   * Byte strings in the message are lent: they are valid during the call only, because the memory behind them is
   * reused.
   */
  onMessage: (message: In) => void;
  /** Called once: with `null` when the other side ended in order, otherwise with the reason for the break. */
  onClose: (error: RuntimeError | null) => void;
}

/**
 * One end of the byte stream between the primary and a worker.
 *
 * The messages that are sent in one turn of the event loop leave as one frame, packed and written once by
 * `setImmediate`, or earlier when they are many or the turn is long. A microtask would run after each request's callback and never batch anything (docs/uwebsockets.md
 * section 6).
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
  /** How many messages may be queued before the next read of the clock. */
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

  /** Number of bytes received so far. It shows that the other side lives, at no cost. */
  get receivedBytes(): number {
    return this.#socket.bytesRead;
  }

  /** Largest frame that is accepted, from the next frame on. */
  set maxFrameBytes(bytes: number) {
    this.#buffer.maxFrameBytes = bytes;
  }

  /**
   * Queues a message for this turn's frame. Drops it on a closed channel: `onClose` has settled everything.
   *
   * @param bytes Approximate size of a message that is not small. It bounds the size of frames.
   */
  send(message: Out, bytes = 0): void {
    if (this.#closed) return;
    // Check first: a large body then gets a frame of its own, which bounds the size of frames.
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

  /** Sends a message at once. Its byte strings may change as soon as this returns. */
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

  /** Sends the queued messages, then ends this direction. The other side sees an end, not an error. */
  close(): void {
    if (this.#closed) return;
    this.#flush();
    this.#settle(null);
    this.#socket.end();
  }

  /** Breaks the channel at once. Queued messages are lost. */
  destroy(error: RuntimeError): void {
    this.#settle(error);
    this.#socket.destroy();
  }

  readonly #flush = (): void => {
    // A turn that flushed early still runs its immediate.
    if (this.#queue.length === 0 || this.#closed) return;
    const messages = this.#queue;
    const memory = this.#memories.pick(this.#queuedBytes);
    this.#queue = [];
    this.#queuedBytes = 0;
    const frame = this.#codec.encode(messages, memory);
    const { traffic } = this.#options;
    if (traffic !== undefined) {
      traffic.sentBytes += frame.length;
      traffic.sentFrames++;
    }
    if (frame.buffer === memory.bytes.buffer) this.#socket.write(frame, memory.release);
    else this.#socket.write(frame);
  };

  readonly #onFrame = (frame: Buffer): void => {
    const { traffic } = this.#options;
    if (traffic !== undefined) traffic.receivedFrames++;
    for (const value of this.#codec.decode(frame)) {
      if (this.#closed) return;
      this.#options.onMessage(this.#options.parse(value));
    }
  };

  #receive(bytes: number): void {
    if (this.#closed) return;
    const { traffic } = this.#options;
    if (traffic !== undefined) traffic.receivedBytes += bytes;
    try {
      this.#buffer.filled(bytes, this.#onFrame);
    } catch (error) {
      // A bug in `onMessage` is not a protocol error of the other side: let it surface.
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
