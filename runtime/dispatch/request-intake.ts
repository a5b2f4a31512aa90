import { CHUNK_BYTES, REQUEST_CREDIT_BYTES } from "../channel/messages.ts";
import type { ByteBudget } from "./byte-budget.ts";
import type { BurstQueue } from "./burst-queue.ts";
import type { BodyFlow, BodySink, ClientSide } from "./client-side.ts";
import type { SpoolFile } from "./spool-file.ts";
import { SpoolReader } from "./spool-reader.ts";
import type { Spool } from "./spool.ts";

/** Memory holds at least this much of a body that comes faster than we can hold its client back. */
const BURST_BYTES = 8 * 1024 * 1024;

/** What waits here above this, for a worker or for the disk, holds the client back. */
const HIGH_WATER_BYTES = 256 * 1024;

export interface RequestIntakeOptions {
  /** Longest body. */
  limitBytes: number;
  /** A body up to this size is gathered before a worker is involved. */
  bufferBytes: number;
  /** What all bodies that are being gathered may take together; without it only each has its bound. */
  budget?: ByteBudget;
  /** A larger body goes to a worker while it comes, or is spooled until it is complete. */
  overflow: "stream" | "spool";
  /** Where bodies are kept that memory shall not hold. */
  spool: Spool;
  /** The whole body is here: small enough to travel with its request. */
  onWhole: (body: Uint8Array) => void;
  /** It is larger than the buffer, and follows once a worker has the request. What is spooled is complete by now. */
  onOverflow: () => void;
  /** @param cause What the disk says. */
  onRefused: (code: "ERR_BODY_TOO_LARGE" | "ERR_OVERLOADED" | "ERR_SPOOL", cause?: unknown) => void;
}

/** Where the chunks of a request body go once a worker has the request. */
export interface ChunkTarget {
  /** The bytes are valid during the call only. */
  chunk(bytes: Uint8Array): void;
  end(): void;
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
 * A slow upload holds no worker until it fills the buffer, and none at all when it is spooled; then the worker's credit
 * says how much it is sent. A worker that does not read, and a disk that is slow, hold the client back.
 *
 * A body that is gathered has its share of the budget until `close()`, also when it is whole: it then waits for a worker
 * elsewhere. One that overflows holds its client back instead, and gives its share back. A spooled one has its file
 * until `close()`, since another worker may need it from the start, or until it is committed and sent.
 */
export class RequestIntake implements BodySink {
  readonly #options: RequestIntakeOptions;
  readonly #queue: BurstQueue;
  #flow: BodyFlow | null = null;
  #state: "gathering" | "spooling" | "waiting" | "feeding" | "sent" | "done" = "gathering";
  #receivedBytes = 0;
  #complete = false;
  #paused = false;
  #target: ChunkTarget | null = null;
  #creditBytes = REQUEST_CREDIT_BYTES;
  /** Its share of the budget. */
  #heldBytes = 0;
  #file: SpoolFile | null = null;
  /** Of the file, for the worker that has the request. */
  #reader: SpoolReader | null = null;
  #committed = false;

  constructor(options: RequestIntakeOptions) {
    this.#options = options;
    this.#queue = options.spool.openBurstQueue(Math.max(BURST_BYTES, options.bufferBytes));
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
    if (this.#file !== null) {
      this.#store(this.#file, bytes);
    } else {
      this.#queue.push(bytes.subarray(this.#pass(bytes)));
      if (this.#state === "gathering") this.#gather(bytes.length);
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
    this.#file?.seal();
    this.#checkStored();
    this.#pump();
  }

  /** Whether `feed` may be called again, for a worker that gets all from the first byte on. */
  get rereadable(): boolean {
    const isFed = this.#state === "feeding" || this.#state === "sent";
    return isFed && this.#file !== null && !this.#committed;
  }

  /** Whether a worker has all that came, would take more, and the client has not sent it. */
  get waitsForClient(): boolean {
    if (this.#state !== "feeding" || this.#file !== null || this.#complete) return false;
    return this.#queue.bytes === 0 && this.#creditBytes > 0;
  }

  /** Of the body, so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** A worker has the request: its chunks go there, and no longer to another that had it before. */
  feed(target: ChunkTarget): void {
    if (this.#state !== "waiting" && !this.rereadable) return;
    this.#state = "feeding";
    this.#target = target;
    this.#creditBytes = REQUEST_CREDIT_BYTES;
    if (this.#file !== null) {
      this.#reader?.cancel();
      const reader = new SpoolReader(this.#file);
      this.#reader = reader;
      reader.onChange = () => {
        if (reader.state === "failed") this.#refuse("ERR_SPOOL", reader.error);
        else this.#pump();
      };
    }
    this.#pump();
  }

  /** The worker that has it will keep it: what was sent need not be kept any longer. */
  commit(): void {
    this.#committed = true;
    if (this.#state === "sent") this.close();
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
    this.#reader?.cancel();
    this.#reader = null;
    this.#file?.close();
    this.#file = null;
    this.#release();
    this.#regulate();
  }

  #gather(bytes: number): void {
    const { bufferBytes, budget, overflow, spool } = this.#options;
    if (this.#queue.bytes <= bufferBytes) {
      if (budget?.take(bytes) === false) this.#refuse("ERR_OVERLOADED");
      else this.#heldBytes += bytes;
      return;
    }
    this.#release();
    if (overflow === "stream") {
      this.#state = "waiting";
      this.#options.onOverflow();
    } else {
      this.#spool(spool);
    }
  }

  /** All of it goes to a file, so that it can be read again from its start. */
  #spool(spool: Spool): void {
    const file = spool.open("request", {
      onWritten: () => {
        this.#checkStored();
        this.#regulate();
      },
      onFailed: (error) => this.#refuse("ERR_SPOOL", error),
    });
    if (file === null) {
      this.#refuse("ERR_OVERLOADED");
      return;
    }
    this.#state = "spooling";
    this.#file = file;
    for (let piece = this.#queue.take(Infinity); piece; piece = this.#queue.take(Infinity)) {
      if (!this.#store(file, piece)) return;
    }
  }

  /** Copies them: they are valid during the call only. */
  #store(file: SpoolFile, bytes: Uint8Array): boolean {
    if (file.append(new Uint8Array(bytes))) return true;
    this.#refuse("ERR_OVERLOADED");
    return false;
  }

  /** The last byte is on the disk: a worker is wanted. */
  #checkStored(): void {
    if (this.#state !== "spooling" || !this.#complete) return;
    if (this.#file === null || this.#file.waitingBytes > 0) return;
    this.#state = "waiting";
    this.#options.onOverflow();
  }

  #pump(): void {
    if (this.#target !== null) this.#send(this.#target);
    this.#regulate();
  }

  /** What the worker takes at once need not wait. Returns how many bytes that were. */
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
      const most = Math.min(CHUNK_BYTES, this.#creditBytes);
      const piece = this.#take(most);
      if (piece === null) break;
      this.#creditBytes -= piece.length;
      target.chunk(piece);
    }
    if (this.#target === null) return;
    if (this.#reader === null) {
      if (!this.#complete || this.#queue.bytes > 0) return;
      this.#state = "done";
    } else {
      if (this.#reader.state !== "ended") return;
      this.#state = "sent";
    }
    this.#target = null;
    target.end();
    if (this.#committed) this.close();
  }

  #take(maxBytes: number): Uint8Array | null {
    if (this.#reader !== null) return this.#reader.read(maxBytes);
    try {
      return this.#queue.take(maxBytes);
    } catch (error) {
      this.#refuse("ERR_SPOOL", error);
      return null;
    }
  }

  #regulate(): void {
    if (this.#flow === null) return;
    // What is gathered has a bound already; held back, it would never be whole. And once the last byte is here, to hold
    // the client back would only hide that it leaves.
    const waitingBytes = this.#file === null ? this.#queue.bytes : this.#file.waitingBytes;
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
    this.close();
    this.#options.onRefused(code, cause);
  }
}
