import { CACHE_CREDIT_BYTES } from "../channel/messages.ts";

/** Credit is granted in pieces of at least this size: a message for each chunk would cost more than it gives. */
const GRANT_BYTES = CACHE_CREDIT_BYTES / 2;

export interface CachedBodyOptions {
  /** Size of the body; `Infinity`: `finish` tells its end. */
  sizeBytes: number;
  /** Asks the primary for so many more bytes. */
  grant: (bytes: number) => void;
  /** Called once: the body was read to its end, or the handler reads no more. */
  onEnd: (isWhole: boolean) => void;
}

/**
 * The body of a stored answer, or of the answer to a call, on its way from the primary. Nothing is sent before the handler reads, and then at most
 * `CACHE_CREDIT_BYTES` ahead of it.
 *
 * It refers to its stream only while a read waits. A stream that the handler drops can therefore be collected.
 */
export class CachedBody {
  readonly #options: CachedBodyOptions;
  /** Bytes that the handler has not taken so far. */
  #leftBytes: number;
  #chunks: Uint8Array[] = [];
  #takenBytes = 0;
  #isGranted = false;
  #isEnded = false;
  #isFinished = false;
  #error: Error | null = null;
  /** Takes the next chunk; `null`: no read waits. */
  #waiting: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor(options: CachedBodyOptions) {
    this.#options = options;
    this.#leftBytes = options.sizeBytes;
  }

  /** Creates the stream of the body. Call it once. */
  openStream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.#pull(controller),
        cancel: () => this.#end(false),
      },
      // Reads nothing ahead of the handler, so that credit shows how much the handler has taken.
      { highWaterMark: 0 },
    );
  }

  /** Adds a copy: the bytes are lent. */
  push(bytes: Uint8Array): void {
    if (this.#isEnded) return;
    this.#chunks.push(new Uint8Array(bytes));
    this.#deliver();
  }

  /** All bytes were pushed. For a body whose size is not known before. */
  finish(): void {
    this.#isFinished = true;
    this.#deliver();
  }

  /** The rest will not come. */
  fail(error: Error): void {
    this.#error = error;
    this.#deliver();
  }

  #pull(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#waiting = controller;
    if (!this.#isGranted) {
      this.#isGranted = true;
      this.#options.grant(CACHE_CREDIT_BYTES);
    }
    this.#deliver();
  }

  #deliver(): void {
    const controller = this.#waiting;
    if (controller === null) return;
    const chunk = this.#chunks.shift();
    if (chunk === undefined) {
      if (this.#error !== null) {
        controller.error(this.#error);
        this.#end(false);
      } else if (this.#isFinished) {
        controller.close();
        this.#end(true);
      }
      return;
    }
    this.#waiting = null;
    this.#leftBytes -= chunk.length;
    const isLast = this.#leftBytes <= 0;
    this.#takenBytes += chunk.length;
    if (!isLast && this.#takenBytes >= GRANT_BYTES) {
      this.#options.grant(this.#takenBytes);
      this.#takenBytes = 0;
    }
    // May pull the next chunk within this call.
    controller.enqueue(chunk);
    if (!isLast) return;
    controller.close();
    this.#end(true);
  }

  #end(isWhole: boolean): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#waiting = null;
    this.#chunks = [];
    this.#options.onEnd(isWhole);
  }
}
