import type { BodyFlow, BodySink, HeldBodySink } from "../http/client.ts";
import type { BlockPool } from "./block-pool.ts";
import { CHUNK_BYTES } from "../channel/messages.ts";
import { SpillQueue } from "./spill-queue.ts";
import type { Spool } from "./spool.ts";

/** Pauses the client when more than this waits here. */
const HIGH_WATER_BYTES = 64 * 1024;

/** Memory for bytes that arrive in spite of the pause. Beyond it they go to disk. */
const BURST_BYTES = 256 * 1024;

export interface HeldBodyOptions {
  /** Holds bytes that arrive in spite of a pause; `null`: they stay in memory. */
  spool: Spool | null;
  blocks: BlockPool;
}

/**
 * The body of a request that waits for a decision. Keeps the first bytes, and pauses the client. Passes everything on
 * once the decision is made.
 *
 *     holding ──release──▶ passing ──close──▶ closed
 *        └───────────────────close───────────▲
 */
export class HeldBody implements HeldBodySink, BodyFlow {
  readonly #queue: SpillQueue;
  #flow: BodyFlow | null = null;
  #sink: BodySink | null = null;
  #isComplete = false;
  #isEnded = false;
  /** The sink's owner has paused it. */
  #isHeldByOwner = false;
  #isPaused = false;
  #isClosed = false;

  constructor({ spool, blocks }: HeldBodyOptions) {
    this.#queue = new SpillQueue({
      spool,
      // As for a body on its way to a worker (`request-intake.ts`): a paused client still delivers the bytes in the
      // buffers of both kernels.
      kind: "burst",
      memoryBytes: BURST_BYTES,
      blocks,
      onChange: () => this.#pump(),
      onWriteFailed: () => {},
      // The bytes are lost. The sink gets no end, so the client runs into the timeout of its body.
      onLost: () => this.close(),
    });
  }

  /** Begins to hold. `flow` controls the client. */
  start(flow: BodyFlow): void {
    this.#flow = flow;
    this.#regulate();
  }

  /** Passes the body to the sink from now on, from its first byte. Returns the control of it. */
  release(sink: BodySink): BodyFlow {
    this.#sink = sink;
    this.#pump();
    return this;
  }

  chunk(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#sink !== null && this.#queue.bytes === 0 && !this.#isHeldByOwner) {
      this.#sink.chunk(bytes);
      return;
    }
    this.#queue.push(bytes);
    this.#queue.spill();
    this.#pump();
  }

  end(): void {
    if (this.#isClosed) return;
    this.#isComplete = true;
    this.#pump();
  }

  pause(): void {
    this.#isHeldByOwner = true;
    this.#regulate();
  }

  resume(): void {
    this.#isHeldByOwner = false;
    this.#pump();
  }

  /** Drops the bytes, and all that still arrive. */
  close(): void {
    this.#isClosed = true;
    this.#sink = null;
    this.#queue.clear();
    this.#regulate();
  }

  #pump(): void {
    while (this.#sink !== null && !this.#isHeldByOwner) {
      const piece = this.#queue.take(CHUNK_BYTES);
      if (piece === null) break;
      this.#sink.chunk(piece);
    }
    const isAllPassed = this.#isComplete && this.#queue.bytes === 0 && !this.#isHeldByOwner;
    if (this.#sink !== null && isAllPassed && !this.#isEnded) {
      this.#isEnded = true;
      this.#sink.end();
    }
    this.#regulate();
  }

  #regulate(): void {
    if (this.#flow === null) return;
    // After the last byte, a pause would only hide that the client leaves.
    const mustWait = this.#isHeldByOwner || this.#queue.bytes > HIGH_WATER_BYTES;
    const isPaused = mustWait && !this.#isComplete && !this.#isClosed;
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    if (isPaused) this.#flow.pause();
    else this.#flow.resume();
  }
}
