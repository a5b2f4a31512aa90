import type { BodySource } from "../http/client.ts";

/** A body whose bytes are all in memory. */
export class BytesSource implements BodySource {
  onChange: (() => void) | null = null;
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get state(): BodySource["state"] {
    return this.#offset === this.#bytes.length ? "ended" : "open";
  }

  read(maxBytes: number): Uint8Array | null {
    if (this.#offset === this.#bytes.length) return null;
    const piece = this.#bytes.subarray(this.#offset, this.#offset + maxBytes);
    this.#offset += piece.length;
    return piece;
  }

  cancel(): void {
    this.#offset = this.#bytes.length;
  }
}
