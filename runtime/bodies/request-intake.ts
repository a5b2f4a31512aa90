import { CHUNK_BYTES, REQUEST_CREDIT_BYTES } from "../channel/messages.ts";
import type { ByteBudget } from "./byte-budget.ts";
import type { BodyFlow, BodySink, Client } from "../http/client.ts";
import { SpillQueue } from "./spill-queue.ts";
import type { Spool } from "./spool.ts";

/** Memory holds at least this much of a body that arrives faster than its client can be paused. */
const BURST_BYTES = 8 * 1024 * 1024;

/** Pauses the client when more than this waits here for a worker or for the disk. */
const HIGH_WATER_BYTES = 256 * 1024;

export interface RequestIntakeOptions {
  /** Longest body. */
  limitBytes: number;
  /** The intake gathers a body up to this size before it asks for a worker. */
  bufferBytes: number;
  /** Shared memory for all bodies that are being gathered. Absent: only `bufferBytes` bounds them. */
  budget?: ByteBudget;
  /** Where a larger body goes: as a stream to a worker, or to disk until it is complete. */
  overflow: "stream" | "spool";
  /** Holds bodies on disk. */
  spool: Spool;
}

/** Tells the owner of a request what becomes of its body. Each is called once at most. */
export interface IntakeEvents {
  /** Called when the whole body is here. It is small enough to travel with its request. */
  onWhole: (body: Uint8Array) => void;
  /**
   * Called when the body is larger than the buffer: it follows once a worker has the request. A spooled body is complete
   * by now.
   */
  onOverflow: () => void;
  /** Called when the body is refused. `cause` is the error of the disk. */
  onRefused: (code: "ERR_BODY_TOO_LARGE" | "ERR_OVERLOADED" | "ERR_SPOOL", cause?: unknown) => void;
}

/** Takes the chunks of a request body for the worker that has the request. */
export interface ChunkTarget {
  /** The bytes are valid during the call only. */
  chunk(bytes: Uint8Array): void;
  end(): void;
  /** Called when the rest of the body is lost; absent: the owner of the request learns it by `onRefused`. */
  broken?: () => void;
}

/**
 * A request body on its way from a client to a worker.
 *
 *     gathering ──last byte──▶ whole (done)
 *         ├──over the buffer──▶ waiting ──worker──▶ feeding ──last byte sent──▶ done
 *         └──over the buffer──▶ spooling ──last byte on disk──▶ waiting ──worker──▶ feeding ──last byte sent──▶ sent
 *     feeding, sent ──another worker (spooled, and not committed)──▶ feeding
 *     any ──over the limit, no room, disk refuses──▶ refused (done);  any ──close──▶ done
 *
 * A slow upload holds no worker until it fills the buffer, and none at all when it is spooled. After that, the intake
 * sends as much as the worker's credit allows. A slow worker and a slow disk pause the client.
 *
 * A gathered body holds its share of the budget until `close()`, also while the whole body waits for a worker in a
 * queue. A body that overflows gives its share back, and pauses its client instead. A spooled body has its file until
 * `close()`, because another worker may need it from the start, or until it is committed and sent.
 */
export class RequestIntake implements BodySink {
  readonly #options: RequestIntakeOptions;
  #events: IntakeEvents | null = null;
  readonly #queue: SpillQueue;
  #flow: BodyFlow | null = null;
  #state: "gathering" | "spooling" | "waiting" | "feeding" | "sent" | "done" = "gathering";
  #receivedBytes = 0;
  #complete = false;
  #paused = false;
  #target: ChunkTarget | null = null;
  #creditBytes = REQUEST_CREDIT_BYTES;
  /** This body's share of the budget. */
  #heldBytes = 0;
  /** The whole body goes to disk, where a second worker can get it from the start. */
  #isSpooled = false;
  #committed = false;

  constructor(options: RequestIntakeOptions) {
    const { bufferBytes, overflow, spool } = options;
    this.#options = options;
    this.#queue = new SpillQueue({
      spool,
      // A paused client still delivers the bytes in the buffers of both kernels, and all that it sends while those are
      // read: pausing a socket does not end the loop that reads it (docs/uwebsockets.md section 3; 80 MB within one
      // turn were seen over the loopback). There is no later moment to write them to disk.
      kind: overflow === "stream" ? "burst" : "request",
      memoryBytes: Math.max(BURST_BYTES, bufferBytes),
      blocks: spool.blocks,
      onChange: () => this.#onQueueChange(),
      onWriteFailed: (error) => this.#isSpooled && this.#refuse("ERR_SPOOL", error),
      onLost: (error) => this.#refuse("ERR_SPOOL", error),
    });
  }

  /** Begins to receive. Must be called in the turn of the event loop in which the head arrived. */
  start(client: Client, events: IntakeEvents): void {
    this.#events = events;
    const announced = client.head.bodyBytes;
    if (announced !== null && announced > this.#options.limitBytes) {
      this.#refuse("ERR_BODY_TOO_LARGE");
      return;
    }
    this.#flow = client.receiveBody(this);
    // Bytes that arrived within this call came before any pause.
    this.#regulate();
  }

  chunk(bytes: Uint8Array): void {
    if (this.#state === "done") return;
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes > this.#options.limitBytes) {
      this.#refuse("ERR_BODY_TOO_LARGE");
      return;
    }
    this.#queue.push(bytes.subarray(this.#pass(bytes)));
    if (this.#state === "gathering") this.#gather(bytes.length);
    this.#pump();
    if (!this.#queue.spill() && this.#isSpooled) this.#refuse("ERR_OVERLOADED");
  }

  end(): void {
    if (this.#state === "done") return;
    this.#complete = true;
    if (this.#state === "gathering") {
      this.#state = "done";
      this.#events?.onWhole(this.#queue.takeAll());
      return;
    }
    this.#onQueueChange();
  }

  /** Tells whether `feed` may be called again, to send the body to another worker from its first byte on. */
  get rereadable(): boolean {
    const isFed = this.#state === "feeding" || this.#state === "sent";
    return isFed && this.#isSpooled && !this.#committed;
  }

  /** Tells whether the worker has all bytes that arrived, has credit for more, and waits for the client. */
  get waitsForClient(): boolean {
    if (this.#state !== "feeding" || this.#complete) return false;
    return this.#queue.bytes === 0 && this.#creditBytes > 0;
  }

  /** Number of bytes that have arrived. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Tells whether the whole body has arrived. */
  get isComplete(): boolean {
    return this.#complete;
  }

  /**
   * Sends the body to the worker that has the request now. An earlier worker gets no more of it.
   *
   * @returns False: the intake cannot send the body, and the target gets nothing.
   */
  feed(target: ChunkTarget): boolean {
    if (this.#state !== "waiting" && !this.rereadable) return false;
    this.#state = "feeding";
    this.#target = target;
    this.#creditBytes = REQUEST_CREDIT_BYTES;
    if (this.#isSpooled) this.#queue.rewind();
    this.#pump();
    return true;
  }

  /** Notes that no other worker will need the body: bytes that were sent need not be kept. */
  commit(): void {
    this.#committed = true;
    if (this.#state === "sent") this.close();
  }

  /** Adds credit from the worker. */
  grant(bytes: number): void {
    this.#creditBytes += bytes;
    this.#pump();
  }

  /** Drops the body, and all bytes that still arrive. */
  close(): void {
    this.#state = "done";
    this.#target = null;
    this.#queue.clear();
    this.#release();
    this.#regulate();
  }

  #gather(bytes: number): void {
    const { bufferBytes, budget, overflow } = this.#options;
    if (this.#queue.bytes <= bufferBytes) {
      if (budget?.take(bytes) === false) this.#refuse("ERR_OVERLOADED");
      else this.#heldBytes += bytes;
      return;
    }
    this.#release();
    if (overflow === "stream") {
      this.#state = "waiting";
      this.#events?.onOverflow();
    } else {
      this.#state = "spooling";
      this.#isSpooled = true;
      this.#queue.keepOnDisk();
    }
  }

  #onQueueChange(): void {
    // The body asks for a worker once its last byte is on disk.
    if (this.#state === "spooling" && this.#complete && this.#queue.bytesInMemory === 0) {
      this.#state = "waiting";
      this.#events?.onOverflow();
    }
    this.#pump();
  }

  #pump(): void {
    if (this.#target !== null) this.#send(this.#target);
    this.#regulate();
  }

  /** Sends bytes for which the worker has credit, without queueing them. Returns how many. */
  #pass(bytes: Uint8Array): number {
    const target = this.#target;
    if (target === null || this.#queue.bytes > 0) return 0;
    const end = Math.min(bytes.length, this.#creditBytes);
    for (let at = 0; at < end; at += CHUNK_BYTES) {
      target.chunk(bytes.subarray(at, Math.min(at + CHUNK_BYTES, end)));
    }
    this.#creditBytes -= end;
    return end;
  }

  #send(target: ChunkTarget): void {
    while (this.#creditBytes > 0) {
      const piece = this.#queue.take(Math.min(CHUNK_BYTES, this.#creditBytes));
      if (piece === null) break;
      this.#creditBytes -= piece.length;
      target.chunk(piece);
    }
    if (this.#target === null || !this.#complete || this.#queue.bytes > 0) return;
    this.#state = this.#isSpooled ? "sent" : "done";
    this.#target = null;
    target.end();
    if (this.#committed) this.close();
  }

  #regulate(): void {
    if (this.#flow === null) return;
    // The budget bounds a body that is being gathered, and a pause would keep it from becoming whole. After the last
    // byte, a pause would only hide that the client leaves.
    const waitingBytes = this.#isSpooled ? this.#queue.bytesInMemory : this.#queue.bytes;
    const over = !this.#complete && this.#state !== "gathering" && waitingBytes > HIGH_WATER_BYTES;
    if (over === this.#paused) return;
    this.#paused = over;
    if (over) this.#flow.pause();
    else this.#flow.resume();
  }

  #release(): void {
    this.#options.budget?.give(this.#heldBytes);
    this.#heldBytes = 0;
  }

  #refuse(code: "ERR_BODY_TOO_LARGE" | "ERR_OVERLOADED" | "ERR_SPOOL", cause?: unknown): void {
    const target = this.#target;
    this.close();
    this.#events?.onRefused(code, cause);
    target?.broken?.();
  }
}
