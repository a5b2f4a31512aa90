import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { HttpResponse, ListenSocket, Uws, UwsApp } from "./uws.ts";

/** The library's default for `listen`. No other process can bind the port that the kernel chose. */
const LISTEN_DEFAULT = 0;

/**
 * A response of the library that is never answered. Its `cork` is a place for upgrades outside of the library's
 * callbacks.
 *
 * `cork` of the response that is upgraded itself is unsafe: after its callback the library reads memory of the response
 * that the upgrade has given back, and may take it for the order to close the connection. Without any `cork` the library
 * prints a warning for each upgrade (docs/uwebsockets.md section 7).
 *
 *     closed ──prepare──▶ opening ──own request arrives──▶ open ──close──▶ closed
 *
 * The response belongs to a connection of this process to itself, over the loopback interface.
 */
export class CorkAnchor {
  readonly #uws: Uws;
  #app: UwsApp | null = null;
  #listening: ListenSocket | null = null;
  #socket: Socket | null = null;
  #response: HttpResponse | null = null;

  constructor(uws: Uws) {
    this.#uws = uws;
  }

  /** Begins to open the response, unless it is there. It is open after some turns of the event loop. */
  prepare(): void {
    if (this.#app !== null) return;
    const path = `/${randomBytes(16).toString("hex")}`;
    const app = this.#uws.App();
    this.#app = app;
    app.any("/*", (res, req) => {
      const isOwn = this.#app === app && this.#response === null && req.getUrl() === path;
      res.onAborted(() => {
        if (this.#response === res) this.close();
      });
      if (!isOwn) {
        res.close();
        return;
      }
      this.#response = res;
      this.#stopListening();
    });
    app.listen("127.0.0.1", 0, LISTEN_DEFAULT, (listening) => {
      if (listening === false) return;
      this.#listening = listening;
      const port = this.#uws.us_socket_local_port(listening);
      const socket = connect({ host: "127.0.0.1", port });
      this.#socket = socket;
      socket.on("error", () => this.close());
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    });
    if (this.#socket === null) this.close();
  }

  /** Calls back within `cork`. Returns false, and does nothing, while the response is not open. */
  run(callback: () => void): boolean {
    const response = this.#response;
    if (response === null) return false;
    response.cork(callback);
    return true;
  }

  close(): void {
    const app = this.#app;
    this.#stopListening();
    this.#app = null;
    this.#response = null;
    this.#socket?.destroy();
    this.#socket = null;
    // Deferred, because this may run in one of its callbacks.
    if (app !== null) setImmediate(() => app.close());
  }

  #stopListening(): void {
    if (this.#listening !== null) this.#uws.us_listen_socket_close(this.#listening);
    this.#listening = null;
  }
}
