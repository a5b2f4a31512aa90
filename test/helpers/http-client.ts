import { Agent, type IncomingHttpHeaders, request as startRequest } from "node:http";
import type { Owner } from "./temporary-folder.ts";

export interface ClientResponse {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface RequestOptions {
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
}

/**
 * Longest time without a request after which a connection is used again: shorter than the 8 s after which uWebSockets.js may
 * close it. A request on a connection that closes at the same moment would fail.
 */
const IDLE_MS = 4_000;

/**
 * A client with keep-alive connections that tries nothing twice and hides no error, unlike `fetch`. Its connections are
 * closed after the test.
 */
export class HttpClient {
  readonly #base: string;
  readonly #agent: Agent;

  constructor(t: Owner, base: string, options: { connections: number }) {
    this.#base = base;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connections, timeout: IDLE_MS });
    t.after(() => this.#agent.destroy());
  }

  /** @throws What the connection throws: reset, refused, or closed before the response was complete. */
  request(path: string, options: RequestOptions = {}): Promise<ClientResponse> {
    const { method = "GET", headers = {}, body } = options;
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    return new Promise((resolve, reject) => {
      const request = startRequest(this.#base + path, {
        agent: this.#agent,
        method,
        headers: { ...length, ...headers },
      });
      request.once("error", reject);
      request.once("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", reject);
        response.once("end", () => {
          const { statusCode = 0, headers: fields } = response;
          resolve({ status: statusCode, headers: fields, body: Buffer.concat(chunks) });
        });
      });
      request.end(body);
    });
  }
}
