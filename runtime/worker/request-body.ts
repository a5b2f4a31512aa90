import { REQUEST_CREDIT_BYTES } from "../channel/messages.ts";

/** Credit is granted in pieces of at least this size: a message for each chunk would cost more than it gives. */
const GRANT_BYTES = REQUEST_CREDIT_BYTES / 2;

/**
 * A request body that arrives while the handler runs.
 *
 * At most `REQUEST_CREDIT_BYTES` are on their way or wait here; the primary is asked for more as the handler takes
 * them, so a handler that does not read holds the client back.
 */
export class RequestBody {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #grant: (bytes: number) => void;
  #output: ReadableStreamDefaultController<Uint8Array> | null = null;
  #chunks: Uint8Array[] = [];
  #ended = false;
  /** Taken by the handler and not granted yet. */
  #takenBytes = 0;

  /** @param grant Asks the primary for so many more bytes. */
  constructor(grant: (bytes: number) => void) {
    this.#grant = grant;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#output = controller;
        },
        pull: () => this.#deliver(),
        // The handler reads no more: drop further bytes, and grant no more.
        cancel: () => this.#close(),
      },
      // Reads nothing ahead of the handler, so that credit shows how much the handler has taken.
      { highWaterMark: 0 },
    );
  }

  /** Adds a copy, which the handler may keep or transfer: the bytes are lent. */
  push(bytes: Uint8Array): void {
    if (this.#output === null) return;
    this.#chunks.push(new Uint8Array(bytes));
    if (this.#isWanted()) this.#deliver();
  }

  end(): void {
    this.#ended = true;
    if (this.#chunks.length === 0) this.#finish();
  }

  /** The rest will not come. */
  fail(reason: unknown): void {
    this.#output?.error(reason);
    this.#close();
  }

  #isWanted(): boolean {
    // With a high-water mark of 0 a pending read is the only reason for a positive size.
    return (this.#output?.desiredSize ?? 0) > 0 || this.#waiting;
  }

  #waiting = false;

  #deliver(): void {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) {
      this.#waiting = true;
      return;
    }
    this.#waiting = false;
    this.#output?.enqueue(chunk);
    this.#takenBytes += chunk.length;
    if (this.#ended && this.#chunks.length === 0) {
      this.#finish();
    } else if (this.#takenBytes >= GRANT_BYTES) {
      this.#grant(this.#takenBytes);
      this.#takenBytes = 0;
    }
  }

  #finish(): void {
    this.#output?.close();
    this.#close();
  }

  #close(): void {
    this.#output = null;
    this.#chunks = [];
  }
}
