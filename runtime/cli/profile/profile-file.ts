import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { RuntimeError } from "../../lib/errors.ts";

/** A new file that only its owner may read. It vanishes unless it is kept. */
export class ProfileFile {
  readonly path: string;
  readonly #fd: number;
  #bytes = 0;
  #isKept = false;
  #isClosed = false;

  /** @throws RuntimeError `ERR_CONFIG` when the file exists or cannot be created. */
  static create(path: string): ProfileFile {
    try {
      return new ProfileFile(path, openSync(path, "wx", 0o600));
    } catch (error) {
      const exists = error instanceof Error && "code" in error && error.code === "EEXIST";
      const reason = error instanceof Error ? error.message : String(error);
      const problem = exists ? "it exists already, expected a new file" : reason;
      throw new RuntimeError("ERR_CONFIG", `Cannot write ${path}: ${problem} (--output FILE)`);
    }
  }

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** @throws RuntimeError `ERR_OVERLOADED` when the disk is full. */
  write(text: string): void {
    const bytes = Buffer.from(text);
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RuntimeError("ERR_OVERLOADED", `Cannot write ${this.path}: ${reason}`, {
        cause: error,
      });
    }
    this.#bytes += bytes.length;
  }

  /** Keeps the file. Returns its size. */
  keep(): number {
    this.#isKept = true;
    return this.#bytes;
  }

  /** Closes the file, and removes one that is not kept. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#fd);
    if (!this.#isKept) rmSync(this.path, { force: true });
  }
}
