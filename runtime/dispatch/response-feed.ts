import { RuntimeError } from "../errors.ts";
import type { BlockPool } from "./block-pool.ts";
import { BlockQueue } from "./block-queue.ts";
import type { BodySource } from "./client-side.ts";
import { ResponseSpill } from "./response-spill.ts";
import type { Spool } from "./spool.ts";

export interface ResponseFeedOptions {
  /** What the worker may send before it is granted more: the most that waits here in memory. */
  creditBytes: number;
  /** Where they wait. */
  blocks: BlockPool;
  /** Where bytes go that the client does not take as they come; `null`: they hold the worker back. */
  spool: Spool | null;
  /** Grants the worker so many more bytes. */
  grant: (bytes: number) => void;
  /** The client reads no more. */
  onCancel: () => void;
  /** The disk refuses what was to be spooled. */
  onDiskError: (error: unknown) => void;
}

/**
 * A response body on its way from a worker to a client: the worker fills it against credit, the client's side reads it.
 *
 * What the client has taken, or the disk, is granted to the worker again, in pieces of half the credit. So a body of any
 * size takes a bounded place here, and once its last chunk is here the worker is done with it, however slowly the client
 * reads. With a spool, it is the disk and not the client that the worker waits for, as long as the spool has room. A
 * disk that takes no more costs only that.
 */
export class ResponseFeed implements BodySource {
  onChange: (() => void) | null = null;
  readonly #options: ResponseFeedOptions;
  readonly #queue: BlockQueue | ResponseSpill;
  readonly #spill: ResponseSpill | null;
  #creditBytes: number;
  #takenBytes = 0;
  #filled: "open" | "ended" | "failed" = "open";
  #failedAs = 500;

  constructor(options: ResponseFeedOptions) {
    const { creditBytes, blocks, spool } = options;
    this.#options = options;
    this.#creditBytes = creditBytes;
    this.#spill = spool === null ? null : this.#createSpill(spool);
    this.#queue = this.#spill ?? new BlockQueue(blocks);
  }

  get state(): BodySource["state"] {
    if (this.#filled === "failed") return "failed";
    return this.#filled === "ended" && this.#queue.bytes === 0 ? "ended" : "open";
  }

  get failedAs(): number {
    return this.#failedAs;
  }

  get wholeBytes(): number | null {
    return this.#filled === "ended" && this.#spill === null ? this.#queue.bytes : null;
  }

  /**
   * Takes a copy: the bytes may change afterwards.
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
    this.#spill?.spill();
  }

  /** The worker has sent all. */
  end(): void {
    this.#finish("ended");
  }

  /** The rest will never come: what the client has is not the whole, and must not look like it. */
  fail(status: number): void {
    this.#failedAs = status;
    this.#finish("failed");
  }

  read(maxBytes: number): Uint8Array | null {
    const piece = this.#queue.take(maxBytes);
    // A spill tells itself what memory is rid of.
    if (piece !== null && this.#spill === null) this.#grant(piece.length);
    return piece;
  }

  cancel(): void {
    this.#queue.clear();
    this.onChange = null;
    if (this.#filled !== "open") return;
    this.#filled = "failed";
    this.#options.onCancel();
  }

  #createSpill(spool: Spool): ResponseSpill {
    const { creditBytes, onDiskError } = this.#options;
    return new ResponseSpill({
      spool,
      // With half of the credit in memory, the other half goes to and fro: neither side waits for ever.
      memoryBytes: creditBytes / 2,
      onFreed: (bytes) => this.#grant(bytes),
      onReadable: () => this.onChange?.(),
      onDiskError: (error, isLost) => {
        onDiskError(error);
        if (isLost) this.#lose();
      },
    });
  }

  /** Some of what came is gone. */
  #lose(): void {
    const wasOpen = this.#filled === "open";
    this.#filled = "failed";
    this.#queue.clear();
    if (wasOpen) this.#options.onCancel();
    this.onChange?.();
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
