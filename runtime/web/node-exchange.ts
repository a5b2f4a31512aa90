import { OutgoingMessage, ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { toError } from "../lib/errors.ts";
import { ExchangeSocket, type SocketWrite } from "./exchange-socket.ts";
import { toNodeRequest, type NodeRequest } from "./node-request.ts";
import { NULL_BODY_STATUSES } from "./null-body-statuses.ts";
import { NodeResponseReader, type NodeHead } from "./node-response-reader.ts";

/** Calls the application with an exchange's two objects. */
export type CallApplication = (
  req: NodeRequest["message"],
  res: ServerResponse,
  next: (error?: unknown) => void,
) => unknown;

export interface NodeExchangeOptions {
  clientAddress: string;
  /** Called with errors of the application after its answer was complete. */
  onLateError: (error: unknown) => void;
}

/** A body up to this length that comes with its head is sent as one piece. A longer one is streamed. */
const WHOLE_LENGTH = 65_536;

/**
 * One request and its answer, for an application that writes to a `ServerResponse`.
 *
 *     waiting ──head──▶ collecting ──ended in the same turn, or no body is due──▶ dropping ──finish──▶ over
 *        │                   └──the turn has passed──▶ streaming ──finish──▶ over              ▲
 *        └───────────────────┴────────────┴── destroyed by the application, or the client left ─┘
 *
 * The answer resolves when `collecting` ends. A small answer is complete then, and needs no stream.
 */
export class NodeExchange {
  readonly #method: string;
  readonly #onLateError: (error: unknown) => void;
  readonly #socket: ExchangeSocket;
  readonly #incoming: NodeRequest;
  readonly #outgoing: ServerResponse;
  readonly #reader = new NodeResponseReader();
  readonly #signal: AbortSignal;
  #state: "waiting" | "collecting" | "streaming" | "dropping" | "over" = "waiting";
  #resolve: (response: Response) => void = ignore;
  #reject: (error: unknown) => void = ignore;
  /** Parts of the body that the answer, or its stream, has not taken, and their length. */
  #parts: BodyPart[] = [];
  #length = 0;
  #output: ReadableStreamDefaultController<Uint8Array> | null = null;
  /** The stream's reader waits for a chunk. */
  #isWanted = false;
  /** Lets the application continue to write after its last write was taken. */
  #onTaken: (() => void) | null = null;
  #isEnded = false;

  constructor(request: Request, { clientAddress, onLateError }: NodeExchangeOptions) {
    this.#method = request.method;
    this.#signal = request.signal;
    this.#onLateError = onLateError;
    this.#socket = new ExchangeSocket({
      remoteAddress: clientAddress,
      url: request.url,
      onRead: () => this.#incoming.read(),
      onWrite: (writes, done) => this.#write(writes, done),
      onEnd: () => this.#end(),
      onTimeout: () => this.#onTimeout(),
      onDestroy: (error) => this.#onDestroy(error),
    });
    this.#incoming = toNodeRequest(request, this.#socket);
    const outgoing = new ServerResponse(this.#incoming.message);
    // The class uses only the parts of a socket that `ExchangeSocket` has.
    outgoing.assignSocket(this.#socket as unknown as Socket);
    // The server writes the date.
    outgoing.sendDate = false;
    outgoing.once("finish", () => this.#end());
    this.#socket.on("drain", () => announceDrain(outgoing));
    this.#outgoing = outgoing;
  }

  /**
   * Calls the application. Resolves with its answer: complete, or with a stream for the rest.
   *
   * Rejects with an error that the application throws, rejects with or passes to `next` before it has sent the head.
   * After the head, the stream fails with such an error. When the request is aborted, both fail with the reason.
   */
  run(call: CallApplication): Promise<Response> {
    const answer = new Promise<Response>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#signal.addEventListener("abort", this.#onAbort);
    if (this.#signal.aborted) this.#onAbort();
    try {
      const result = call(this.#incoming.message, this.#outgoing, (error) => this.#next(error));
      if (isThenable(result)) result.then(undefined, (error: unknown) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
    return answer;
  }

  /** As in `http.Server`: an application that listens for the event decides. Otherwise the connection ends. */
  #onTimeout(): void {
    const { message } = this.#incoming;
    const isHeard =
      (!message.complete && message.emit("timeout", this.#socket)) ||
      this.#outgoing.emit("timeout", this.#socket);
    if (!isHeard) this.#socket.destroy();
  }

  readonly #onAbort = (): void => this.#leave(this.#signal.reason);

  /**
   * Ends the exchange: its answer is not needed any more. The application gets the same events as from `http.Server`.
   */
  #leave(reason: unknown): void {
    this.#reject(reason);
    const error = Object.assign(new Error("aborted", { cause: reason }), { code: "ECONNRESET" });
    this.#incoming.message.destroy(error);
    this.#socket.destroy();
  }

  #next(error: unknown): void {
    if (isPassedOn(error)) {
      if (this.#state === "waiting") this.#answerPlain(404, {});
      return;
    }
    const refusal = this.#state === "waiting" ? toRefusal(error) : null;
    if (refusal === null) this.#fail(error);
    else this.#answerPlain(refusal.status, refusal.headers);
  }

  /** Answers through the `ServerResponse`, since middleware may have wrapped it: to log, to store a session. */
  #answerPlain(status: number, headers: Readonly<Record<string, string>>): void {
    const outgoing = this.#outgoing;
    for (const name of outgoing.getHeaderNames()) {
      if (name.startsWith("content-") || name === "etag") outgoing.removeHeader(name);
    }
    for (const [name, value] of Object.entries(headers)) outgoing.setHeader(name, value);
    outgoing.statusCode = status;
    outgoing.setHeader("content-type", "text/plain; charset=utf-8");
    outgoing.end(`${STATUS_CODES[status] ?? "Error"}\n`);
  }

  #fail(error: unknown): void {
    // Consequences of the abort are no failures.
    if (this.#signal.aborted) return;
    if (this.#state === "over" || this.#state === "dropping") this.#onLateError(error);
    this.#reject(error);
    this.#socket.destroy(toError(error));
  }

  #write(writes: readonly SocketWrite[], done: () => void): void {
    try {
      for (const { chunk, encoding } of writes) {
        const data = this.#reader.push(chunk, encoding);
        if (data === null) continue;
        this.#parts.push({ data, encoding });
        this.#length += data.length;
      }
    } catch (error) {
      this.#fail(error);
    }
    if (this.#state === "waiting" && this.#reader.head !== null) {
      this.#state = "collecting";
      process.nextTick(() => this.#answer());
    }
    if (this.#state === "dropping" || this.#state === "over") this.#take();
    const isFull = this.#length > (this.#state === "streaming" ? 0 : WHOLE_LENGTH);
    if (!isFull) return done();
    this.#onTaken = done;
    if (this.#state === "streaming") this.#flush();
  }

  #take(): BodyPart[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#length = 0;
    return parts;
  }

  #answer(): void {
    const { head } = this.#reader;
    if (this.#state !== "collecting" || head === null) return;
    try {
      this.#resolve(this.#toResponse(head));
    } catch (error) {
      this.#fail(error);
    }
  }

  #toResponse(head: NodeHead): Response {
    const { status } = head;
    const statusText = head.statusText === STATUS_CODES[status] ? "" : head.statusText;
    if (this.#method === "HEAD" || NULL_BODY_STATUSES.has(status)) {
      const response = new Response(null, { status, statusText, headers: readFields(head, true) });
      this.#drop();
      return response;
    }
    if (this.#outgoing.writableEnded && this.#length <= WHOLE_LENGTH) {
      const headers = readFields(head, false);
      const response = new Response(toBody(this.#parts, headers), { status, statusText, headers });
      this.#drop();
      return response;
    }
    const headers = readFields(head, true);
    const response = new Response(this.#openStream(), { status, statusText, headers });
    this.#state = "streaming";
    return response;
  }

  /** Drops further writes: the answer is complete. The application may go on until its own end. */
  #drop(): void {
    this.#state = "dropping";
    this.#take();
    this.#release();
  }

  #openStream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#output = controller;
          // A copy: the application may reuse its memory, because its first writes are done already.
          if (this.#parts.length > 0) controller.enqueue(joinParts(this.#take()));
        },
        pull: () => {
          this.#isWanted = true;
          if (this.#parts.length > 0) this.#flush();
          else this.#release();
        },
        cancel: (reason) => {
          this.#output = null;
          this.#leave(reason);
        },
      },
      // Reads nothing ahead, so that the application waits for a slow client.
      { highWaterMark: 0 },
    );
  }

  /** Gives the reader the available bytes, if it waits for some. */
  #flush(): void {
    if (this.#parts.length > 0) {
      if (!this.#isWanted) return;
      this.#isWanted = false;
      this.#output?.enqueue(joinParts(this.#take()));
    }
    if (!this.#isEnded) return;
    this.#output?.close();
    this.#output = null;
  }

  #release(): void {
    const onTaken = this.#onTaken;
    this.#onTaken = null;
    onTaken?.();
  }

  /** The application has written everything. */
  #end(): void {
    if (this.#isEnded || this.#state === "over") return;
    if (this.#state === "collecting") this.#answer();
    if (this.#state === "waiting") return this.#fail(new Error(NO_ANSWER));
    this.#isEnded = true;
    this.#flush();
    this.#close();
    this.#incoming.finish();
    this.#socket.destroy();
  }

  #onDestroy(error: Error | null): void {
    if (this.#state === "over") return;
    this.#close();
    const reason = error ?? new Error(NO_ANSWER);
    this.#reject(reason);
    this.#output?.error(reason);
    this.#output = null;
    this.#release();
    this.#incoming.message.destroy();
  }

  #close(): void {
    this.#state = "over";
    this.#signal.removeEventListener("abort", this.#onAbort);
  }
}

interface BodyPart {
  readonly data: string | Uint8Array;
  readonly encoding: BufferEncoding;
}

const NO_ANSWER =
  "Cannot answer: the application closed the connection before its answer was complete";

/** Fields of the application's connection with Node, which ends here. */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** @param keepLength Whether `content-length` counts. The size of a complete body is known without it. */
function readFields({ fields }: NodeHead, keepLength: boolean): [string, string][] {
  return fields.filter(([name]) => {
    const lower = name.toLowerCase();
    return !CONNECTION_FIELDS.has(lower) && (keepLength || lower !== "content-length");
  });
}

function toBody(
  parts: readonly BodyPart[],
  headers: readonly [string, string][],
): string | Uint8Array | null {
  const [first] = parts;
  if (first === undefined) return null;
  // A string without a `content-type` would get one.
  const isText =
    parts.length === 1 &&
    typeof first.data === "string" &&
    isUtf8(first.encoding) &&
    hasType(headers);
  return isText ? first.data : joinParts(parts);
}

function isUtf8(encoding: string): boolean {
  return encoding === "utf8" || encoding === "utf-8";
}

function hasType(headers: readonly [string, string][]): boolean {
  return headers.some(([name]) => name.toLowerCase() === "content-type");
}

/** Returns a copy: the application may reuse its memory once the write is done. */
function joinParts(parts: readonly BodyPart[]): Uint8Array<ArrayBuffer> {
  return Buffer.concat(
    parts.map(({ data, encoding }) =>
      typeof data === "string" ? Buffer.from(data, encoding) : data,
    ),
  );
}

/** Express uses two words to leave a list of handlers; neither is an error. */
function isPassedOn(error: unknown): boolean {
  return error === undefined || error === null || error === "route" || error === "router";
}

/** Returns the status and fields that an error of `http-errors` and the like has for the client; `null`: none. */
function toRefusal(error: unknown): { status: number; headers: Record<string, string> } | null {
  if (typeof error !== "object" || error === null) return null;
  const { status, statusCode, headers } = error as Readonly<Record<string, unknown>>;
  const code = status ?? statusCode;
  if (typeof code !== "number" || !Number.isInteger(code) || code < 400 || code > 499) return null;
  const fields = typeof headers === "object" && headers !== null ? headers : {};
  return {
    status: code,
    headers: Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, String(value)]),
    ),
  };
}

/**
 * Tells waiting writers that they can continue. In a server the connection does this. It also resets the mark by which
 * `pipe()` and `writableNeedDrain` know that they must wait; the mark has no public name.
 */
function announceDrain(outgoing: ServerResponse): void {
  if (!outgoing.writableNeedDrain) return;
  if (NEED_DRAIN !== undefined) Reflect.set(outgoing, NEED_DRAIN, false);
  outgoing.emit("drain");
}

const NEED_DRAIN = Object.getOwnPropertySymbols(new OutgoingMessage()).find(
  ({ description }) => description === "kNeedDrain",
);

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

function ignore(): void {
  // Replaced by `run`.
}
