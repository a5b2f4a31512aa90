import type { BodySource } from "../http/client.ts";
import type { FileBody } from "../files/file-body.ts";

/** A body that is there as a whole. */
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

/** How much of a file is read at a time. */
const READ_BYTES = 256 * 1024;

/** A body that is read from a file, a piece each time one was taken. It closes the file on every path. */
export class FileSource implements BodySource {
  onChange: (() => void) | null = null;
  readonly #file: FileBody;
  readonly #onError: (error: unknown) => void;
  #state: BodySource["state"] = "open";
  #memory: Buffer | null = null;
  #ready: Uint8Array | null = null;
  #offset = 0;
  #reading = false;

  /** @param onError The file could not be read to its end. */
  constructor(file: FileBody, onError: (error: unknown) => void) {
    this.#file = file;
    this.#onError = onError;
    if (file.lengthBytes === 0) this.#close("ended");
  }

  get state(): BodySource["state"] {
    return this.#state;
  }

  read(maxBytes: number): Uint8Array | null {
    if (this.#ready === null) {
      if (this.#state === "open" && !this.#reading) void this.#load();
      return null;
    }
    const piece = this.#ready.subarray(0, maxBytes);
    this.#ready = piece.length < this.#ready.length ? this.#ready.subarray(maxBytes) : null;
    if (this.#ready === null && this.#offset === this.#file.lengthBytes) this.#close("ended");
    return piece;
  }

  cancel(): void {
    this.onChange = null;
    if (this.#state === "open") this.#close("failed");
  }

  async #load(): Promise<void> {
    this.#reading = true;
    try {
      // One for all pieces: that more is asked for says that the one before is not needed any more.
      const rest = this.#file.lengthBytes - this.#offset;
      this.#memory ??= Buffer.allocUnsafeSlow(Math.min(READ_BYTES, rest));
      const target = this.#memory.subarray(0, rest);
      const length = await this.#file.read(target, this.#offset);
      if (this.#state !== "open") return;
      this.#offset += length;
      this.#ready = target.subarray(0, length);
    } catch (error) {
      if (this.#state !== "open") return;
      this.#close("failed");
      this.#onError(error);
    } finally {
      this.#reading = false;
    }
    this.onChange?.();
  }

  #close(state: "ended" | "failed"): void {
    this.#state = state;
    this.#ready = null;
    this.#file.close();
  }
}
