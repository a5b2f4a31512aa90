import type { Channel } from "../channel/channel.ts";
import type {
  AbortReason,
  ExchangeId,
  RequestMessage,
  ResponseMessage,
  ToPrimary,
  ToWorker,
} from "../channel/messages.ts";
import { BODY_FOLLOWS, Kind, MAX_RESPONSE_HEAD } from "../channel/messages.ts";
import { RuntimeError } from "../errors.ts";
import { abortRequest } from "../web/fast-request.ts";
import type { ExchangeContext } from "./context.ts";
import { readResponseParts, type SendableParts } from "./from-response.ts";
import { RequestBody } from "./request-body.ts";
import { ResponseBody } from "./response-body.ts";
import type { LoadedRoute } from "./route-table.ts";
import { runHandler } from "./run-handler.ts";
import { toRequest } from "./to-request.ts";

export interface ExchangeRunOptions {
  message: RequestMessage;
  context: ExchangeContext;
  channel: Channel<ToWorker, ToPrimary>;
  responseCreditBytes: number;
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
  #aborted = false;

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
    this.#request = toRequest(message, this.requestBody);
  }

  /** Runs the handler. `null`: it is over already. Otherwise a promise that resolves when it is, and never rejects. */
  start(route: LoadedRoute): Promise<void> | null {
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
    this.#aborted = true;
    const error = toAbortError(reason);
    abortRequest(this.#request, error);
    this.requestBody?.fail(error);
    this.#responseBody?.cancel(error);
  }

  /** The primary takes so many more bytes of the response. */
  grant(bytes: number): void {
    this.#responseBody?.grant(bytes);
  }

  #send(response: Response): Promise<void> | null {
    try {
      if (this.#aborted) {
        cancelUnsent(response);
        return null;
      }
      return this.#sendParts(readResponseParts(response, this.#method));
    } catch (error) {
      // The handler answered; what it answered with cannot be sent.
      return this.#giveUp(error);
    }
  }

  #sendParts({ status, statusText, fields, body }: SendableParts): Promise<void> | null {
    const { channel, responseCreditBytes } = this.#options;
    const headSize = fields.length + statusText.length;
    if (headSize > MAX_RESPONSE_HEAD) {
      throw new RuntimeError(
        "ERR_HANDLER_BAD_RESPONSE",
        `Cannot send a response: its head has ${headSize} characters, expected at most ${MAX_RESPONSE_HEAD}`,
      );
    }
    if (!(body instanceof ReadableStream)) {
      const size = headSize + (body === null ? 0 : body.length);
      channel.send([Kind.response, this.id, status, statusText, fields, body], size);
      return null;
    }
    const responseBody = new ResponseBody(body, {
      creditBytes: responseCreditBytes,
      send: (bytes) => channel.send([Kind.responseChunk, this.id, bytes], bytes.length),
    });
    channel.send([Kind.response, this.id, status, statusText, fields, BODY_FOLLOWS], headSize);
    this.#responseBody = responseBody;
    return this.#sendBody(responseBody);
  }

  /** Answers that it failed. Nothing was sent before. */
  #giveUp(error: unknown): null {
    this.#options.context.log.error({ err: error }, "response failed");
    if (!this.#aborted) this.#options.channel.send(toFailure(this.id));
    return null;
  }

  async #sendBody(body: ResponseBody): Promise<void> {
    const { channel, context } = this.#options;
    try {
      await body.sendAll();
      if (!this.#aborted) channel.send([Kind.responseEnd, this.id]);
    } catch (error) {
      if (this.#aborted) return;
      context.log.error({ err: error }, "response stream failed");
      channel.send([Kind.responseAbort, this.id]);
    }
  }
}

/** What a client gets when there is nothing else that could be sent. */
export function toFailure(id: ExchangeId): ResponseMessage {
  const fields = "content-type\ntext/plain;charset=UTF-8";
  return [Kind.response, id, 500, "", fields, "Internal Server Error\n"];
}

/** Whoever made the stream is told that nobody reads it. */
function cancelUnsent(response: Response): void {
  response.body?.cancel().catch(() => {});
}

function toAbortError(reason: AbortReason): DOMException {
  switch (reason) {
    case "client-left":
      return new DOMException("The client left, or was cut off", "AbortError");
    case "body-too-large":
      return new DOMException("The request body is longer than its limit", "AbortError");
    case "deadline":
      return new DOMException("The deadline of the request has passed", "TimeoutError");
    case "shutdown":
      return new DOMException("The server shuts down", "AbortError");
  }
}
