import { letEnd } from "../../bodies/let-end.ts";
import type { BodySource } from "../../http/client.ts";
import type { PreparedFields } from "../../http/response-fields.ts";
import type { HttpResponse } from "./uws.ts";
import { type Ending, writeEnding, writeHead, writeResponse } from "./write-response.ts";

/**
 * Most bytes per `write`. If a corked write does not fit into the library's buffer of 16 KiB and the socket is full,
 * bytes are lost (docs/uwebsockets.md section 4).
 */
const WRITE_BYTES = 16_000;

/** Largest head that is sent together with the first part of the body. Includes the lines that the library adds. */
const SMALL_HEAD_BYTES = 4_000;
const OWN_HEAD_BYTES = 400;

/** Most bytes per `tryEnd`, which takes as many as the socket takes and loses none. */
const TRY_END_BYTES = 256 * 1024;

/**
 * Number of bytes that are kept back from a piece. They are probes: written one by one, they tell whether the rest of
 * the piece has left.
 */
const KEPT_BYTES = 24;

/** Pause between the first and the second probe. Each later pause is twice as long. */
const PROBE_PAUSE_MS = 2;

/** First pause between probes when the socket probably has room. */
const HOPEFUL_PAUSE_MS = 64;

/** Time after which written bytes count as sent if no kept byte is left as a probe. */
const DRY_MS = 1_000;

export interface StreamResponse {
  status: number;
  statusText: string;
  fields: PreparedFields;
  /** The size of the body; `null`: it is sent in chunks. */
  lengthBytes: number | null;
  body: BodySource;
  ending: Ending;
  /**
   * Sent first if the source has no bytes yet: the head of a chunked response leaves only together with some of the
   * body.
   */
  opening: Buffer | null;
  /** A write did not fit. The library now polls the socket for reading and writing, even if it was paused. */
  onBlocked: () => void;
  /** Everything is written except the end, or the last byte. */
  onEnding: () => void;
  /** The socket took more of the last bytes after the stream was complete. */
  onLateRoom: () => void;
  /** Returns true while the request is incomplete. */
  requestOpen: () => boolean;
  /** The connection uses TLS. */
  secure: boolean;
}

/** The outcome of a stream: complete, or broken off after (`broken`) or before (`unbegun`) the head was written. */
export type StreamOutcome = "complete" | "broken" | "unbegun";

/**
 * Writes a response whose body comes piece by piece. Reads from the source only as many bytes as the client takes.
 *
 *     waiting ──▶ writing ──▶ blocked (socket full) ──onWritable, or retry──▶ writing ──source ended──▶ done
 *        └───────────┴─ source failed, or does not have the announced size ──▶ done (unbegun, broken)
 *
 * Chunks are written in a later turn of the event loop. In a callback of the library all writes share one cork, and
 * several chunks that do not fit lose bytes. By then a short stream may be complete, and leaves as one piece.
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
  /** The piece that `tryEnd` did not take whole. */
  #piece: Uint8Array | null = null;
  /** Offset of that piece in the body. */
  #pieceStart = 0;
  /** Offset in the body up to which `tryEnd` took bytes. */
  #takenOffset = 0;
  /** Bytes that are kept back. They are written before all bytes that are read later. */
  #kept: Uint8Array | null = null;
  /** Buffer in which the kept bytes are joined with new ones. */
  #joined: Uint8Array | null = null;
  /** Earliest time of the next probe. */
  #probeAtMs = 0;
  /** Pause after that probe. */
  #probePauseMs = 0;
  /**
   * It is unknown whether the socket has room, so the next write is a single byte. If it does not fit, the library has
   * to keep only this byte, not a whole piece.
   */
  #probing = false;
  /** A write did not fit, and no later one has: the library may still hold a part of the response. */
  #unsure = false;
  /** Time at which the client last took bytes. `sendTimeout` counts from here. */
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

  /** True while the socket is full: the stream waits for the client. */
  get blocked(): boolean {
    return this.#state === "blocked";
  }

  /** True if the library waits for more of the complete response: the caller must close the connection. */
  get leftOpen(): boolean {
    return this.#leftOpen;
  }

  /** True once the head is written. */
  get begun(): boolean {
    return this.#headWritten;
  }

  /** True while the connection must not be read, because the library may hold a part of the response. */
  get forbidsReading(): boolean {
    return this.blocked && this.#lengthBytes === null && this.#losesInput;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Tells whether the library would lose input that it reads while it holds a part of this response (decision 027). */
  get #losesInput(): boolean {
    return this.#response.secure && this.#response.requestOpen();
  }

  /**
   * Tells whether the connection is closed after the response. The library must then not learn that the response is
   * complete (decision 037).
   */
  get #closes(): boolean {
    return this.#response.ending === "close";
  }

  /** Writes the head with the available part of the body. */
  start(): void {
    if (this.#state === "done") return;
    // There is one callback for the whole response: a callback that replaces itself is unreliable (docs/uwebsockets.md
    // section 4).
    this.#res.onWritable((offset) => {
      this.#onWritable(offset);
      return true;
    });
    this.#response.body.onChange = () => this.#pump();
    if (this.#lengthBytes === null) setImmediate(() => this.#begin());
    else this.#begin();
  }

  /** Must be called when the client left: from now on no method of `res` may be called. */
  abort(): void {
    if (this.#state === "done") return;
    this.#state = "done";
    this.#response.body.cancel();
  }

  /**
   * Retries a blocked write without waiting for `onWritable`. The library does not poll a paused socket at all, and
   * after a pause perhaps not for room (decision 005).
   */
  retry(): void {
    if (this.#state !== "blocked") return;
    if (this.#lengthBytes === null) {
      // Drains the library's own buffer, or makes the library poll for room again.
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

  /** Shortens the pause between probes, because a write may fit again soon. */
  expectRoom(): void {
    this.#probeAtMs = 0;
    this.#probePauseMs = HOPEFUL_PAUSE_MS;
  }

  /**
   * Tells whether a probe may be written now, and doubles the pause: the few kept bytes must last for about a minute.
   */
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
    // Sends a large head alone: the cork has no room for a chunk beside it.
    if (this.#headBytes > SMALL_HEAD_BYTES) this.#cork(() => {});
    this.#pump();
    const isSilent = this.#state === "writing" && this.#sentBytes === 0;
    if (isSilent && opening !== null && this.#lengthBytes === null) this.#write(opening);
  }

  /** Calls `write` inside a cork, after the head if that has not been written yet. */
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
    // The room is not needed yet: the rest of an earlier response leaves with the first write.
    if (this.#state === "waiting") return;
    if (this.#state === "done") {
      if (!this.#leftOpen) return;
      // Drains the library's own buffer. While a callback is registered, the library does not do so itself.
      this.#res.cork(() => {});
      this.#response.onLateRoom();
      return;
    }
    this.progressMs = performance.now();
    if (this.#lengthBytes === null) {
      // Drains the library's own buffer. While a callback is registered, the library does not do so itself.
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
      const piece = this.#take(this.#nextWriteBytes());
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

  /** Returns the most bytes that may be written next. */
  #nextWriteBytes(): number {
    const { requestOpen, body } = this.#response;
    const lengthBytes = this.#lengthBytes;
    if (lengthBytes === null) {
      if (this.#probing) return 1;
      if (this.#unsure && this.#kept !== null && this.#closes && body.state === "ended") return 1;
      return this.#headWritten ? WRITE_BYTES : WRITE_BYTES - this.#headBytes;
    }
    const restBytes = lengthBytes - this.#sentBytes;
    // The last byte goes alone while the request is open, because `onEnding` comes before that byte. It also goes alone
    // if the first piece must not complete the response.
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
    // The buffer can be reused, because the library copies the bytes.
    this.#joined ??= new Uint8Array(WRITE_BYTES);
    this.#joined.set(kept);
    this.#joined.set(more, kept.length);
    return this.#joined.subarray(0, kept.length + more.length);
  }

  /**
   * Writes a piece. Only the next write tells whether a piece has left the library. Where that must be known, this
   * keeps the last few bytes back. They go with the next piece. If there is none, they are written one by one until a
   * probe tells.
   */
  #write(piece: Uint8Array): void {
    if (piece.length <= KEPT_BYTES || !(this.#losesInput || this.#closes)) {
      this.#writeChunk(piece);
      return;
    }
    const end = piece.length - KEPT_BYTES;
    // A copy, because the source's bytes are valid until the next read only.
    this.#kept = new Uint8Array(piece.subarray(end));
    this.#writeChunk(piece.subarray(0, end));
  }

  #writeChunk(piece: Uint8Array): void {
    let ready = true;
    this.#cork(() => {
      ready = this.#res.write(piece);
    });
    this.#sentBytes += piece.length;
    // A stall begins with the first write that does not fit. A probe that does not fit belongs to the same stall.
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
    // Only the first call writes `Content-Length`. If a later call has another total, the library never completes the
    // response.
    const announcedTotal = this.#closes && this.#headWritten ? total + 1 : total;
    this.#cork(() => {
      [taken] = this.#res.tryEnd(rest, announcedTotal);
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
    // The last byte completed the response, and the library has freed its object.
    if (this.#sentBytes === total) this.#finish();
  }

  /**
   * Blocks without a kept byte to probe with, for `DRY_MS` at most: the source may need more of the request before it
   * has bytes.
   */
  #blockBriefly(): void {
    if (performance.now() - this.progressMs < DRY_MS) this.#block();
  }

  #block(): void {
    this.#state = "blocked";
    this.#response.onBlocked();
  }

  #end(): void {
    const lengthBytes = this.#lengthBytes;
    // A stream with all of its announced bytes is finished before this, unless the length is 0.
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

  /** Writes the whole response at once. Nothing of it was written before. */
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
