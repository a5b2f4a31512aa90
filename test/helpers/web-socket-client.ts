import { once } from "node:events";
import { type ClientOptions, WebSocket } from "ws";
import type { Owner } from "./temporary-folder.ts";

/** A client of a WebSocket that keeps its messages until the test reads them. */
export class WebSocketClient {
  readonly socket: WebSocket;
  /** Settles when the WebSocket is over. */
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #messages: (string | Buffer)[] = [];
  readonly #readers: ((message: string | Buffer) => void)[] = [];

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      const message = isBinary ? data : data.toString();
      const reader = this.#readers.shift();
      if (reader === undefined) this.#messages.push(message);
      else reader(message);
    });
    this.closed = new Promise((resolve) => {
      socket.once("close", (code: number, reason: Buffer) =>
        resolve({ code, reason: reason.toString() }),
      );
    });
  }

  /**
   * Opens a WebSocket, and cuts it after the test. Rejects with the status of a refusal.
   *
   * @param url `http://...`, as the server tells it.
   */
  static async open(
    t: Owner,
    url: string,
    { protocols = [], ...options }: ClientOptions & { protocols?: string[] } = {},
  ): Promise<WebSocketClient> {
    const socket = new WebSocket(url.replace(/^http/, "ws"), protocols, {
      rejectUnauthorized: false,
      ...options,
    });
    t.after(() => socket.terminate());
    const client = new WebSocketClient(socket);
    await once(socket, "open");
    return client;
  }

  send(message: string | Uint8Array): void {
    this.socket.send(message);
  }

  /** Returns the next message. */
  next(): Promise<string | Buffer> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  /** Returns the next messages. */
  async take(count: number): Promise<(string | Buffer)[]> {
    const messages: (string | Buffer)[] = [];
    while (messages.length < count) messages.push(await this.next());
    return messages;
  }

  async close(code = 1000): Promise<{ code: number; reason: string }> {
    this.socket.close(code);
    return this.closed;
  }
}
