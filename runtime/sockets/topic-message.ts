import { toEvent } from "../lib/server-sent-event.ts";

/** A message to the subscribers of a topic. */
export class TopicMessage {
  readonly bytes: Uint8Array;
  readonly isBinary: boolean;
  #event: Uint8Array | null = null;

  /** @param bytes Text is UTF-8. The message keeps them. */
  constructor(bytes: Uint8Array, isBinary: boolean) {
    this.bytes = bytes;
    this.isBinary = isBinary;
  }

  /** The message as a server-sent event, made once for all clients; `null`: event streams are text, and this is none. */
  get event(): Uint8Array | null {
    if (this.isBinary) return null;
    const { buffer, byteOffset, byteLength } = this.bytes;
    this.#event ??= Buffer.from(toEvent(Buffer.from(buffer, byteOffset, byteLength).toString()));
    return this.#event;
  }
}

/** A client that gets the messages of topics. */
export interface Subscriber {
  readonly site: string;
  deliver(message: TopicMessage): void;
}
