import { setImmediate as nextTurn } from "node:timers/promises";
import { CHUNK_BYTES } from "../channel/messages.ts";
import type { StreamEncoder } from "../compress/encoders.ts";
import { RuntimeError } from "../lib/errors.ts";

export interface ResponseBodyOptions {
  creditBytes: number;
  /** The size that the response announces; `null`: none. */
  announcedBytes: number | null;
  /** The response has a `content-encoding`: its length may be that of a body before `fetch` decoded it. */
  isCoded: boolean;
  /** Compresses the body; `null`: it is sent as it is. */
  encoder: StreamEncoder | null;
  /** Called when the encoder is not needed any more. */
  onEncoded: (encoder: StreamEncoder) => void;
  /** Sends one chunk of at most `CHUNK_BYTES`. */
  send: (bytes: Uint8Array) => void;
}

/**
 * Sends the chunks of a response's stream as they come, as far as the primary's credit goes. Then it stops reading, and
 * the stream's own backpressure pauses its producer.
 */
export class ResponseBody {
  readonly #reader: ReadableStreamDefaultReader<unknown>;
  readonly #send: (bytes: Uint8Array) => void;
  #creditBytes: number;
  #onCredit: (() => void) | null = null;
  #cancelled = false;
  readonly #announcedBytes: number | null;
  readonly #isCoded: boolean;
  readonly #encoder: StreamEncoder | null;
  readonly #onEncoded: (encoder: StreamEncoder) => void;
  #readBytes = 0;

  constructor(stream: ReadableStream<unknown>, options: ResponseBodyOptions) {
    this.#reader = stream.getReader();
    this.#announcedBytes = options.announcedBytes;
    this.#isCoded = options.isCoded;
    this.#encoder = options.encoder;
    this.#onEncoded = options.onEncoded;
    this.#creditBytes = options.creditBytes;
    this.#send = options.send;
  }

  /**
   * Sends the whole body. Resolves when the last byte was sent, or at once after `cancel`.
   *
   * @throws The error of the stream; RuntimeError `ERR_HANDLER_BAD_RESPONSE` when it yields something else than bytes,
   *   or not as many as the response announced.
   */
  async sendAll(): Promise<void> {
    try {
      await this.#sendAll();
    } finally {
      if (this.#encoder !== null) {
        this.#encoder.destroy();
        this.#onEncoded(this.#encoder);
      }
    }
  }

  async #sendAll(): Promise<void> {
    const announcedBytes = this.#announcedBytes;
    for (;;) {
      const { done, value } = await this.#read();
      if (this.#cancelled) return;
      if (done) {
        if (announcedBytes === null || this.#readBytes === announcedBytes) {
          if (this.#encoder !== null) await this.#sendAllOf(await this.#encoder.end());
          return;
        }
        throw this.#misfit(`its stream ended after ${this.#readBytes} bytes`, announcedBytes);
      }
      if (!(value instanceof Uint8Array)) {
        const error = new RuntimeError(
          "ERR_HANDLER_BAD_RESPONSE",
          `Cannot send a response: its stream yields ${typeof value}, expected Uint8Array`,
        );
        this.cancel(error);
        throw error;
      }
      this.#readBytes += value.length;
      if (announcedBytes !== null && this.#readBytes > announcedBytes) {
        const error = this.#misfit(
          `its stream has ${this.#readBytes} bytes or more`,
          announcedBytes,
        );
        this.cancel(error);
        throw error;
      }
      if (this.#encoder === null) await this.#sendChunk(value);
      else await this.#sendAllOf(await this.#encoder.encode(value));
    }
  }

  /** Reads the next chunk. If it does not come at once, the client gets all of the earlier ones first. */
  async #read(): ReturnType<ReadableStreamDefaultReader<unknown>["read"]> {
    const next = this.#reader.read();
    const encoder = this.#encoder;
    if (encoder?.isDirty !== true) return next;
    let isHere = false;
    const noteArrival = (): void => {
      isHere = true;
    };
    // The caller gets an error of the stream from `next` itself.
    next.then(noteArrival, noteArrival);
    await nextTurn();
    if (!isHere && !this.#cancelled) await this.#sendAllOf(await encoder.flush());
    return next;
  }

  async #sendAllOf(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      if (this.#cancelled) return;
      await this.#sendChunk(piece);
    }
  }

  /** The primary takes so many more bytes. */
  grant(bytes: number): void {
    this.#creditBytes += bytes;
    const onCredit = this.#onCredit;
    this.#onCredit = null;
    onCredit?.();
  }

  /** Cancels the stream: the rest is not needed. */
  cancel(reason: unknown): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    // A stream that fails while it is cancelled does not matter any more.
    this.#reader.cancel(reason).catch(() => {});
    this.grant(0);
  }

  #misfit(found: string, announcedBytes: number): RuntimeError {
    return misfit(found, announcedBytes, this.#isCoded ? DECODED_HINT : "");
  }

  async #sendChunk(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      while (this.#creditBytes <= 0) {
        await new Promise<void>((resolve) => {
          this.#onCredit = resolve;
        });
        if (this.#cancelled) return;
      }
      const size = Math.min(bytes.length - at, CHUNK_BYTES, this.#creditBytes);
      this.#creditBytes -= size;
      this.#send(bytes.subarray(at, at + size));
      at += size;
    }
  }
}

const DECODED_HINT =
  ". fetch() decodes a body: delete content-encoding and content-length when you send one through tee() or pipeThrough()";

/** For a body that is not as long as the response says (RFC 9110 section 8.6). */
export function misfit(found: string, announcedBytes: number, hint = ""): RuntimeError {
  return new RuntimeError(
    "ERR_HANDLER_BAD_RESPONSE",
    `Cannot send a response: ${found}, expected the ${announcedBytes} of its content-length${hint}`,
  );
}
