import type { Transfer } from "../../http/transfer-limits.ts";

/** Measures how fast a client sends its request body. Pauses by the server do not count against the client. */
export class BodyProgress {
  #receivedBytes = 0;
  #lastChunkMs: number;
  /** Start of the period over which the rate is measured. Each pause moves it forward. */
  #sinceMs: number;
  #pausedAtMs: number | null = null;

  /** @param sinceMs Time at which the request came. */
  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
    this.#lastChunkMs = sinceMs;
  }

  onChunk(bytes: number): void {
    this.#receivedBytes += bytes;
    this.#lastChunkMs = performance.now();
  }

  pause(): void {
    this.#pausedAtMs ??= performance.now();
  }

  resume(): void {
    if (this.#pausedAtMs === null) return;
    this.#lastChunkMs = performance.now();
    this.#sinceMs += this.#lastChunkMs - this.#pausedAtMs;
    this.#pausedAtMs = null;
  }

  /** Returns the facts for the transfer limits; `null` during a pause. */
  facts(options: { answering: boolean }): Transfer["receiving"] {
    if (this.#pausedAtMs !== null) return null;
    return {
      sinceMs: this.#sinceMs,
      lastChunkMs: this.#lastChunkMs,
      receivedBytes: this.#receivedBytes,
      answering: options.answering,
    };
  }
}
