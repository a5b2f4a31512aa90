import { ByteWriter } from "./byte-writer.ts";
import type { LogDestination } from "./destination.ts";

/** Room for a line. Lines of the JSON format are about half as long at most. */
export const MOST_LINE_BYTES = 8 * 1024;

/** Memory of a log with few lines. */
const FIRST_BYTES = 16 * 1024;

/**
 * Whole lines that wait for their destination, as bytes.
 *
 * A string of a hundred lines would be a tree of a thousand pieces, which V8 keeps alive, copies and encodes. The memory
 * of a batch is used again for the next one.
 */
export class LineBatch {
  readonly #destination: LogDestination;
  readonly #ageMs: number;
  readonly #writer = new ByteWriter(Buffer.allocUnsafeSlow(FIRST_BYTES));
  /** Size of the whole lines. */
  #length = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** @param ageMs Age at which a batch that is not full is passed on. */
  constructor(destination: LogDestination, ageMs: number) {
    this.#destination = destination;
    this.#ageMs = ageMs;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Begins a line of at most `MOST_LINE_BYTES`. The caller writes it, and calls `endLine` in the same turn. */
  beginLine(): ByteWriter {
    const writer = this.#writer;
    if (writer.memory.length - this.#length < MOST_LINE_BYTES) this.#grow();
    writer.at = this.#length;
    return writer;
  }

  /** Ends a line. Passes the lines before it on, if both together are more than an atomic write. */
  endLine(): void {
    const start = this.#length;
    const end = this.#writer.at;
    if (end > this.#destination.atomicBytes && start > 0) {
      this.flush();
      this.#writer.memory.copyWithin(0, start, end);
      this.#writer.at = end - start;
    }
    this.#length = this.#writer.at;
    // A full batch does not stop the timer. This keeps it at ten timers per second for any number of batches.
    this.#timer ??= setTimeout(this.#flushLater, this.#ageMs).unref();
  }

  /** Adds a line of any length and any characters. */
  addText(line: string): void {
    // A character has at most three bytes in UTF-8.
    if (line.length * 3 > MOST_LINE_BYTES) {
      this.flush();
      this.#destination.write(line);
      return;
    }
    const writer = this.beginLine();
    writer.at += writer.memory.write(line, writer.at);
    this.endLine();
  }

  /** Passes the lines to the destination. */
  flush(): void {
    const length = this.#length;
    if (length === 0) return;
    this.#length = 0;
    this.#writer.at = 0;
    this.#destination.write(this.#writer.memory.subarray(0, length));
  }

  /** Passes the last lines on. Idempotent. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.flush();
  }

  readonly #flushLater = (): void => {
    this.#timer = null;
    this.flush();
  };

  /** Doubles the memory, up to a full batch and one more line. */
  #grow(): void {
    const { memory } = this.#writer;
    const most = this.#destination.atomicBytes + MOST_LINE_BYTES;
    const grown = Buffer.allocUnsafeSlow(Math.min(memory.length * 2, most));
    memory.copy(grown, 0, 0, this.#length);
    this.#writer.memory = grown;
  }
}
