import * as http from "node:http";
import * as https from "node:https";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import type { Answer, CaseRequest } from "./cases.ts";

export interface ReadyOptions {
  readonly url: string;
  readonly request: Omit<CaseRequest, "path">;
  /** Describes a wrong answer; `undefined` when the answer is right. */
  readonly refuse: (answer: Answer) => string | undefined;
  /** Returns why the server will never be ready; `undefined` while it may become ready. */
  readonly failure: () => string | undefined;
  /** The server's output, for the error after a timeout. */
  readonly lastWords: () => string;
  readonly signal: AbortSignal;
}

/**
 * Resolves as soon as the server gives the right answer.
 *
 * Until then it may refuse connections and answer 5xx, as a proxy does whose upstream is still starting.
 *
 * @throws when a program ends, an answer with another status is wrong, or no answer comes in 20 s.
 */
export async function waitUntilReady(options: ReadyOptions): Promise<void> {
  const { url, request, refuse, failure, lastWords, signal } = options;
  const deadline = performance.now() + READY_MS;
  for (;;) {
    const answer = await ask(url, request, signal).catch(String);
    signal.throwIfAborted();
    const reason = typeof answer === "string" ? answer : refuse(answer);
    if (reason === undefined) return;
    const ended = failure();
    if (ended !== undefined) throw new Error(ended);
    if (typeof answer !== "string" && answer.status < 500)
      throw new Error(`wrong answer: ${reason}`);
    if (performance.now() > deadline) {
      throw new Error(`not ready in ${READY_MS} ms: ${reason}. Its output: ${lastWords()}`);
    }
    await delay(POLL_MS, undefined, { signal });
  }
}

/**
 * Sends one request on a connection of its own. A certificate is not checked: the benchmark made it.
 *
 * Events never end: the answer is whole with the first of them.
 */
export function ask(
  url: string,
  { method, fields, body }: Omit<CaseRequest, "path">,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const client = url.startsWith("https:") ? https : http;
    const headers = Object.fromEntries(fields);
    const options = {
      method,
      headers,
      agent: false,
      rejectUnauthorized: false,
      timeout: ANSWER_MS,
      signal,
    };
    const request = client.request(url, options, (response) => {
      const contentType = response.headers["content-type"] ?? "";
      const chunks: Buffer[] = [];
      const isCoded = response.headers["content-encoding"] === "gzip";
      const settle = (): void => {
        const bytes = Buffer.concat(chunks);
        const text = String(isCoded ? gunzipSync(bytes) : bytes);
        resolve({ status: response.statusCode ?? 0, contentType, body: text });
      };
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        if (!contentType.startsWith("text/event-stream") || !chunk.includes("data:")) return;
        settle();
        request.destroy();
      });
      response.once("error", reject);
      response.once("end", settle);
    });
    request.once("timeout", () => request.destroy(new Error(`no answer in ${ANSWER_MS} ms`)));
    request.once("error", reject);
    request.end(body === "" ? undefined : body);
  });
}

/** Returns different free ports. Another program could take one before the server does: then the server fails. */
export async function pickFreePorts(count: number): Promise<readonly number[]> {
  const holders = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(holders.map(listenAnywhere));
  } finally {
    for (const holder of holders) holder.close();
  }
}

const READY_MS = 20_000;
const ANSWER_MS = 5000;
/** Short beside the start of any server, long beside a refused connection. */
const POLL_MS = 5;

function listenAnywhere(holder: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve, reject) => {
    holder.once("error", reject);
    holder.listen(0, "127.0.0.1", () => {
      const address = holder.address();
      if (address === null || typeof address === "string") reject(new Error("no port was given"));
      else resolve(address.port);
    });
  });
}
