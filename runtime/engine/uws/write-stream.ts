import type { BodySource } from "../../http/client.ts";
import type { PreparedFields } from "../../http/response-fields.ts";
import type { HttpResponse } from "./uws.ts";
import { type Ending, writeEnding, writeHead, writeResponse } from "./write-response.ts";

/**
 * Most that one `write` may pass: a corked write that does not fit into the library's buffer of 16 KiB loses bytes when
 * the socket is full (docs/uwebsockets.md section 4).
 */
const WRITE_BYTES = 16_000;

/** A head up to this size leaves together with the first part of the body. Includes the library's own lines. */
const SMALL_HEAD_BYTES = 4_000;
const OWN_HEAD_BYTES = 400;

/** Most bytes for one `tryEnd`. It takes as many as the socket takes, and loses none. */
const TRY_END_BYTES = 256 * 1024;

/** Bytes of a piece that are kept back. Written one by one, they tell whether the rest of the piece has left. */
const KEPT_BYTES = 24;

/** Pause between the first and the second of the kept bytes. Each later pause is twice as long. */
const PROBE_PAUSE_MS = 2;

/** The first pause when the socket probably has room. */
const HOPEFUL_PAUSE_MS = 64;

/** Time after which written bytes count as sent, if no kept byte is left to test it. */
const DRY_MS = 1_000;

export interface StreamResponse {
  status: number;
  statusText: string;
  fields: PreparedFields;
  /** The size of the body; `null`: it is sent in chunks. */
  lengthBytes: number | null;
  body: BodySource;
  ending: Ending;
  /** Sent first if the source has nothing yet: with a body in chunks, the head leaves only together with some of it. */
  opening: Buffer | null;
  /** A write did not fit. The library now polls the socket for reading and writing, even if it was paused. */
  onBlocked: () => void;
  /** All was written but the end, or the last byte. */
  onEnding: () => void;
  /** The socket took more of the last bytes, after the stream was complete. */
  onLateRoom: () => void;
  /** Some of the request is still to come. */
  requestOpen: () => boolean;
  /** The connection uses TLS. */
  secure: boolean;
}

/** How long a source may take to end after the last byte of an announced length. */
const END_GRACE_MS = 1_000;

/** How the writing of a body ended: all was taken, or it has to be broken off, perhaps before anything was written. */
export type StreamOutcome = "complete" | "broken" | "unbegun";

/**
 * A response whose body comes piece by piece. It reads from the source only as many bytes as the client takes.
 *
 *     waiting ──▶ writing ──▶ blocked (socket full) ──onWritable, or retry──▶ writing ──source ended──▶ done
 *        └───────────┴─ source failed, or does not have the announced size ──▶ done (unbegun, broken)
 *
 * It waits for a turn of its own before it writes chunks: in a callback of the library all writes share one cork, and
 * the library would lose some of several chunks that do not fit. By then a short stream may be complete, and leaves as
 * one piece.
 */
export class StreamWriter {
  readonly #res: HttpResponse;
  readonly #response: StreamResponse;
  readonly #done: (outcome: StreamOutcome, sentBytes: number) => void;
  #state: "waiting" | "writing" | "blocked" | "done" = "waiting";
  /** The size of the body; `null`: it is sent in chunks. */
  #lengthBytes: number | null;
  #headWritten = false;
  #leftOpen: boolean;
  #sentBytes = 0;
  /** Given to `tryEnd` and not taken whole, and where it begins in the body. */
  #piece: Uint8Array | null = null;
  #pieceStart = 0;
  /** How far `tryEnd` got. */
  #takenOffset = 0;
  /** Read, and to be written before all that is read later. */
  #kept: Uint8Array | null = null;
  /** Buffer in which the kept bytes are joined with new ones. */
  #joined: Uint8Array | null = null;
  /** When the next kept byte may be written, and the pause after it. */
  #probeAtMs = 0;
  #probePauseMs = 0;
  /** Whether the socket has room is not known: one byte will tell, which may pile up where a piece may not. */
  #probing = false;
  /** A write did not fit, and none has fitted since: the library may still have some of the response. */
  #unsure = false;
  /** When the client last took bytes; a stall counts from here. */
  progressMs: number = performance.now();

  constructor(
    res: HttpResponse,
    response: StreamResponse,
    done: (outcome: StreamOutcome, sentBytes: number) => void,
  ) {
    this.#res = res;
    this.#response = response;
    this.#lengthBytes = response.lengthBytes;
    this.#leftOpen = response.ending === "close";
    this.#done = done;
  }

  /** The socket is full: it is the client that we wait for. */
  get blocked(): boolean {
    return this.#state === "blocked";
  }

  /** It is complete, and the library waits for more of it: the connection is to be closed. */
  get leftOpen(): boolean {
    return this.#leftOpen;
  }

  /** The head was written. */
  get begun(): boolean {
    return this.#headWritten;
  }

  /** Nothing may be read of this connection: the library may have some of the response in its buffer. */
  get forbidsReading(): boolean {
    return this.blocked && this.#lengthBytes === null && this.#losesInput;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Whether input would be lost if it is read while the library still has some of this response (decision 027). */
  get #losesInput(): boolean {
    return this.#response.secure && this.#response.requestOpen();
  }

  /** The connection is closed after the response, and the library is not to know that it is complete. */
  get #closes(): boolean {
    return this.#response.ending === "close";
  }

  /** Writes the head with the available part of the body. */
  start(): void {
    if (this.#state === "done") return;
    // One callback for the whole response: to replace it from inside itself is unreliable (docs/uwebsockets.md section 4).
    this.#res.onWritable((offset) => {
      this.#onWritable(offset);
      return true;
    });
    this.#response.body.onChange = () => this.#pump();
    if (this.#lengthBytes === null) setImmediate(() => this.#begin());
    else this.#begin();
  }

  /** The client left: no method of `res` may be called any more. */
  abort(): void {
    if (this.#state === "done") return;
    this.#state = "done";
    this.#response.body.cancel();
  }

  /**
   * Tries again without having been told that the socket has room: while a socket is paused, the library watches it
   * for nothing at all, and after a pause perhaps not for room.
   */
  retry(): void {
    if (this.#state !== "blocked") return;
    if (this.#lengthBytes === null) {
      // Drains the library's own buffer, or else makes it watch for room again.
      this.#res.cork(() => {});
      if (this.forbidsReading && !this.#mayProbe()) {
        this.#response.onBlocked();
        return;
      }
      this.#state = "writing";
      this.#probing = true;
    } else if (this.#piece !== null) {
      this.#tryEnd(this.#piece.subarray(this.#res.getWriteOffset() - this.#pieceStart));
    }
    this.#pump();
  }

  /** A write may fit again soon: retry earlier than the last failures would ask for. */
  expectRoom(): void {
    this.#probeAtMs = 0;
    this.#probePauseMs = HOPEFUL_PAUSE_MS;
  }

  /** After twice the time each time: there are few bytes to do it with, and they shall last for a minute. */
  #mayProbe(): boolean {
    const nowMs = performance.now();
    if (nowMs < this.#probeAtMs) return false;
    this.#probeAtMs = nowMs + this.#probePauseMs;
    this.#probePauseMs *= 2;
    return true;
  }

  #begin(): void {
    if (this.#state !== "waiting") return;
    const { body, opening } = this.#response;
    this.#state = "writing";
    this.#lengthBytes ??= body.wholeBytes ?? null;
    // A large head leaves alone: the cork has no room for a chunk beside it.
    if (this.#headBytes > SMALL_HEAD_BYTES) this.#cork(() => {});
    this.#pump();
    const isSilent = this.#state === "writing" && this.#sentBytes === 0;
    if (isSilent && opening !== null && this.#lengthBytes === null) this.#write(opening);
  }

  /** Writes, and the head before it if that has not been written yet. */
  #cork(write: () => void): void {
    this.#res.cork(() => {
      if (!this.#headWritten) {
        this.#headWritten = true;
        writeHead(this.#res, this.#response);
        writeEnding(this.#res, this.#response.ending);
      }
      write();
    });
  }

  get #headBytes(): number {
    const { fields, statusText } = this.#response;
    const { name, value } = fields.kept;
    return name.length + value.length + statusText.length + OWN_HEAD_BYTES;
  }

  #onWritable(offset: number): void {
    // While it waits, room is of no use: the rest of an earlier response leaves with the first write.
    if (this.#state === "waiting") return;
    if (this.#state === "done") {
      if (!this.#leftOpen) return;
      // With a callback set the library does not drain its own buffer; this does.
      this.#res.cork(() => {});
      this.#response.onLateRoom();
      return;
    }
    this.progressMs = performance.now();
    if (this.#lengthBytes === null) {
      // With a callback set the library does not drain its own buffer; this does.
      this.#res.cork(() => {});
      this.#state = "writing";
      this.#probing = false;
    } else if (this.#piece !== null) {
      this.#tryEnd(this.#piece.subarray(offset - this.#pieceStart));
    }
    this.#pump();
  }

  #pump(): void {
    if (this.#state === "waiting") return;
    const { body } = this.#response;
    const lengthBytes = this.#lengthBytes;
    while (this.#state === "writing") {
      const piece = this.#take(this.#most());
      if (piece === null) break;
      if (lengthBytes === null) this.#write(piece);
      else if (this.#sentBytes + piece.length > lengthBytes) this.#break();
      else this.#beginPiece(piece);
    }
    if (this.#state === "done") return;
    if (body.state === "failed") this.#break();
    else if (this.#state === "blocked") return;
    else if (body.state === "ended") this.#end();
    else if (this.#probing && this.#losesInput) this.#blockBriefly();
  }

  /** How much may be written next. */
  #most(): number {
    const { requestOpen, body } = this.#response;
    const lengthBytes = this.#lengthBytes;
    if (lengthBytes === null) {
      if (this.#probing) return 1;
      if (this.#unsure && this.#kept !== null && this.#closes && body.state === "ended") return 1;
      return this.#headWritten ? WRITE_BYTES : WRITE_BYTES - this.#headBytes;
    }
    const restBytes = lengthBytes - this.#sentBytes;
    // The last byte goes alone if there is something to do before it, or if it must not be in the first piece.
    const isAlone = requestOpen() || (this.#closes && !this.#headWritten);
    return restBytes > 1 && isAlone ? Math.min(restBytes - 1, TRY_END_BYTES) : TRY_END_BYTES;
  }

  #take(maxBytes: number): Uint8Array | null {
    const { body } = this.#response;
    const kept = this.#kept;
    if (kept === null) return body.read(maxBytes);
    const more = maxBytes > kept.length ? body.read(maxBytes - kept.length) : null;
    if (more === null) {
      const end = kept.length === KEPT_BYTES ? 1 : Math.min(maxBytes, kept.length);
      this.#kept = end < kept.length ? kept.subarray(end) : null;
      return kept.subarray(0, end);
    }
    this.#kept = null;
    // The library copies the bytes.
    this.#joined ??= new Uint8Array(WRITE_BYTES);
    this.#joined.set(kept);
    this.#joined.set(more, kept.length);
    return this.#joined.subarray(0, kept.length + more.length);
  }

  /**
   * Whether a piece has left is told by the next write only. Where that has to be known, the last few bytes wait for
   * the next piece; if there is none they follow one by one until the first of them tells.
   */
  #write(piece: Uint8Array): void {
    if (piece.length <= KEPT_BYTES || !(this.#losesInput || this.#closes)) {
      this.#writeChunk(piece);
      return;
    }
    const end = piece.length - KEPT_BYTES;
    // A copy: the source's bytes are valid until the next read.
    this.#kept = new Uint8Array(piece.subarray(end));
    this.#writeChunk(piece.subarray(0, end));
  }

  #writeChunk(piece: Uint8Array): void {
    let ready = true;
    this.#cork(() => {
      ready = this.#res.write(piece);
    });
    this.#sentBytes += piece.length;
    // A stall begins with the first write that does not fit; that a probe does not fit either is the same stall.
    if (ready || !this.#probing) {
      this.progressMs = performance.now();
      this.#probeAtMs = 0;
      this.#probePauseMs = PROBE_PAUSE_MS;
    }
    this.#probing = false;
    this.#unsure = !ready;
    if (!ready) this.#block();
  }

  #beginPiece(piece: Uint8Array): void {
    this.#pieceStart = this.#sentBytes;
    this.#sentBytes += piece.length;
    this.#piece = piece;
    this.progressMs = performance.now();
    this.#tryEnd(piece);
  }

  #tryEnd(rest: Uint8Array): void {
    const total = this.#lengthBytes ?? 0;
    let taken = false;
    if (this.#sentBytes === total) this.#response.onEnding();
    if (this.#closes && !this.#headWritten && rest.length === total) {
      this.#endWhole(rest);
      return;
    }
    // Only the first call writes the length. After one that is told of another the response is never complete to the
    // library.
    const toldTotal = this.#closes && this.#headWritten ? total + 1 : total;
    this.#cork(() => {
      [taken] = this.#res.tryEnd(rest, toldTotal);
    });
    if (!taken) {
      const offset = this.#res.getWriteOffset();
      if (offset > this.#takenOffset) this.progressMs = performance.now();
      this.#takenOffset = offset;
      this.#block();
      return;
    }
    this.progressMs = performance.now();
    this.#piece = null;
    this.#state = "writing";
    // The last byte completed the response: the library's object is gone.
    if (this.#sentBytes === total) this.#finish();
  }

  /** Blocks while no kept byte can test for room, for `DRY_MS` at most: the source may need more of the request first. */
  #blockBriefly(): void {
    if (performance.now() - this.progressMs < DRY_MS) this.#block();
  }

  #block(): void {
    this.#state = "blocked";
    this.#response.onBlocked();
  }

  #end(): void {
    const lengthBytes = this.#lengthBytes;
    // All of the announced bytes would have ended it already, unless there were none.
    if (lengthBytes !== null && lengthBytes !== 0) {
      this.#break();
      return;
    }
    this.#response.onEnding();
    if (!this.#closes) {
      this.#cork(() => this.#res.end());
      this.#finish();
    } else if (this.#headWritten) {
      // The library's own way to close would write a field into the body. A paused connection reads no further request,
      // and the library's timer closes it.
      this.#res.pause();
      this.#cork(() => this.#res.end());
      this.#leftOpen = false;
      this.#finish();
    } else this.#endWhole(null);
  }

  /** A response of which nothing was written. */
  #endWhole(body: Uint8Array | null): void {
    this.#headWritten = true;
    const { status, statusText, fields, ending } = this.#response;
    const response = { method: "GET", status, statusText, fields, body, lengthBytes: null, ending };
    this.#leftOpen = writeResponse(this.#res, response);
    this.#finish();
  }

  #break(): void {
    this.#state = "done";
    this.#response.body.cancel();
    this.#done(this.#headWritten ? "broken" : "unbegun", this.#sentBytes);
  }

  #finish(): void {
    this.#state = "done";
    letEnd(this.#response.body);
    this.#done("complete", this.#sentBytes);
  }
}

/** Stops a source after all announced bytes. A source that continues would wait forever for a reader. */
function letEnd(body: BodySource): void {
  if (body.state !== "open") {
    // The source may have lent the last bytes.
    body.cancel();
    return;
  }
  const timer = setTimeout(() => body.cancel(), END_GRACE_MS);
  timer.unref();
  body.onChange = () => {
    if (body.state === "open" && body.read(1) === null) return;
    clearTimeout(timer);
    body.cancel();
  };
}
