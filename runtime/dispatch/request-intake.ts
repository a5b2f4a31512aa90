import { CHUNK_BYTES, REQUEST_CREDIT_BYTES } from "../channel/messages.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { BodyFlow, BodySink, ClientSide } from "./client-side.ts";

/** What waits here above this holds the client back. */
const HIGH_WATER_BYTES = 256 * 1024;

export interface RequestIntakeOptions {
  /** Longest body. */
  limitBytes: number;
  /** A body up to this size is gathered before a worker is involved. */
  bufferBytes: number;
  /** What all bodies that are being gathered may take together; without it only each has its bound. */
  budget?: ByteBudget;
  /** The whole body is here: small enough to travel with its request. */
  onWhole: (body: Uint8Array) => void;
  /** It is larger than the buffer: the rest follows while a worker has it. */
  onOverflow: () => void;
  onRefused: (code: "ERR_BODY_TOO_LARGE" | "ERR_OVERLOADED") => void;
}

/** Where the chunks of a request body go once a worker has the request. */
export interface ChunkTarget {
  chunk(bytes: Uint8Array): void;
  end(): void;
}

/**
 * A request body on its way from a client to a worker.
 *
 *     gathering ──last byte──▶ whole
 *         └──over the buffer──▶ waiting ──worker──▶ feeding ──last byte sent──▶ done
 *     any ──over the limit──▶ refused;  any ──close──▶ done
 *
 * A slow upload holds no worker until it fills the buffer; then the worker's credit says how much it is sent, and a
 * worker that does not read holds the client back.
 *
 * A body that is gathered has its share of the budget until `close()`, also when it is whole: it then waits for a worker
 * elsewhere. One that overflows holds its client back instead, and gives its share back.
 */
export class RequestIntake implements BodySink {
  readonly #options: RequestIntakeOptions;
  readonly #queue = new ByteQueue();
  #flow: BodyFlow | null = null;
  #state: "gathering" | "waiting" | "feeding" | "done" = "gathering";
  #receivedBytes = 0;
  #complete = false;
  #paused = false;
  #target: ChunkTarget | null = null;
  #creditBytes = REQUEST_CREDIT_BYTES;
  /** Its share of the budget. */
  #heldBytes = 0;

  constructor(options: RequestIntakeOptions) {
    this.#options = options;
  }

  /** Begins to receive. In the turn in which the head arrived. */
  start(client: ClientSide): void {
    const announced = client.head.bodyBytes;
    if (announced !== null && announced > this.#options.limitBytes) {
      this.#refuse("ERR_BODY_TOO_LARGE");
      return;
    }
    this.#flow = client.receiveBody(this);
    // What came within the call was not held back yet.
    this.#regulate();
  }

  chunk(bytes: Uint8Array): void {
    if (this.#state === "done") return;
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes > this.#options.limitBytes) {
      this.#refuse("ERR_BODY_TOO_LARGE");
      return;
    }
    this.#queue.push(bytes);
    if (this.#state === "gathering") {
      if (this.#queue.bytes > this.#options.bufferBytes) {
        this.#release();
        this.#state = "waiting";
        this.#options.onOverflow();
      } else if (this.#options.budget?.take(bytes.length) === false) {
        this.#refuse("ERR_OVERLOADED");
        return;
      } else {
        this.#heldBytes += bytes.length;
      }
    }
    this.#pump();
  }

  end(): void {
    if (this.#state === "done") return;
    this.#complete = true;
    if (this.#state === "gathering") {
      this.#state = "done";
      this.#options.onWhole(this.#queue.takeAll());
      return;
    }
    this.#pump();
  }

  /** A worker has the request: its chunks go there. */
  feed(target: ChunkTarget): void {
    if (this.#state !== "waiting") return;
    this.#state = "feeding";
    this.#target = target;
    this.#pump();
  }

  /** The worker takes so many more bytes. */
  grant(bytes: number): void {
    this.#creditBytes += bytes;
    this.#pump();
  }

  /** Nobody wants the rest. What still arrives is dropped. */
  close(): void {
    this.#state = "done";
    this.#target = null;
    this.#queue.clear();
    this.#release();
    this.#regulate();
  }

  #pump(): void {
    if (this.#target !== null) this.#send(this.#target);
    this.#regulate();
  }

  #send(target: ChunkTarget): void {
    while (this.#creditBytes > 0) {
      const piece = this.#queue.take(Math.min(CHUNK_BYTES, this.#creditBytes));
      if (piece === null) break;
      this.#creditBytes -= piece.length;
      target.chunk(piece);
    }
    if (!this.#complete || this.#queue.bytes > 0) return;
    this.#state = "done";
    this.#target = null;
    target.end();
  }

  #regulate(): void {
    if (this.#flow === null) return;
    // What is gathered has a bound already; held back, it would never be whole. And once the last byte is here, to hold
    // the client back would only hide that it leaves.
    const over =
      !this.#complete && this.#state !== "gathering" && this.#queue.bytes > HIGH_WATER_BYTES;
    if (over === this.#paused) return;
    this.#paused = over;
    if (over) this.#flow.pause();
    else this.#flow.resume();
  }

  #release(): void {
    this.#options.budget?.give(this.#heldBytes);
    this.#heldBytes = 0;
  }

  #refuse(code: "ERR_BODY_TOO_LARGE" | "ERR_OVERLOADED"): void {
    this.close();
    this.#options.onRefused(code);
  }
}
