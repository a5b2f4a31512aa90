import type { SocketEventNumber } from "../channel/messages.ts";
import type { WebSocketEnd } from "../http/web-socket.ts";

/** Bytes that an event takes beside those of its message. */
const EVENT_BYTES = 64;

/** An event for a handler: a message of the client, or the end of the WebSocket. */
export type SocketEvent =
  | { readonly kind: "message"; readonly bytes: Uint8Array; readonly isBinary: boolean }
  | { readonly kind: "close"; readonly end: WebSocketEnd };

/** The events of a WebSocket that its handler has not confirmed, in their order. */
export class EventLine {
  #events: SocketEvent[] = [];
  /** Number of the first event of `#events`. */
  #first: SocketEventNumber = 1;
  #bytes = 0;

  /** Memory that the events take. */
  get bytes(): number {
    return this.#bytes;
  }

  add(event: SocketEvent): void {
    this.#events.push(event);
    this.#bytes += sizeOf(event);
  }

  /** Returns an event; `undefined`: it is confirmed, or has not come. */
  at(number: SocketEventNumber): SocketEvent | undefined {
    return this.#events[number - this.#first];
  }

  /** Drops all events up to this one. */
  confirm(number: SocketEventNumber): void {
    const count = Math.min(this.#events.length, number - this.#first + 1);
    if (count <= 0) return;
    for (let at = 0; at < count; at++) {
      const event = this.#events[at];
      if (event !== undefined) this.#bytes -= sizeOf(event);
    }
    if (count === this.#events.length) this.#events = [];
    else this.#events.splice(0, count);
    this.#first += count;
  }
}

function sizeOf(event: SocketEvent): number {
  return EVENT_BYTES + (event.kind === "message" ? event.bytes.length : 0);
}
