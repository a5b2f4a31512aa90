import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { join } from "node:path";

const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;

/**
 * Bytes on disk that wait to be read once, in order: what a body has more of than memory may hold.
 *
 * The file has no name from the moment after it was created: it is gone with its last descriptor, however the process
 * ends. Appends and reads may overlap; appends are written one after another.
 */
export class SpoolFile {
  readonly #file: FileHandle;
  #writtenBytes = 0;
  #readBytes = 0;
  #writes: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** @param dir Where to create it; made, with mode 0700, if it is not there. */
  static async create(dir: string): Promise<SpoolFile> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const path = join(dir, `body-${process.pid}-${randomBytes(8).toString("hex")}`);
    const file = await open(path, FLAGS, 0o600);
    await unlink(path);
    return new SpoolFile(file);
  }

  /** Bytes that were appended and not read yet. */
  get waitingBytes(): number {
    return this.#writtenBytes - this.#readBytes;
  }

  /**
   * Adds to the end. `bytes` must not change until it has resolved.
   *
   * @throws What the disk says: full, read-only, gone.
   */
  append(bytes: Uint8Array): Promise<void> {
    const at = this.#writtenBytes;
    this.#writtenBytes += bytes.length;
    const write = this.#writes.then(() => this.#write(bytes, at));
    this.#writes = write.catch(() => {});
    return write;
  }

  /** The next bytes, at most so many; empty when nothing waits. Not to be called while a read is under way. */
  async read(maxBytes: number): Promise<Buffer> {
    await this.#writes;
    const wanted = Math.min(maxBytes, this.waitingBytes);
    const bytes = Buffer.allocUnsafe(wanted);
    const { bytesRead } = await this.#file.read(bytes, 0, wanted, this.#readBytes);
    if (bytesRead < wanted)
      throw new Error("Cannot read a spooled body: it is shorter than written");
    this.#readBytes += wanted;
    return bytes;
  }

  /** Gives the disk space back. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#writes.then(() => this.#file.close());
    return this.#closed;
  }

  async #write(bytes: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, at + done);
      done += bytesWritten;
    }
  }
}
