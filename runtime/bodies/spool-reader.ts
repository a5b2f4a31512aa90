import { CHUNK_BYTES } from "../channel/messages.ts";
import type { BodySource } from "../http/client.ts";
import type { SpoolFile } from "./spool-file.ts";

/**
 * Reads a spool file from its start, also while it is being written. Loads one piece at a time. A file may have several
 * readers, one after another. Cancelling a reader does not close the file, which belongs to its opener.
 */
export class SpoolReader implements BodySource {
  onChange: (() => void) | null = null;
  /** The error behind the state `failed`. */
  error: unknown = null;
  readonly #file: SpoolFile;
  readonly #unwatch: () => void;
  #failed = false;
  #loading = false;
  /** A read found nothing, and waits for more. */
  #wanted = false;
  readonly #memory = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #ready: Uint8Array | null = null;
  #takenBytes = 0;

  constructor(file: SpoolFile) {
    this.#file = file;
    this.#unwatch = file.watch(() => this.#onProgress());
  }

  get state(): BodySource["state"] {
    if (this.#failed) return "failed";
    const { sealed, waitingBytes } = this.#file;
    return sealed && waitingBytes === 0 && this.caughtUp ? "ended" : "open";
  }

  /** All written bytes have been taken. */
  get caughtUp(): boolean {
    return this.#takenBytes === this.#file.writtenBytes;
  }

  read(maxBytes: number): Uint8Array | null {
    if (this.#ready === null) {
      this.#wanted = true;
      this.#load();
      return null;
    }
    const piece = this.#ready.subarray(0, maxBytes);
    this.#ready = piece.length < this.#ready.length ? this.#ready.subarray(maxBytes) : null;
    this.#takenBytes += piece.length;
    return piece;
  }

  cancel(): void {
    this.onChange = null;
    this.#failed = true;
    this.#ready = null;
    this.#unwatch();
  }

  #onProgress(): void {
    if (!this.#wanted) return;
    this.#load();
    // The end of the file is a change too.
    if (!this.#loading) this.onChange?.();
  }

  #load(): void {
    const bytes = Math.min(CHUNK_BYTES, this.#file.writtenBytes - this.#takenBytes);
    if (this.#failed || this.#loading || bytes <= 0) return;
    this.#loading = true;
    // All pieces share this memory: with the next read the caller gives the last piece back.
    void this.#fill(this.#memory.subarray(0, bytes));
  }

  async #fill(buffer: Uint8Array): Promise<void> {
    try {
      await this.#file.read(buffer, this.#takenBytes);
      if (this.#failed) return;
      this.#ready = buffer;
    } catch (error) {
      if (this.#failed) return;
      this.#failed = true;
      this.error = error;
      this.#unwatch();
    }
    this.#loading = false;
    this.#wanted = false;
    this.onChange?.();
  }
}
