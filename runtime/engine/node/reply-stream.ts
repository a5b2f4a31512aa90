import { letEnd } from "../../bodies/let-end.ts";
import type { BodySource } from "../../http/client.ts";
import type { PreparedHead, Transport } from "./transport.ts";

/** Sizes of pieces. They double while the client takes everything at once, up to the largest. */
const FIRST_PIECE_BYTES = 16 * 1024;
const LARGEST_PIECE_BYTES = 256 * 1024;

/** Most bytes that one stream writes in one turn of the event loop. A client that reads fast gets the rest later. */
const TURN_BYTES = 1024 * 1024;

/** The outcome of a stream: complete, or broken off after (`broken`) or before (`unbegun`) the head was written. */
export type StreamOutcome = "complete" | "broken" | "unbegun";

export interface ReplyToStream {
  status: number;
  statusText: string;
  fields: PreparedHead;
  /** The size of the body; `null`: unknown. */
  lengthBytes: number | null;
  body: BodySource;
  /** Sent first if the source has no bytes yet; `null`: nothing. */
  opening: Uint8Array | null;
}

/**
 * Writes a response whose body comes piece by piece. Reads from the source only as many bytes as the client takes.
 *
 *     waiting ──begin──▶ writing ──▶ blocked (bytes wait for the client) ──onRoom──▶ writing
 *        │                  ├── source ended ──▶ flushing ──last byte left──▶ done (complete)
 *        └──────────────────┴── source failed, or has not the announced size ──▶ done (unbegun, broken)
 *
 * A body of unknown size begins in a later turn of the event loop: by then a short one may be complete, and its size is
 * known.
 */
export class ReplyStream {
  readonly #transport: Transport;
  readonly #reply: ReplyToStream;
  readonly #done: (outcome: StreamOutcome, sentBytes: number) => void;
  #state: "waiting" | "writing" | "blocked" | "flushing" | "done" = "waiting";
  #lengthBytes: number | null;
  #hasBegun = false;
  #sentBytes = 0;
  #pieceBytes = FIRST_PIECE_BYTES;
  #isScheduled = false;
  /** Time at which the client last took bytes. `sendTimeout` counts from here. */
  progressMs: number = performance.now();

  constructor(
    transport: Transport,
    reply: ReplyToStream,
    done: (outcome: StreamOutcome, sentBytes: number) => void,
  ) {
    this.#transport = transport;
    this.#reply = reply;
    this.#lengthBytes = reply.lengthBytes;
    this.#done = done;
  }

  /** True while the stream waits for the client. */
  get blocked(): boolean {
    return this.#state === "blocked" || this.#state === "flushing";
  }

  /** True once the head is written. */
  get begun(): boolean {
    return this.#hasBegun;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Begins, in this turn of the event loop if the size is known. */
  start(): void {
    this.#reply.body.onChange = () => this.#pump();
    if (this.#lengthBytes === null) setImmediate(() => this.#begin());
    else this.#begin();
  }

  /** Must be called when the client left. Nothing is written from now on. */
  abort(): void {
    if (this.#state === "done") return;
    const wasFlushing = this.#state === "flushing";
    this.#state = "done";
    if (!wasFlushing) this.#reply.body.cancel();
  }

  /** Must be called when all written bytes have left. */
  onRoom(): void {
    if (!this.blocked) return;
    this.progressMs = performance.now();
    if (this.#state === "flushing") {
      this.#finish();
      return;
    }
    this.#state = "writing";
    this.#pump();
  }

  #begin(): void {
    if (this.#state !== "waiting") return;
    this.#state = "writing";
    const { body, opening } = this.#reply;
    this.#lengthBytes ??= body.wholeBytes ?? null;
    this.#pump();
    const isSilent = this.#state === "writing" && !this.#hasBegun;
    if (isSilent && opening !== null && this.#lengthBytes === null) this.#write(opening);
  }

  #pump(): void {
    if (this.#state !== "writing") return;
    const { body } = this.#reply;
    let turnBytes = 0;
    while (this.#state === "writing") {
      if (turnBytes >= TURN_BYTES) {
        this.#pumpLater();
        return;
      }
      const piece = body.read(this.#pieceBytes);
      if (piece === null) break;
      if (piece.length === 0) continue;
      turnBytes += piece.length;
      if (this.#lengthBytes !== null && this.#sentBytes + piece.length > this.#lengthBytes) {
        this.#break();
        return;
      }
      this.#write(piece);
      if (this.#sentBytes === this.#lengthBytes) {
        this.#end();
        return;
      }
    }
    if (body.state === "failed" && this.#isOpen) this.#break();
    else if (this.#state === "writing" && body.state === "ended") this.#end();
  }

  get #isOpen(): boolean {
    return this.#state === "writing" || this.#state === "blocked";
  }

  #pumpLater(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#pump();
    });
  }

  #write(piece: Uint8Array): void {
    this.#writeHead();
    this.#sentBytes += piece.length;
    this.progressMs = performance.now();
    this.#transport.write(piece);
    if (!this.#transport.isBlocked) {
      this.#pieceBytes = Math.min(2 * this.#pieceBytes, LARGEST_PIECE_BYTES);
      return;
    }
    this.#pieceBytes = FIRST_PIECE_BYTES;
    // The write may have ended the exchange: a socket that is gone takes nothing.
    if (this.#state === "writing") this.#state = "blocked";
  }

  #writeHead(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const { status, statusText, fields } = this.#reply;
    const lengthBytes = this.#lengthBytes;
    this.#transport.writeHead({ status, statusText, fields, lengthBytes, hasBody: true });
  }

  #end(): void {
    if (this.#lengthBytes !== null && this.#sentBytes !== this.#lengthBytes) {
      this.#break();
      return;
    }
    this.#writeHead();
    letEnd(this.#reply.body);
    this.#state = "flushing";
    this.#transport.end();
    if (!this.#transport.isBlocked) this.#finish();
  }

  #break(): void {
    this.#state = "done";
    this.#reply.body.cancel();
    this.#done(this.#hasBegun ? "broken" : "unbegun", this.#sentBytes);
  }

  #finish(): void {
    if (this.#state !== "flushing") return;
    this.#state = "done";
    this.#done("complete", this.#sentBytes);
  }
}
