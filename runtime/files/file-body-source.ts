import type { BodySource } from "../http/client.ts";
import type { FileBody } from "./file-body.ts";

/** Bytes of a file that one read asks for. */
const READ_BYTES = 256 * 1024;

/** Reads a body from a file, one piece ahead of the client. Closes the file on every path. */
export class FileBodySource implements BodySource {
  onChange: (() => void) | null = null;
  readonly #file: FileBody;
  readonly #onError: (error: unknown) => void;
  #state: BodySource["state"] = "open";
  #memory: Buffer | null = null;
  #ready: Uint8Array | null = null;
  #offset = 0;
  #reading = false;

  /** @param onError Called when the file cannot be read to its end. */
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
      // All pieces share this memory: with the next read the caller gives the last piece back.
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
