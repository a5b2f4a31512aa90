import type { BodyFlow } from "../../http/client.ts";
import type { Transfer } from "../../http/transfer-limits.ts";
import type { HttpResponse } from "./uws.ts";
import type { StreamWriter } from "./write-stream.ts";

/**
 * First pause between write attempts while a socket is paused and full. Short, since a fast client makes room at once.
 */
const RETRY_MS = 2;
const SLOWEST_RETRY_MS = 128;

/** How long a connection may be stuck in both directions before it is read in spite of the pause. */
const STUCK_MS = 2_000;

/** The same where this read may lose bytes, which would end the connection. */
const STUCK_FOR_GOOD_MS = 20_000;

/** Time after which the kernel's receive buffer of a paused socket is full. */
const FILLING_MS = 1_000;

/**
 * Most unread bytes that are safe to read. The library reads up to 512 KiB at a time and can lose only bytes beyond
 * that.
 */
const HARMLESS_BYTES = 128 * 1024;

/**
 * The kinds of sockets, with TLS (`true`) or without (`false`), for which the library has saved a poll mask (decision
 * 005). The library keeps the masks per process, so all listeners share this set.
 */
export type SavedMasks = Set<boolean>;

/**
 * Controls how a request's body is read, and whether the connection is read at all.
 *
 *     reading ──the body's owner pauses it, or the writer forbids reading──▶ paused
 *        ▲──────────────────────── neither holds any longer ────────────────────┘
 *        └───────────────────────────────┴── the last byte, or stop() ──▶ over
 *
 * Invariant: once the state is over, no method of `res` is called.
 */
export class BodyReading implements BodyFlow {
  readonly #res: HttpResponse;
  readonly #unreadBytes: (maxAgeMs: number) => Promise<number | null>;
  readonly #savedMasks: SavedMasks;
  readonly #secure: boolean;
  readonly #writer: () => StreamWriter | null;
  #receivedBytes = 0;
  #lastChunkMs: number;
  /** Start of the period over which the body's rate is measured. Each pause by the server moves it forward. */
  #sinceMs: number;
  /** The body's owner has paused it. */
  #held = false;
  #paused = false;
  #pausedAtMs = 0;
  #over = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #retryMs = RETRY_MS;
  /** The writer's `progressMs` at the last read in spite of the pause. One such read per stall is enough. */
  #unstuckMs = 0;

  /**
   * @param options.savedMasks Shared by all connections of the library.
   * @param options.secure The connection uses TLS.
   * @param options.sinceMs Time at which the request came.
   * @param options.unreadBytes Returns the most bytes that the kernel holds for a connection of this client. The result
   *   is no older than the given age; `null`: unknown.
   * @param options.writer Returns the writer of the response on this connection; `null`: there is none yet.
   */
  constructor(
    res: HttpResponse,
    options: {
      savedMasks: SavedMasks;
      secure: boolean;
      sinceMs: number;
      unreadBytes: (maxAgeMs: number) => Promise<number | null>;
      writer: () => StreamWriter | null;
    },
  ) {
    this.#res = res;
    this.#unreadBytes = options.unreadBytes;
    this.#savedMasks = options.savedMasks;
    this.#secure = options.secure;
    this.#sinceMs = options.sinceMs;
    this.#lastChunkMs = options.sinceMs;
    this.#writer = options.writer;
    this.#saveMask();
  }

  /** True while the connection is not read. */
  get paused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#held = true;
    this.settle();
  }

  resume(): void {
    this.#held = false;
    this.settle();
  }

  /** Pauses or resumes the connection as its owner and the writer require now. */
  settle(): void {
    if (this.#over) return;
    const pauses = this.#held || this.#writer()?.forbidsReading === true;
    if (pauses && !this.#paused) this.#pause();
    else if (!pauses && this.#paused) this.#resume();
  }

  /** Must be called for each chunk of the body. */
  onChunk(bytes: number): void {
    // Bytes that arrive during a pause restart the library's timer of 10 s. Another `pause` stops the timer.
    if (this.#paused) this.#res.pause();
    this.#receivedBytes += bytes;
    this.#lastChunkMs = performance.now();
  }

  /** Pauses again after a write that did not fit: such a write ends a pause without notice (decision 005). */
  onBlocked(): void {
    this.settle();
    if (!this.#paused) return;
    this.#res.pause();
    this.#retryLater();
  }

  /**
   * Resumes reading for good and ends the state machine: the last byte has come, or the rest of the body is not needed.
   *
   * @returns True if the connection was paused. The library's timer of 10 s then runs on, although the body is complete
   *   (docs/uwebsockets.md section 2).
   */
  discardRest(): boolean {
    const wasPaused = this.#paused && !this.#over;
    if (wasPaused) this.#resume();
    this.stop();
    return wasPaused;
  }

  /** Ends the state machine. From now on no method of `res` is called. */
  stop(): void {
    this.#over = true;
    clearTimeout(this.#retryTimer);
  }

  /** Returns the facts for the transfer limits; `null` while progress does not depend on the client. */
  progress(options: { answering: boolean }): Transfer["receiving"] {
    if (this.#paused || this.#over) return null;
    return {
      sinceMs: this.#sinceMs,
      lastChunkMs: this.#lastChunkMs,
      receivedBytes: this.#receivedBytes,
      answering: options.answering,
    };
  }

  /**
   * Reads in spite of a pause when the client has read nothing for a long time: its acknowledgements may be lost. Linux
   * (seen with 6.18) drops segments beyond a receive window that it has closed, with the acknowledgements in them. When
   * both sides keep sending such segments, both are stuck until `sendTimeout`. Reading opens the window. The body's
   * owner keeps the bytes, as after any pause (decision 027).
   */
  unstick(nowMs: number): void {
    const writer = this.#writer();
    if (!this.#paused || writer?.blocked !== true) return;
    const { progressMs, forbidsReading } = writer;
    const stuckMs = nowMs - progressMs;
    if (stuckMs < STUCK_MS || progressMs === this.#unstuckMs) return;
    if (forbidsReading && stuckMs < STUCK_FOR_GOOD_MS) {
      void this.#unstickIfHarmless(progressMs, stuckMs);
    } else this.#readDespitePause(writer);
  }

  async #unstickIfHarmless(progressMs: number, stuckMs: number): Promise<void> {
    const unreadBytes = await this.#unreadBytes(stuckMs - FILLING_MS);
    if (unreadBytes === null || unreadBytes > HARMLESS_BYTES || this.#over) return;
    const writer = this.#writer();
    const isStuck = this.#paused && writer?.blocked === true && writer.progressMs === progressMs;
    if (isStuck && progressMs !== this.#unstuckMs) this.#readDespitePause(writer);
  }

  /** Reads in spite of the pause. The next chunk or the next write attempt pauses the connection again. */
  #readDespitePause(writer: StreamWriter): void {
    this.#unstuckMs = writer.progressMs;
    writer.expectRoom();
    this.#res.resume();
  }

  #pause(): void {
    this.#paused = true;
    this.#pausedAtMs = performance.now();
    this.#res.pause();
    this.#retryMs = RETRY_MS;
    if (this.#writer()?.blocked === true) this.#retryLater();
  }

  #resume(): void {
    this.#paused = false;
    // The server paused the body, so the pause does not count against the client.
    this.#lastChunkMs = performance.now();
    this.#sinceMs += this.#lastChunkMs - this.#pausedAtMs;
    // A write may have ended the pause without notice. This `pause` saves the socket's present poll mask, and `resume`
    // restores that one (decision 005).
    this.#res.pause();
    this.#res.resume();
    // The library restores the poll mask of the socket that was paused last, which may be another one. A failed write
    // corrects it. The write is deferred, because this may run in the callback for a chunk. There the library puts all
    // writes into one cork and loses bytes that do not fit (docs/uwebsockets.md section 4).
    setImmediate(() => this.#writer()?.retry());
  }

  /**
   * Retries a blocked write by a timer. While a socket is paused the library does not poll it for room either (decision
   * 005).
   */
  #retryLater(): void {
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined;
      if (!this.#paused || this.#over) return;
      const writer = this.#writer();
      const before = writer?.progressMs;
      writer?.retry();
      const moved = writer?.progressMs !== before;
      this.#retryMs = moved ? RETRY_MS : Math.min(2 * this.#retryMs, SLOWEST_RETRY_MS);
      this.settle();
      // `blocked` is false once the response is over.
      if (this.#paused && writer?.blocked === true) this.#retryLater();
    }, this.#retryMs);
  }

  /**
   * Makes the library save a poll mask, once per kind of socket, while nothing waits to be written. Without it, the
   * first `resume` would restore an empty mask (decision 005).
   */
  #saveMask(): void {
    if (this.#savedMasks.has(this.#secure)) return;
    this.#savedMasks.add(this.#secure);
    this.#res.pause();
    this.#res.resume();
  }
}
