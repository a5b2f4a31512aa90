import { close, closeSync, read, readSync, writev, writevSync } from "node:fs";
import { promisify } from "node:util";
import { inDiskTime } from "./disk-time.ts";
import { createNameless, createNamelessSync } from "./nameless-file.ts";

const readFile = promisify(read);
const writeFile = promisify(writev);

export interface SpoolFileOptions {
  /** Folder for the file. Created with mode 0700 if it is missing. */
  dir: string;
  /** Asks for more room on the disk; false: there is none. */
  reserve: (bytes: number) => boolean;
  /** Called once when the file is closed and its disk space is free again. */
  onReleased: (reservedBytes: number) => void;
}

/**
 * A file for the bytes of one body, and the room on the disk that is reserved for it.
 *
 * The first write creates the file. It loses its name right after that: it is gone with its last descriptor, however
 * the process ends. `write` and `read` wait for the disk at most 30 s. `writeNow` and `readNow` block the event loop,
 * and may be called while a `write` runs.
 */
export class SpoolFile {
  readonly #options: SpoolFileOptions;
  #descriptor: number | null = null;
  #reservedBytes = 0;
  /** How many operations need the descriptor. */
  #running = 0;
  #isClosed = false;

  constructor(options: SpoolFileOptions) {
    this.#options = options;
  }

  /** Bytes that the file may have. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /** Reserves room, so that the file may have `bytes`. Returns false, and reserves nothing, when there is none. */
  reserve(bytes: number): boolean {
    const more = bytes - this.#reservedBytes;
    if (more > 0 && !this.#options.reserve(more)) return false;
    this.#reservedBytes += Math.max(0, more);
    return true;
  }

  /**
   * Writes some of the bytes. One write at a time. Returns how many bytes the disk took, at least 1. The pieces must
   * not change meanwhile.
   *
   * @throws Error of the file system; the file may have some of the bytes then.
   */
  async write(pieces: readonly Uint8Array[], offset: number): Promise<number> {
    return this.#hold(async () => {
      const descriptor = this.#descriptor ?? (await this.#create());
      const { bytesWritten } = await this.#run(writeFile(descriptor, pieces, offset));
      return assertSome(bytesWritten);
    });
  }

  /** Does the same as `write`, at once. */
  writeNow(pieces: readonly Uint8Array[], offset: number): number {
    this.#descriptor ??= createNamelessSync(this.#options.dir);
    return assertSome(writevSync(this.#descriptor, pieces, offset));
  }

  /**
   * Fills `into` with written bytes from `offset` on.
   *
   * @throws Error of the file system.
   */
  async read(into: Uint8Array, offset: number): Promise<void> {
    const descriptor = this.#descriptor;
    if (descriptor === null) throw new TypeError("read before the first write");
    await this.#hold(async () => {
      for (let done = 0; done < into.length;) {
        const length = into.length - done;
        const reading = readFile(descriptor, into, done, length, offset + done);
        done += assertMore((await this.#run(reading)).bytesRead);
      }
    });
  }

  /** Does the same as `read`, at once. */
  readNow(into: Uint8Array, offset: number): void {
    if (this.#descriptor === null) throw new TypeError("read before the first write");
    for (let done = 0; done < into.length;) {
      const length = into.length - done;
      done += assertMore(readSync(this.#descriptor, into, done, length, offset + done));
    }
  }

  /** Closes the file after the running disk operations. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#release();
  }

  /** Creates the file, unless `writeNow` has created it meanwhile. */
  async #create(): Promise<number> {
    const created = await inDiskTime(createNameless(this.#options.dir), closeSync);
    if (this.#descriptor !== null) closeSync(created);
    return (this.#descriptor ??= created);
  }

  /** Keeps the descriptor open from one operation to the next. */
  async #hold<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new TypeError("a closed spool file is used");
    this.#running++;
    try {
      return await work();
    } finally {
      this.#onEnded();
    }
  }

  /** Waits for an operation, which needs the descriptor to its end, also after the timeout. */
  #run<T>(operation: Promise<T>): Promise<T> {
    this.#running++;
    const onEnded = (): void => this.#onEnded();
    operation.then(onEnded, onEnded);
    return inDiskTime(operation);
  }

  #onEnded(): void {
    this.#running--;
    this.#release();
  }

  /** Closes the descriptor, if the file is closed and no operation needs it. */
  #release(): void {
    if (!this.#isClosed || this.#running > 0) return;
    const descriptor = this.#descriptor;
    this.#descriptor = null;
    const onReleased = (): void => this.#options.onReleased(this.#reservedBytes);
    // If this fails, the system closes the file when the process ends.
    if (descriptor === null) onReleased();
    else close(descriptor, onReleased);
  }
}

function assertSome(bytes: number): number {
  if (bytes === 0) throw new Error("Cannot write to a spool file: the disk took no bytes");
  return bytes;
}

function assertMore(bytes: number): number {
  if (bytes === 0) throw new Error("Cannot read a spooled body: its file is too short");
  return bytes;
}
