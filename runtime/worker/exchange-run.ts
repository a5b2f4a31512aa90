import type { Channel } from "../channel/channel.ts";
import type {
  AbortReason,
  ExchangeId,
  RequestMessage,
  ResponseMessage,
  ToPrimary,
  ToWorker,
} from "../channel/messages.ts";
import { addHandlerTime } from "../channel/handler-time.ts";
import { BODY_FOLLOWS, Kind, MAX_RESPONSE_HEAD } from "../channel/messages.ts";
import { toPlainConditions } from "../compress/coded-tag.ts";
import { LEAST_BYTES } from "../compress/compressible.ts";
import {
  ANSWER_CODINGS,
  type CompressionLevel,
  encodeAnswer,
  MOST_STREAMS,
  StreamEncoder,
} from "../compress/encoders.ts";
import { type AnswerPlan, type FieldsPlans, planAnswer } from "../compress/plan-answer.ts";
import { RuntimeError } from "../lib/errors.ts";
import { monotonicMs } from "../lib/monotonic.ts";
import { abortRequest } from "../web/fast-request.ts";
import { FOUND } from "../web/file-stream.ts";
import { ExchangeContext } from "./context.ts";
import type { Departures } from "./departures.ts";
import { toAbortError } from "./abort-error.ts";
import { readResponseParts, type SendableParts } from "./from-response.ts";
import { SWITCHING, upgradeOf } from "../web/upgrade-response.ts";
import { RequestBody } from "./request-body.ts";
import { ResponseBody } from "./response-body.ts";
import type { LoadedRoute } from "./route-table.ts";
import type { WorkerSockets } from "./sockets.ts";
import { runHandler } from "./run-handler.ts";
import { toRequest } from "./to-request.ts";
import { endUnopened } from "./unopened-socket.ts";

export interface ExchangeRunOptions {
  message: RequestMessage;
  context: ExchangeContext;
  channel: Channel<ToWorker, ToPrimary>;
  responseCreditBytes: number;
  departures: Departures;
  /** Whether the response has the time that the handler took. */
  measures: boolean;
  route: LoadedRoute;
  sockets: Pick<WorkerSockets, "accept">;
  /** How answers are compressed; `null`: they are not. */
  compression: CompressionLevel | null;
  /** The streams that this worker compresses. */
  encoders: Set<StreamEncoder>;
  /** Decisions about compression, by the fields of answers. */
  plans: FieldsPlans;
}

/**
 * One exchange in a worker.
 *
 *     running ──whole response──▶ ended
 *        └──response with a stream──▶ sending ──end, or failure of the stream──▶ ended
 *        └──────────────────────────────┴── abort by the primary ──────────────────▲
 *
 * Invariant: it sends either one whole response, or a head, chunks, and an end or an abort; once aborted, nothing.
 */
export class ExchangeRun {
  /** `null`: the body came with the request, or there is none. */
  readonly requestBody: RequestBody | null;
  readonly id: ExchangeId;
  readonly #method: string;
  readonly #options: ExchangeRunOptions;
  readonly #request: Request;
  #responseBody: ResponseBody | null = null;
  /** The body stream of the handler's response. */
  #stream: ReadableStream | null = null;
  /** When the handler began, by the monotonic clock of the system; `null`: it is not measured. */
  #startedMs: number | null = null;
  /** When the handler had its response; `null`: not yet. */
  #answeredMs: number | null = null;
  /** Why it was aborted; `null`: it was not. */
  #abortError: Error | null = null;
  #isAnswered = false;

  constructor(options: ExchangeRunOptions) {
    const { message, channel } = options;
    const id = message[1];
    this.id = id;
    this.#method = message[4];
    this.#options = options;
    this.requestBody =
      message[9] === BODY_FOLLOWS
        ? new RequestBody((bytes) => channel.send([Kind.requestCredit, id, bytes]))
        : null;
    this.#request = toRequest(
      options.compression === null ? message : withPlainConditions(message),
      this.requestBody,
    );
  }

  /** Aborts when the client leaves or the time is over. */
  get signal(): AbortSignal {
    return this.#request.signal;
  }

  /** Tells whether the handler has ended, with a response or an error. The stream of its response may go on. */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** Runs the handler. `null`: it is over already. Otherwise a promise that resolves when it is, and never rejects. */
  start(route: LoadedRoute): Promise<void> | null {
    if (this.#options.measures) this.#startedMs = monotonicMs();
    let response: Response | Promise<Response>;
    try {
      response = runHandler(route, this.#request, this.#options.context);
    } catch (error) {
      return this.#giveUp(error);
    }
    return response instanceof Promise
      ? response.then(
          (value) => this.#send(value) ?? undefined,
          (error: unknown) => this.#giveUp(error) ?? undefined,
        )
      : this.#send(response);
  }

  /** The primary takes no more interest. */
  abort(reason: AbortReason): void {
    const error = toAbortError(reason);
    const { context, departures } = this.#options;
    this.#abortError = error;
    departures.add(error, { reason, log: () => context.log });
    abortRequest(this.#request, error);
    this.requestBody?.fail(error);
    this.#responseBody?.cancel(error);
    if (this.#stream !== null) departures.watch(this.#stream, error);
  }

  /** The primary answers the request in place of the handler. Nothing is aborted: background work of the handler goes on. */
  passOn(): void {
    this.#abortError = new RuntimeError(
      "ERR_HANDLER_THREW",
      "Cannot answer: the request is passed on",
    );
    this.requestBody?.fail(this.#abortError);
  }

  /** The primary takes so many more bytes of the response. */
  grant(bytes: number): void {
    this.#responseBody?.grant(bytes);
  }

  #send(response: Response): Promise<void> | null {
    this.#isAnswered = true;
    if (this.#startedMs !== null) this.#answeredMs = monotonicMs();
    ExchangeContext.answer(this.#options.context, response);
    try {
      if (this.#abortError !== null) {
        this.#cancelUnsent(response, this.#abortError);
        return null;
      }
      const parts = readResponseParts(response, this.#method);
      if (parts.status === SWITCHING) return this.#upgrade(parts);
      const plan = this.#plan(parts);
      return plan === null ? this.#sendParts(parts) : this.#sendPlanned(parts, plan);
    } catch (error) {
      // The handler answered, but its answer cannot be sent.
      return this.#giveUp(error);
    }
  }

  /** Answers with a WebSocket. The exchange is over. */
  #upgrade({ webSocket, fields }: SendableParts): null {
    const { sockets, route, context, message } = this.#options;
    if (webSocket === undefined) throw new TypeError("a response 101 has no WebSocket");
    try {
      sockets.accept({
        id: this.id,
        socket: webSocket,
        context,
        hooks: route.sockets,
        url: message[5],
        requestFields: message[6],
        fields,
      });
    } catch (error) {
      endUnopened(webSocket);
      throw error;
    }
    return null;
  }

  /** The stream, or the WebSocket, is told that no client is there. */
  #cancelUnsent(response: Response, error: Error): void {
    const socket = upgradeOf(response);
    if (socket !== null) endUnopened(socket);
    const { body } = response;
    if (body === null) return;
    body.cancel(error).catch(() => {});
    this.#options.departures.watch(body, error);
  }

  /** Returns how the answer is compressed; `null`: it is sent as it is. Small answers cost a comparison. */
  #plan({ status, fields, body, wholeBytes, file, topics }: SendableParts): AnswerPlan | null {
    const { compression, message, plans } = this.#options;
    if (compression === null || file !== undefined || topics !== undefined) return null;
    const isStream = body instanceof ReadableStream;
    const isShort = !isStream && body !== null && body.length < LEAST_BYTES;
    if (isShort || (body === null && status !== 304 && this.#method !== "HEAD")) return null;
    // Characters that take several bytes make no difference here.
    const ownBytes = isStream || body === null ? wholeBytes : body.length;
    const sizeBytes = ownBytes ?? (status === 304 ? null : announcedLength(fields));
    // The answer to GET may be too small.
    if (this.#method === "HEAD" && status !== 304 && sizeBytes === null) return null;
    return planAnswer({ status, fields, sizeBytes }, message[6], ANSWER_CODINGS, plans);
  }

  #sendPlanned(parts: SendableParts, plan: AnswerPlan): Promise<void> | null {
    const { compression, encoders } = this.#options;
    const { coding, fields, plainFields } = plan;
    const { body } = parts;
    if (coding === null || compression === null) return this.#sendParts({ ...parts, fields });
    if (body instanceof ReadableStream && encoders.size >= MOST_STREAMS) {
      return this.#sendParts({ ...parts, fields: plainFields });
    }
    // Without its body, so that no length of it is announced.
    if (this.#method === "HEAD") return this.#sendParts({ ...parts, fields, body: null });
    if (body instanceof ReadableStream) {
      const announcedBytes = parts.wholeBytes ?? announcedLength(parts.fields);
      return this.#sendParts(
        { ...parts, fields },
        { announcedBytes, encode: () => new StreamEncoder(coding, compression) },
      );
    }
    const bytes = typeof body === "string" ? Buffer.from(body) : (body ?? NO_BYTES);
    const send = (coded: Uint8Array): Promise<void> | null =>
      this.#sendParts(
        coded.length < bytes.length
          ? { ...parts, fields, body: coded }
          : { ...parts, fields: plainFields },
      );
    const encoded = encodeAnswer(bytes, coding, compression);
    return encoded instanceof Promise ? this.#sendLater(encoded, send) : send(encoded);
  }

  async #sendLater(
    encoded: Promise<Buffer>,
    send: (coded: Uint8Array) => Promise<void> | null,
  ): Promise<void> {
    try {
      const coded = await encoded;
      if (this.#abortError === null) await send(coded);
    } catch (error) {
      await this.#giveUp(error);
    }
  }

  #sendParts(
    parts: SendableParts,
    stream: { announcedBytes: number | null; encode: () => StreamEncoder } | null = null,
  ): Promise<void> | null {
    const { status, statusText, fields, body, wholeBytes, file, topics } = parts;
    const { channel, responseCreditBytes } = this.#options;
    const headSize = fields.length + statusText.length;
    if (headSize > MAX_RESPONSE_HEAD) {
      throw new RuntimeError(
        "ERR_HANDLER_BAD_RESPONSE",
        `Cannot send a response: its head has ${headSize} characters, expected at most ${MAX_RESPONSE_HEAD}`,
      );
    }
    if (file !== undefined) {
      const path = file === FOUND ? null : file;
      const head = this.#measured(fields);
      channel.send([Kind.responsePath, this.id, status, statusText, head, path], headSize);
      return null;
    }
    if (topics !== undefined) {
      const head = this.#measured(fields);
      const { topics: names, opening } = topics;
      const size = headSize + opening.length * 3;
      channel.send([Kind.responseTopics, this.id, status, statusText, head, names, opening], size);
      return null;
    }
    const announcedBytes = fields.includes("length\n") ? announcedLength(fields) : null;
    if (announcedBytes !== null) this.#compareLength(announcedBytes, parts);
    if (!(body instanceof ReadableStream)) {
      const size = headSize + (body === null ? 0 : body.length);
      const head = this.#measured(fields);
      channel.send([Kind.response, this.id, status, statusText, head, body], size);
      return null;
    }
    const encoder = stream === null ? null : stream.encode();
    if (encoder !== null) this.#options.encoders.add(encoder);
    const responseBody = new ResponseBody(body, {
      creditBytes: responseCreditBytes,
      announcedBytes: stream === null ? (wholeBytes ?? announcedBytes) : stream.announcedBytes,
      isCoded: stream === null && fields.includes("content-encoding\n"),
      encoder,
      onEncoded: (each) => this.#options.encoders.delete(each),
      send: (bytes) => channel.send([Kind.responseChunk, this.id, bytes], bytes.length),
    });
    const head = this.#measured(fields);
    channel.send([Kind.response, this.id, status, statusText, head, BODY_FOLLOWS], headSize);
    this.#responseBody = responseBody;
    this.#stream = body;
    return this.#sendBody(responseBody);
  }

  /** Returns the fields with the time that the handler took, if it was measured. */
  #measured(fields: string): string {
    const startedMs = this.#startedMs;
    if (startedMs === null) return fields;
    return addHandlerTime(fields, {
      startMs: startedMs,
      durationMs: (this.#answeredMs ?? monotonicMs()) - startedMs,
    });
  }

  /** A whole body is sent with its own length. That the handler says otherwise is worth a line. */
  #compareLength(announcedBytes: number, { status, body, wholeBytes }: SendableParts): void {
    if (body instanceof ReadableStream && wholeBytes === undefined) return;
    if (body === null && (this.#method === "HEAD" || status === 204 || status === 304)) return;
    const isText = typeof body === "string" || body instanceof Uint8Array;
    const bytes = wholeBytes ?? (isText ? Buffer.byteLength(body) : 0);
    if (bytes === announcedBytes) return;
    const { log } = this.#options.context;
    log.warn({ announcedBytes, bytes }, "content-length of a response corrected: its body differs");
  }

  /** Answers that it failed, unless the request is passed on. Nothing was sent before. */
  #giveUp(error: unknown): Promise<void> | null {
    this.#isAnswered = true;
    const { context } = this.#options;
    context.log.error({ err: error }, "response failed");
    if (this.#abortError !== null) return null;
    const passing = ExchangeContext.passOn(context);
    if (passing !== null) return passing.then(() => this.#sendFailure());
    this.#sendFailure();
    return null;
  }

  #sendFailure(): void {
    if (this.#abortError === null) this.#options.channel.send(toFailure(this.id));
  }

  async #sendBody(body: ResponseBody): Promise<void> {
    const { channel, context } = this.#options;
    try {
      await body.sendAll();
      if (this.#abortError === null) channel.send([Kind.responseEnd, this.id]);
    } catch (error) {
      if (this.#abortError !== null) return;
      const code = error instanceof RuntimeError ? error.code : "ERR_HANDLER_THREW";
      context.log.error({ err: error, code }, "response stream failed");
      channel.send([Kind.responseAbort, this.id]);
    }
  }
}

const NO_BYTES = new Uint8Array();

/** Returns the request with the tags of its handler in its conditions. */
function withPlainConditions(message: RequestMessage): RequestMessage {
  const fields = message[6];
  if (!fields.includes("-match\n")) return message;
  const [kind, id, route, params, method, url, , ...rest] = message;
  return [kind, id, route, params, method, url, toPlainConditions(fields), ...rest];
}

/** Reads the size of the body that the handler announces; `null`: none, or no number. */
function announcedLength(fields: string): number | null {
  const value = /(?:^|\n)content-length\n(\d+)(?:\n|$)/.exec(fields)?.[1];
  return value === undefined ? null : Number(value);
}

/** Returns the response for a client when no other one can be sent. */
export function toFailure(id: ExchangeId): ResponseMessage {
  const fields = "content-type\ntext/plain;charset=UTF-8";
  return [Kind.response, id, 500, "", fields, "Internal Server Error\n"];
}
