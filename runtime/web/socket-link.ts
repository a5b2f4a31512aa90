/** The way of a handler's WebSocket to its client. */
export interface SocketLink {
  send(bytes: Uint8Array, isBinary: boolean): void;
  close(code: number, reason: string): void;
  /** Keeps bytes for the worker that gets the WebSocket next; `null`: none. */
  attach(bytes: Uint8Array | null): void;
  subscribe(topic: string): void;
  unsubscribe(topic: string): void;
  /** Sends to all other subscribers of a topic. */
  publish(topic: string, bytes: Uint8Array, isBinary: boolean): void;
}

/** Limits of a WebSocket. */
export interface SocketBounds {
  readonly messageBytes: number;
  readonly attachmentBytes: number;
  readonly topics: number;
  readonly topicLength: number;
}

/** Most bytes that a handler sends before its WebSocket is there. A call counts as 64 more. */
const MOST_PENDING_BYTES = 4 * 1024 * 1024;

/**
 * Collects the calls of a handler before its WebSocket is there, in their order.
 *
 * Its messages throw a RangeError above 4 MiB: without an end, a response that is never sent would collect them for ever. A
 * response that middleware got and left out ends its WebSocket (`worker/context.ts`).
 */
export class PendingLink implements SocketLink {
  readonly #calls: ((link: SocketLink) => void)[] = [];
  #bytes = 0;

  /** Repeats all calls. */
  replay(link: SocketLink): void {
    for (const call of this.#calls.splice(0)) call(link);
  }

  send(bytes: Uint8Array, isBinary: boolean): void {
    this.#count(bytes);
    this.#calls.push((link) => link.send(bytes, isBinary));
  }

  close(code: number, reason: string): void {
    this.#calls.push((link) => link.close(code, reason));
  }

  attach(bytes: Uint8Array | null): void {
    this.#calls.push((link) => link.attach(bytes));
  }

  subscribe(topic: string): void {
    this.#calls.push((link) => link.subscribe(topic));
  }

  unsubscribe(topic: string): void {
    this.#calls.push((link) => link.unsubscribe(topic));
  }

  publish(topic: string, bytes: Uint8Array, isBinary: boolean): void {
    this.#count(bytes);
    this.#calls.push((link) => link.publish(topic, bytes, isBinary));
  }

  #count({ length }: Uint8Array): void {
    if (this.#bytes + length + 64 > MOST_PENDING_BYTES) {
      throw new RangeError("Cannot send more than 4 MiB before the WebSocket is open");
    }
    this.#bytes += length + 64;
  }
}

/** The link of a WebSocket that is over. */
export const NO_LINK: SocketLink = {
  send() {},
  close() {},
  attach() {},
  subscribe() {},
  unsubscribe() {},
  publish() {},
};
