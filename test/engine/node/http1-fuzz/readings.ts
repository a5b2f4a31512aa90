import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Socket } from "node:net";
import { Http1Connection } from "../../../../runtime/engine/node/http1-connection.ts";
import type { NodeListenerContext } from "../../../../runtime/engine/node/listener-context.ts";
import type { Client } from "../../../../runtime/http/client.ts";
import { feed, MemorySocket } from "./memory-socket.ts";

/** A request that a parser has read to its end. Fields are in lower case, one character per byte. */
export interface ReadRequest {
  method: string;
  target: string;
  fields: readonly (readonly [name: string, value: string])[];
  /** `null`: the body was dropped. */
  body: string | null;
}

/** How a parser read the bytes of a connection. */
export interface Reading {
  /** Complete requests, in their order. */
  requests: ReadRequest[];
  /** Why the parser refused the bytes behind them; `null`: it did not. */
  refusal: string | null;
}

/** Status and text of a refusal, which ends its connection. */
const REFUSAL = /HTTP\/1\.1 ((?:4(?!17)|5)\d\d) (?:.|\r\n(?!\r\n))*\r\n\r\n(.*)/;

/** Reads bytes with the parser of the Node engine. */
export class OwnParser {
  readonly #context: NodeListenerContext;
  #requests: ReadRequest[] = [];

  /** @param context A listener whose requests go to `onRequest`. */
  constructor(context: NodeListenerContext) {
    this.#context = context;
  }

  /**
   * Must be called for each request that has ended. The engine itself refuses unknown expectations and answers `OPTIONS *`,
   * and drops the body.
   */
  readonly onFinished = ({ head }: Client, status: number): void => {
    const { method, target, fields } = head;
    if (status === 417 || target === "*") {
      this.#requests.push({ method, target, fields: toPairs(fields), body: null });
    }
  };

  readonly onRequest = (client: Client): void => {
    const requests = this.#requests;
    const chunks: Buffer[] = [];
    client.receiveBody({
      chunk: (bytes) => void chunks.push(Buffer.from(bytes)),
      end() {
        const { method, target, fields } = client.head;
        const body = Buffer.concat(chunks).toString("latin1");
        requests.push({ method, target, fields: toPairs(fields), body });
        client.reply({ status: 204, statusText: "", fields: "", body: null, lengthBytes: null });
      },
    });
  };

  /** Reads one connection. Calls must not overlap. */
  async read(parts: readonly Buffer[]): Promise<Reading> {
    const socket = new MemorySocket();
    this.#requests = [];
    const options = { context: this.#context, certificate: null, peer: "127.0.0.1", tls: 0 };
    // It has the members of a socket that a connection uses.
    void new Http1Connection(socket as unknown as Socket, options);
    await feed(socket, parts);
    const [, status, reason = ""] = REFUSAL.exec(socket.received) ?? [];
    const refusal = status === undefined ? null : `${status} ${reason}`;
    return { requests: this.#requests, refusal };
  }
}

/** Reads bytes with llhttp, the parser of `node:http`, which is strict by default. */
export class ReferenceParser {
  readonly #server: Server;
  #requests: ReadRequest[] = [];
  #refusal: string | null = null;

  constructor() {
    const server = createServer({ requireHostHeader: true, insecureHTTPParser: false });
    for (const event of ["request", "checkContinue", "checkExpectation"]) {
      server.on(event, this.#onRequest);
    }
    server.on("connect", (request: IncomingMessage, socket: Socket) => {
      this.#refusal = `${request.method}`;
      socket.destroy();
    });
    // The requests before the error are still read to their end.
    server.on("clientError", (error: NodeJS.ErrnoException) => {
      // Bytes behind the last request of a connection.
      if (error.code !== "HPE_CLOSED_CONNECTION") this.#refusal ??= `${error.code}`;
    });
    // Node has no public name for it: requests that are complete are answered after the end of the client's side.
    Object.assign(server, { httpAllowHalfOpen: true });
    this.#server = server;
  }

  /** Reads one connection. Calls must not overlap. */
  async read(bytes: Buffer): Promise<Reading> {
    const socket = new MemorySocket();
    this.#requests = [];
    this.#refusal = null;
    this.#server.emit("connection", socket);
    await feed(socket, [bytes]);
    // `node:http` itself answers requests without Host.
    if (socket.received.includes("HTTP/1.1 400")) this.#refusal ??= "400";
    return { requests: this.#requests, refusal: this.#refusal };
  }

  readonly #onRequest = (
    request: IncomingMessage,
    response: { end: () => void; statusCode: number },
  ): void => {
    const requests = this.#requests;
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => void chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", rawHeaders } = request;
      const fields: [string, string][] = [];
      for (let at = 0; at < rawHeaders.length; at += 2) {
        fields.push([(rawHeaders[at] ?? "").toLowerCase(), rawHeaders[at + 1] ?? ""]);
      }
      const body = Buffer.concat(chunks).toString("latin1");
      requests.push({ method, target: url, fields, body });
      response.statusCode = 204;
      response.end();
    });
  };
}

function toPairs(block: string): [string, string][] {
  if (block === "") return [];
  const parts = block.split("\n");
  return parts.flatMap((name, at) => (at % 2 === 0 ? [[name, parts[at + 1] ?? ""]] : []));
}
