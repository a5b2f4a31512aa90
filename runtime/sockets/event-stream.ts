import type { BodySource } from "../http/client.ts";
import type { WaitingBytes } from "../lib/waiting-bytes.ts";
import type { Subscriber, TopicMessage } from "./topic-message.ts";

/** Size that each waiting piece counts for beyond its bytes. */
const PIECE_BYTES = 64;

export interface EventStreamOptions {
  readonly site: string;
  /** Text before the first message. */
  readonly opening: string;
  /** Bytes that may wait for a slow client before the next message. */
  readonly mostBytes: number;
  /** Counts the bytes that wait in all streams and WebSockets. */
  readonly waiting: WaitingBytes;
  /** More bytes wait than may: the client reads too slowly. */
  readonly onSlow: () => void;
  /** Called once, when no more bytes are needed. */
  readonly onOver: (stream: EventStream) => void;
}

/**
 * The body of a response with server-sent events: messages of topics, in their order.
 *
 *     open ──end()──▶ ended, after the bytes that wait
 *       │ └──too many bytes wait──▶ failed
 *       └──client left──▶ over (`cancel`)
 */
export class EventStream implements BodySource, Subscriber {
  readonly site: string;
  onChange: (() => void) | null = null;
  readonly #options: EventStreamOptions;
  readonly #pieces: Uint8Array[] = [];
  #waitingBytes = 0;
  #state: "open" | "ending" | "failed" | "over" = "open";

  constructor(options: EventStreamOptions) {
    this.site = options.site;
    this.#options = options;
    if (options.opening !== "") this.#add(Buffer.from(options.opening));
  }

  get state(): BodySource["state"] {
    if (this.#state === "failed" || this.#state === "over") return "failed";
    return this.#state === "ending" && this.#pieces.length === 0 ? "ended" : "open";
  }

  /** Nothing waits: the client has taken all. */
  get isIdle(): boolean {
    return this.#state === "open" && this.#pieces.length === 0;
  }

  deliver({ event }: TopicMessage): void {
    if (event !== null) this.write(event);
  }

  /** Sends a piece after those that wait. The stream keeps the bytes. */
  write(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    const { mostBytes, waiting, onSlow } = this.#options;
    // A client that has taken all may get a message of any size.
    if (this.#waitingBytes > mostBytes || waiting.isTooMuch(this.#waitingBytes)) {
      this.#finish("failed");
      onSlow();
    } else this.#add(bytes);
    this.onChange?.();
  }

  /** Ends the body after the bytes that wait: the client connects again. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#options.onOver(this);
    this.onChange?.();
  }

  read(maxBytes: number): Uint8Array | null {
    const first = this.#pieces[0];
    if (first === undefined) return null;
    if (first.length > maxBytes) {
      this.#pieces[0] = first.subarray(maxBytes);
      this.#wait(-maxBytes);
      return first.subarray(0, maxBytes);
    }
    this.#pieces.shift();
    this.#wait(-(first.length + PIECE_BYTES));
    return first;
  }

  cancel(): void {
    this.#finish("over");
  }

  #add(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#wait(bytes.length + PIECE_BYTES);
  }

  #wait(bytes: number): void {
    this.#options.waiting.change(this.#waitingBytes, this.#waitingBytes + bytes);
    this.#waitingBytes += bytes;
  }

  #finish(state: "failed" | "over"): void {
    const before = this.#state;
    if (before === "failed" || before === "over") return;
    this.#state = state;
    this.#pieces.length = 0;
    this.#wait(-this.#waitingBytes);
    if (before === "open") this.#options.onOver(this);
  }
}
