import type { BodyFlow } from "../../http/client.ts";
import type { Transfer } from "../../http/transfer-limits.ts";
import type { HttpResponse } from "./uws.ts";
import type { StreamWriter } from "./write-stream.ts";

/** While a paused socket has no room to write: short at first, since a fast client makes room at once. */
const RETRY_MS = 2;
const SLOWEST_RETRY_MS = 128;

/** How long nothing may move in either direction before some of the body is read out of turn. */
const STUCK_MS = 2_000;

/** The same where that may end the connection. */
const STUCK_FOR_GOOD_MS = 20_000;

/** After this time the kernel's buffer for unread bytes is full. */
const FILLING_MS = 1_000;

/**
 * So few unread bytes are safe to read: the library reads up to 512 KiB at a time, and loses only a rest beyond that.
 */
const HARMLESS_BYTES = 128 * 1024;

/**
 * The kinds of sockets, without TLS (`false`) and with it, for which the library has saved a poll mask (decision 005). The
 * library keeps the mask per process, so all listeners share this set.
 */
export type SavedMasks = Set<boolean>;

/**
 * Reads a request's body: how it comes in, and whether the connection is read at all.
 *
 *     reading ──the body's owner pauses it, or the writer forbids reading──▶ paused
 *        ▲─────────────────────────── neither any more ───────────────────────────┘
 *        └─────────────────────────────────┴── the last byte, or stop() ──▶ over
 *
 * Invariant: `res` is not touched any more once the state is over.
 */
export class BodyReading implements BodyFlow {
  readonly #res: HttpResponse;
  readonly #unreadBytes: (maxAgeMs: number) => Promise<number | null>;
  readonly #savedMasks: SavedMasks;
  readonly #secure: boolean;
  readonly #writer: () => StreamWriter | null;
  #receivedBytes = 0;
  #lastChunkMs: number;
  /** Start of the time for the body's rate: its beginning, moved by the pauses that the server made. */
  #sinceMs: number;
  /** The body's owner has paused it. */
  #held = false;
  #paused = false;
  #pausedAtMs = 0;
  #over = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #retryMs = RETRY_MS;
  /** Since when nothing moved, when some was last read out of turn for it: once is enough. */
  #unstuckMs = 0;

  /**
   * @param options.savedMasks Shared by all connections of the library.
   * @param options.secure The connection uses TLS.
   * @param options.sinceMs When the request came.
   * @param options.unreadBytes Returns how many bytes of the client the kernel holds at most, no older than the given
   *   age; `null`: that is not known.
   * @param options.writer The writer of the response on the same connection, once there is one.
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

  /** The connection is not read. */
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

  /** Stops to read, or goes on, as it has to be now. */
  settle(): void {
    if (this.#over) return;
    const pauses = this.#held || this.#writer()?.forbidsReading === true;
    if (pauses && !this.#paused) this.#pause();
    else if (!pauses && this.#paused) this.#resume();
  }

  /** Must be called for each chunk of the body. */
  onChunk(bytes: number): void {
    // Bytes that arrive in spite of the pause make the library start its timer of 10 s again. Another pause stops it.
    if (this.#paused) this.#res.pause();
    this.#receivedBytes += bytes;
    this.#lastChunkMs = performance.now();
  }

  /** A write did not fit; it has ended a pause behind our back. */
  onBlocked(): void {
    this.settle();
    if (!this.#paused) return;
    this.#res.pause();
    this.#retryLater();
  }

  /**
   * Reads and drops the rest: the last byte of the body has come (a pause is advisory), or the body is not needed.
   *
   * @returns Whether it was paused: then the library's timer of 10 s runs, and it will not stop it (docs/uwebsockets.md
   *   section 2).
   */
  discardRest(): boolean {
    const wasPaused = this.#paused && !this.#over;
    if (wasPaused) this.#resume();
    this.stop();
    return wasPaused;
  }

  /** The connection must not be touched any more. */
  stop(): void {
    this.#over = true;
    clearTimeout(this.#retryTimer);
  }

  /** The facts for the transfer limits; `null` while progress does not depend on the client. */
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
   * Reads on although the body is paused, when the client has read nothing for long: perhaps its acknowledgements are
   * lost. Linux (seen with 6.18) drops segments beyond a receive window that it has closed, with the acknowledgements
   * in them. When both sides keep sending segments for which the other has no room, neither gets on until
   * `sendTimeout`. Reading opens the window. The bytes are kept as after any pause.
   */
  unstick(nowMs: number): void {
    const writer = this.#writer();
    if (!this.#paused || writer?.blocked !== true) return;
    const { progressMs, forbidsReading } = writer;
    const stuckMs = nowMs - progressMs;
    if (stuckMs < STUCK_MS || progressMs === this.#unstuckMs) return;
    if (forbidsReading && stuckMs < STUCK_FOR_GOOD_MS) {
      void this.#unstickIfHarmless(progressMs, stuckMs);
    } else this.#readOutOfTurn(writer);
  }

  async #unstickIfHarmless(progressMs: number, stuckMs: number): Promise<void> {
    const unreadBytes = await this.#unreadBytes(stuckMs - FILLING_MS);
    if (unreadBytes === null || unreadBytes > HARMLESS_BYTES || this.#over) return;
    const writer = this.#writer();
    const isStuck = this.#paused && writer?.blocked === true && writer.progressMs === progressMs;
    if (isStuck && progressMs !== this.#unstuckMs) this.#readOutOfTurn(writer);
  }

  /** The next chunk, or the next try to write, pauses it again. */
  #readOutOfTurn(writer: StreamWriter): void {
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
    // It was held back by us, not by the client.
    this.#lastChunkMs = performance.now();
    this.#sinceMs += this.#lastChunkMs - this.#pausedAtMs;
    // A write may have ended the pause unnoticed; the mask of now is the one to go on with (decision 005).
    this.#res.pause();
    this.#res.resume();
    // The library watches the socket for the events of the last paused socket. A failed write corrects this. Not at
    // once: a chunk may have brought us here, and while the library reads, all writes go into one cork, however often
    // they are corked. The library loses bytes that do not fit there (docs/uwebsockets.md section 4).
    setImmediate(() => this.#writer()?.retry());
  }

  /** A paused socket is not watched for room to write either (measured: its poll is removed), so we look ourselves. */
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
      // Once it is over `blocked` is false.
      if (this.#paused && writer?.blocked === true) this.#retryLater();
    }, this.#retryMs);
  }

  /** Has the library save a mask, once, for sockets that have nothing to write: it would resume the first with none. */
  #saveMask(): void {
    if (this.#savedMasks.has(this.#secure)) return;
    this.#savedMasks.add(this.#secure);
    this.#res.pause();
    this.#res.resume();
  }
}
