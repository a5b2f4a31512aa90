import { WrappingSource } from "../bodies/wrapping-source.ts";
import type { BodySource } from "../http/client.ts";

/** Passes a body on unchanged, and keeps a copy of its first bytes. */
export class TappedSource extends WrappingSource {
  readonly #chunks: Buffer[] = [];
  readonly #mostBytes: number;
  readonly #onDone: (bytes: Buffer | null, end: "ended" | "failed") => void;
  #bytes = 0;
  #isDone = false;

  /** @param onDone Called once: with the whole body at its end, or with `null` when it is larger than `mostBytes`. */
  constructor(
    inner: BodySource,
    {
      mostBytes,
      onDone,
    }: { mostBytes: number; onDone: (bytes: Buffer | null, end: "ended" | "failed") => void },
  ) {
    super(inner);
    this.#mostBytes = mostBytes;
    this.#onDone = onDone;
  }

  /** Nothing is changed, so the number of bytes that are left is that of the inner body. */
  get wholeBytes(): number | null {
    return this.inner.wholeBytes ?? null;
  }

  protected override pull(maxBytes: number): Uint8Array | null {
    const piece = this.inner.read(maxBytes);
    if (piece === null) return null;
    this.#bytes += piece.length;
    if (this.#bytes <= this.#mostBytes) this.#chunks.push(Buffer.from(piece));
    else this.#finish(null, "ended");
    return piece;
  }

  protected override onEnd(end: "ended" | "failed"): void {
    this.#finish(Buffer.concat(this.#chunks), end);
  }

  #finish(bytes: Buffer | null, end: "ended" | "failed"): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#chunks.length = 0;
    this.#onDone(bytes, end);
  }
}
