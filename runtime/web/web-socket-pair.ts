import { ServerSocket } from "./server-socket.ts";
import type { SocketBounds } from "./socket-link.ts";

/** The client's end of a pair, which belongs into `new Response(null, { status: 101, webSocket })`. */
export class ClientEnd extends EventTarget {
  readonly #server: ServerSocket;
  #isUsed = false;

  constructor(server: ServerSocket) {
    super();
    this.#server = server;
  }

  /** Returns the server's end of a pair by its client's end; `null`: the value is no such end. */
  static serverOf(value: unknown): ServerSocket | null {
    return typeof value === "object" && value !== null && #server in value ? value.#server : null;
  }

  /** Notes that a response has it. Returns false if another response had it before. */
  static use(end: ClientEnd): boolean {
    const isFirst = !end.#isUsed;
    end.#isUsed = true;
    return isFirst;
  }

  get [Symbol.toStringTag](): string {
    return "WebSocket";
  }

  accept(): never {
    throw refusal("accept()");
  }

  send(): never {
    throw refusal("send()");
  }

  close(): never {
    throw refusal("close()");
  }
}

function refusal(call: string): TypeError {
  return new TypeError(
    `Cannot call ${call} of the client's end of a WebSocketPair: expected the other end, pair[1]. This one belongs into the response`,
  );
}

/** Both ends of a WebSocket, as in Workers: `const [client, server] = Object.values(new WebSocketPair())`. */
export interface WebSocketPair {
  readonly 0: ClientEnd;
  readonly 1: ServerSocket;
}

/** Returns the class `WebSocketPair` for WebSockets with these bounds. */
export function createPairClass(bounds: SocketBounds): new () => WebSocketPair {
  return class WebSocketPair {
    readonly 0: ClientEnd;
    readonly 1: ServerSocket;

    constructor() {
      const server = new ServerSocket(bounds);
      this[0] = new ClientEnd(server);
      this[1] = server;
    }
  };
}
