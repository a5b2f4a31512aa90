import { Agent, type IncomingMessage, request as startPlain } from "node:http";
import type { Agent as TlsAgent } from "node:https";
import type { Field } from "../http/field-block.ts";

/** Most connections to one service. */
const MOST_CONNECTIONS = 64;

/** An idle connection is closed after so long. Shorter than the 5 s of Node's servers, which would win the race. */
const IDLE_MS = 4_000;

/** Largest body of an answer. */
const MOST_BODY_BYTES = 1024 * 1024;

/** The answer of a service. */
export interface CheckAnswer {
  status: number;
  /** Names in lower case. */
  fields: readonly Field[];
  body: Uint8Array;
}

/**
 * Asks services over HTTP, with connections that are used again. A connection that the service closed while the request
 * was under way is replaced once: a GET may be repeated. Idle connections close by themselves, so a client that a reload
 * drops needs no end.
 */
export class CheckClient {
  readonly #url: URL;
  readonly #plain: Agent;
  #tls: TlsAgent | null = null;

  constructor(url: URL) {
    this.#url = url;
    this.#plain = new Agent(AGENT_OPTIONS);
  }

  /**
   * Sends a GET request.
   *
   * @throws Error when there is no whole answer; the signal's reason.
   */
  async ask(fields: readonly Field[], signal: AbortSignal): Promise<CheckAnswer> {
    const sent = { isReused: false };
    try {
      return await this.#send(fields, signal, sent);
    } catch (error) {
      if (signal.aborted || !sent.isReused) throw error;
      return this.#send(fields, signal, sent);
    }
  }

  async #send(
    fields: readonly Field[],
    signal: AbortSignal,
    sent: { isReused: boolean },
  ): Promise<CheckAnswer> {
    const start = this.#url.protocol === "https:" ? await this.#startTls() : this.#startPlain();
    return new Promise((resolve, reject) => {
      const request = start({
        method: "GET",
        headers: toHeaders(fields, this.#url.host),
        signal,
      });
      request.on("response", (response) => {
        sent.isReused = false;
        readBody(response).then(
          (body) => resolve({ ...toFields(response), body }),
          (error: unknown) => {
            response.destroy();
            reject(error instanceof Error ? error : new Error(String(error)));
          },
        );
      });
      // Without a listener, no event would tell of the answer, nor of the signal after it.
      request.on("upgrade", (_, socket) => {
        socket.destroy();
        reject(new Error("status 101"));
      });
      request.on("error", (error) => {
        sent.isReused = request.reusedSocket;
        reject(error);
      });
      request.end();
    });
  }

  #startPlain(): (options: RequestOptions) => ReturnType<typeof startPlain> {
    return (options) => startPlain(this.#url, { ...options, agent: this.#plain });
  }

  async #startTls(): Promise<(options: RequestOptions) => ReturnType<typeof startPlain>> {
    const https = await import("node:https");
    const agent = (this.#tls ??= new https.Agent(AGENT_OPTIONS));
    return (options) => https.request(this.#url, { ...options, agent });
  }
}

interface RequestOptions {
  method: string;
  headers: string[];
  signal: AbortSignal;
}

const AGENT_OPTIONS = {
  keepAlive: true,
  maxSockets: MOST_CONNECTIONS,
  scheduling: "lifo",
  timeout: IDLE_MS,
} as const;

function toHeaders(fields: readonly Field[], host: string): string[] {
  return ["host", host, ...fields.flat()];
}

async function readBody(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BODY_BYTES) throw new Error(`an answer of more than ${MOST_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function toFields({ statusCode = 0, rawHeaders }: IncomingMessage): Omit<CheckAnswer, "body"> {
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    fields.push([rawHeaders[at]?.toLowerCase() ?? "", rawHeaders[at + 1] ?? ""]);
  }
  return { status: statusCode, fields };
}
