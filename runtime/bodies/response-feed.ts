import { RuntimeError } from "../lib/errors.ts";
import type { BlockPool } from "./block-pool.ts";
import type { BodySource } from "../http/client.ts";
import { SpillQueue } from "./spill-queue.ts";
import type { Spool } from "./spool.ts";

export interface ResponseFeedOptions {
  /** Bytes that the worker may send before it is granted more: the most that waits here in memory. */
  creditBytes: number;
  /** Memory for the bytes that wait. */
  blocks: BlockPool;
  /** Takes bytes that the client does not read at once; `null`: they pause the worker instead. */
  spool: Spool | null;
  /** Grants the worker more bytes. */
  grant: (bytes: number) => void;
  /** Called when the client reads no more. */
  onCancel: () => void;
  /** Called when the disk refuses bytes. */
  onDiskError: (error: unknown) => void;
}

/**
 * A response body on its way from a worker to a client: the worker fills it against credit, the client's side reads it.
 *
 * Bytes that the client or the disk has taken are granted to the worker again, in pieces of half the credit. A body of
 * any size therefore takes bounded memory. Once its last chunk is here the worker is done with it, however slowly the
 * client reads. With a spool, the worker waits for the disk instead of the client, as long as the spool has room.
 * Without room, the worker waits for the client.
 */
export class ResponseFeed implements BodySource {
  onChange: (() => void) | null = null;
  readonly #options: ResponseFeedOptions;
  readonly #queue: SpillQueue;
  #creditBytes: number;
  #filled: "open" | "ended" | "failed" = "open";
  #failedAs = 500;

  constructor(options: ResponseFeedOptions) {
    const { creditBytes, blocks, spool } = options;
    this.#options = options;
    this.#creditBytes = creditBytes;
    this.#queue = new SpillQueue({
      spool,
      kind: "response",
      // Half of the credit, so that the other half can be on its way to the disk: neither side waits forever.
      memoryBytes: creditBytes / 2,
      blocks,
      onChange: () => {
        this.#grant();
        this.onChange?.();
      },
      onWriteFailed: (error) => {
        options.onDiskError(error);
        this.onChange?.();
      },
      onLost: (error) => this.#lose(error),
    });
  }

  get state(): BodySource["state"] {
    if (this.#filled === "failed") return "failed";
    return this.#filled === "ended" && this.#queue.bytes === 0 ? "ended" : "open";
  }

  get failedAs(): number {
    return this.#failedAs;
  }

  get wholeBytes(): number | null {
    return this.#filled === "ended" && this.#options.spool === null ? this.#queue.bytes : null;
  }

  /**
   * Adds a copy of the bytes: the caller may change them afterwards.
   *
   * @throws RuntimeError `ERR_PROTOCOL` when the worker sends more than it was granted.
   */
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
    this.#queue.spill();
  }

  /** Notes that the worker has sent the whole body. */
  end(): void {
    this.#finish("ended");
  }

  /** Notes that the rest will never come. The client must not take the part that it has for the whole. */
  fail(status: number): void {
    this.#failedAs = status;
    this.#finish("failed");
  }

  read(maxBytes: number): Uint8Array | null {
    const piece = this.#queue.take(maxBytes);
    if (piece !== null) this.#grant();
    return piece;
  }

  cancel(): void {
    this.#queue.clear();
    this.onChange = null;
    if (this.#filled !== "open") return;
    this.#filled = "failed";
    this.#options.onCancel();
  }

  /** Fails the body: some of its bytes are lost. */
  #lose(error: unknown): void {
    this.#options.onDiskError(error);
    const wasOpen = this.#filled === "open";
    this.#filled = "failed";
    this.#queue.clear();
    if (wasOpen) this.#options.onCancel();
    this.onChange?.();
  }

  /** Grants the bytes that have left memory, once they are half of the credit. */
  #grant(): void {
    if (this.#filled !== "open") return;
    const { creditBytes, grant } = this.#options;
    const freedBytes = creditBytes - this.#creditBytes - this.#queue.bytesInMemory;
    if (freedBytes < creditBytes / 2) return;
    this.#creditBytes += freedBytes;
    grant(freedBytes);
  }

  #finish(state: "ended" | "failed"): void {
    if (this.#filled !== "open") return;
    this.#filled = state;
    if (state === "failed") this.#queue.clear();
    this.onChange?.();
  }
}
