import { RuntimeError } from "../errors.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { BodySource } from "./client-side.ts";

export interface ResponseFeedOptions {
  /** What the worker may send before it is granted more: the most that waits here in memory. */
  creditBytes: number;
  /** Grants the worker so many more bytes. */
  grant: (bytes: number) => void;
  /** The client reads no more. */
  onCancel: () => void;
}

/**
 * A response body on its way from a worker to a client: the worker fills it against credit, the client's side reads it.
 *
 * What the client has taken is granted to the worker again, in pieces of half the credit. So a body of any size takes a
 * bounded place here, and once its last chunk is here the worker is done with it, however slowly the client reads.
 */
export class ResponseFeed implements BodySource {
  onChange: (() => void) | null = null;
  readonly #options: ResponseFeedOptions;
  readonly #queue = new ByteQueue();
  #creditBytes: number;
  #takenBytes = 0;
  #filled: "open" | "ended" | "failed" = "open";

  constructor(options: ResponseFeedOptions) {
    this.#options = options;
    this.#creditBytes = options.creditBytes;
  }

  get state(): BodySource["state"] {
    if (this.#filled === "failed") return "failed";
    return this.#filled === "ended" && this.#queue.bytes === 0 ? "ended" : "open";
  }

  /** @throws RuntimeError `ERR_PROTOCOL` when the worker sends more than it was granted. */
  push(bytes: Uint8Array): void {
    if (this.#filled !== "open") return;
    this.#creditBytes -= bytes.length;
    if (this.#creditBytes < 0) {
      throw new RuntimeError(
        "ERR_PROTOCOL",
        `Cannot take a chunk: it is ${-this.#creditBytes} bytes over the worker's credit`,
      );
    }
    this.#queue.push(bytes);
    this.onChange?.();
  }

  /** The worker has sent all. */
  end(): void {
    this.#finish("ended");
  }

  /** The rest will never come: what the client has is not the whole, and must not look like it. */
  fail(): void {
    this.#finish("failed");
  }

  read(maxBytes: number): Uint8Array | null {
    const piece = this.#queue.take(maxBytes);
    if (piece !== null) this.#grant(piece.length);
    return piece;
  }

  cancel(): void {
    this.#queue.clear();
    this.onChange = null;
    if (this.#filled !== "open") return;
    this.#filled = "failed";
    this.#options.onCancel();
  }

  #grant(bytes: number): void {
    if (this.#filled !== "open") return;
    this.#takenBytes += bytes;
    if (this.#takenBytes < this.#options.creditBytes / 2) return;
    this.#creditBytes += this.#takenBytes;
    this.#options.grant(this.#takenBytes);
    this.#takenBytes = 0;
  }

  #finish(state: "ended" | "failed"): void {
    if (this.#filled !== "open") return;
    this.#filled = state;
    if (state === "failed") this.#queue.clear();
    this.onChange?.();
  }
}
