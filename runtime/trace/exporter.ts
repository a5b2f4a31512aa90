import type { ClientRequest, IncomingMessage, request as httpRequest } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../log/log.ts";
import { parsePartialSuccess, type PartialSuccess } from "./partial-success.ts";
import type { FinishedSpan } from "./span.ts";

/** Most requests that wait for the collector: some seconds of a busy server. Later ones are dropped. */
export const MOST_WAITING = 4_096;

/** Most requests in one message to the collector. */
const BATCH = 512;

/** Longest time for which a request waits for others. */
const BATCH_MS = 5_000;

/** Longest wait for the answer of the collector. */
const ANSWER_MS = 10_000;

/** Number of attempts for a batch, and the pause before the second one, which doubles. */
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** Answers that ask for another attempt (OTLP specification, "Failures"). */
const RETRYABLE = new Set([429, 502, 503, 504]);

/** Number of characters of an answer that are read: it has two numbers and a message. */
const MOST_ANSWER = 64 * 1024;

/** Least time between two warnings. */
const WARN_INTERVAL_MS = 60_000;

export interface ExporterOptions {
  /** URL to which batches are posted: `http://127.0.0.1:4318/v1/traces`. */
  url: string;
  /** Fields for the collector, such as a key. */
  headers: Readonly<Record<string, string>>;
  log: Pick<Logger, "warn">;
  /** Returns the body for a batch. */
  encode: (batch: readonly FinishedSpan[]) => string;
}

/** Numbers of sampled requests by their outcome. */
export interface ExportCounts {
  exported: number;
  dropped: number;
  /** Spans of exported requests that the collector has not taken (`partialSuccess`). */
  rejectedSpans: number;
}

/** Sends finished requests to a collector over OTLP/HTTP, in batches. The queue is bounded, and a request never waits for it. */
export class Exporter {
  readonly counts: ExportCounts;
  readonly #options: ExporterOptions;
  #waiting: FinishedSpan[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | null = null;
  readonly #stop = new AbortController();
  #warnedMs = -Infinity;
  #droppedSinceWarning = 0;
  #rejectionWarnedMs = -Infinity;
  #rejectedSinceWarning = 0;

  /** @param counts Outlives the exporter. */
  constructor(options: ExporterOptions, counts: ExportCounts) {
    this.#options = options;
    this.counts = counts;
  }

  /** Queues a finished request, or drops it when the queue is full. */
  add(span: FinishedSpan): void {
    if (this.#stop.signal.aborted || this.#waiting.length >= MOST_WAITING) {
      this.#drop(1, "too many wait for the collector");
      return;
    }
    this.#waiting.push(span);
    if (this.#waiting.length >= BATCH) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), BATCH_MS).unref();
  }

  /** Sends all that waits, for at most this time. Then drops the rest. */
  async close(graceMs: number): Promise<void> {
    const cutOff = setTimeout(() => this.#stop.abort(), graceMs);
    this.#flush();
    await this.#sending;
    clearTimeout(cutOff);
    this.#stop.abort();
    clearTimeout(this.#timer);
    this.#drop(this.#waiting.length, "the server ends");
    this.#waiting = [];
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
  }

  /** Never rejects. */
  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#stop.signal.aborted) {
      const batch = this.#waiting.splice(0, BATCH);
      const problem = await this.#send(this.#options.encode(batch));
      if (problem === null) this.counts.exported += batch.length;
      else this.#drop(batch.length, problem);
    }
  }

  /** Returns why the batch is lost; `null`: the collector has it. */
  async #send(body: string): Promise<string | null> {
    let problem = "";
    for (let attempt = 1, pauseMs = FIRST_PAUSE_MS; ; attempt++, pauseMs *= 2) {
      const answer = await this.#post(body);
      if (answer.status >= 200 && answer.status < 300) return null;
      problem = answer.problem;
      const isRetryable = answer.status === 0 || RETRYABLE.has(answer.status);
      if (!isRetryable || attempt === ATTEMPTS || this.#stop.signal.aborted) return problem;
      const waitMs = Math.min(LONGEST_PAUSE_MS, answer.retryAfterMs ?? pauseMs);
      const options = { signal: this.#stop.signal, ref: false };
      await delay(waitMs, null, options).catch(() => {});
    }
  }

  /** Never rejects. Status 0: there was no answer. */
  async #post(
    body: string,
  ): Promise<{ status: number; problem: string; retryAfterMs: number | null }> {
    const { url, headers } = this.#options;
    try {
      const request = await loadRequest(url);
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ANSWER_MS)]);
      const sending = request(url, {
        method: "POST",
        signal,
        headers: {
          ...headers,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
        },
      });
      sending.end(body);
      const response = await responseOf(sending);
      const status = response.statusCode ?? 0;
      if (status === 200) this.#noteRejections(parsePartialSuccess(await readStart(response)));
      else response.resume();
      const seconds = Number(response.headers["retry-after"]);
      const retryAfterMs = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : null;
      return { status, problem: `the collector answered ${status}`, retryAfterMs };
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return { status: 0, problem, retryAfterMs: null };
    }
  }

  #noteRejections({ rejectedSpans, message }: PartialSuccess): void {
    if (rejectedSpans === 0 && message === "") return;
    this.counts.rejectedSpans += rejectedSpans;
    this.#rejectedSinceWarning += rejectedSpans;
    const nowMs = performance.now();
    if (nowMs - this.#rejectionWarnedMs < WARN_INTERVAL_MS) return;
    this.#rejectionWarnedMs = nowMs;
    const fields = { rejectedSpans: this.#rejectedSinceWarning, reason: message };
    this.#rejectedSinceWarning = 0;
    const { host } = new URL(this.#options.url);
    this.#options.log.warn({ setting: "otlp", host, ...fields }, "the collector rejected spans");
  }

  #drop(count: number, reason: string): void {
    if (count === 0) return;
    this.counts.dropped += count;
    this.#droppedSinceWarning += count;
    const nowMs = performance.now();
    if (nowMs - this.#warnedMs < WARN_INTERVAL_MS) return;
    this.#warnedMs = nowMs;
    const dropped = this.#droppedSinceWarning;
    this.#droppedSinceWarning = 0;
    const { host } = new URL(this.#options.url);
    this.#options.log.warn({ setting: "otlp", host, dropped, reason }, "traces dropped");
  }
}

/** Reads an answer to its end. Returns its beginning. */
async function readStart(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  try {
    // With an encoding, responses yield texts.
    for await (const part of response as AsyncIterable<string>) {
      if (text.length < MOST_ANSWER) text += part;
    }
  } catch {
    // The status has said that the collector has the batch. The rest was for the log.
  }
  return text;
}

/** Loaded when the first batch is due. */
async function loadRequest(url: string): Promise<typeof httpRequest> {
  return url.startsWith("https:")
    ? (await import("node:https")).request
    : (await import("node:http")).request;
}

function responseOf(sending: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sending.once("response", resolve);
    sending.on("error", reject);
  });
}
