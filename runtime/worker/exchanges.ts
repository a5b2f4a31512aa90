import type { Channel } from "../channel/channel.ts";
import type {
  AbortReason,
  ExchangeId,
  RequestMessage,
  ResponseMessage,
  ToPrimary,
  ToWorker,
} from "../channel/messages.ts";
import { Kind } from "../channel/messages.ts";
import { RuntimeError } from "../errors.ts";
import { Waiters } from "../waiters.ts";
import { abortRequest } from "../web/fast-request.ts";
import { ExchangeContext, type WorkerScope } from "./context.ts";
import { fromResponse } from "./from-response.ts";
import type { LoadedGeneration } from "./load-handlers.ts";
import type { LoadedRoute } from "./route-table.ts";
import { runHandler } from "./run-handler.ts";
import { toRequest } from "./to-request.ts";

export interface ExchangesOptions {
  channel: Channel<ToWorker, ToPrimary>;
  generation: LoadedGeneration;
  scope: WorkerScope;
  responseLimitBytes: number;
}

/**
 * Runs handlers for the requests that arrive and sends back what they answer.
 *
 * Each exchange ends in one `response` message, unless the primary aborts it first; then nothing is sent.
 */
export class Exchanges {
  readonly #options: ExchangesOptions;
  /** Those whose handler has not answered yet. Synchronous handlers never get here. */
  readonly #inFlight = new Map<ExchangeId, Request>();
  readonly #idleWaiters = new Waiters();

  constructor(options: ExchangesOptions) {
    this.#options = options;
  }

  /** Answers a request; a response that is there at once leaves with this turn's frame. */
  run(message: RequestMessage): void {
    const id = message[1];
    const route = this.#routeOf(message);
    const context = new ExchangeContext(this.#options.scope, {
      id,
      pattern: route.pattern,
      params: message[3],
      clientAddress: message[7],
      deadline: null,
    });
    const request = toRequest(message);
    const answer = this.#answer(id, message[4], runHandler(route, request, context));
    if (!(answer instanceof Promise)) {
      this.#send(answer);
      return;
    }
    this.#inFlight.set(id, request);
    answer.then(
      (response) => this.#settle(id, response),
      (error: unknown) => {
        // The handler answered; what it answered with cannot be sent.
        if (this.#inFlight.has(id)) context.log.error({ err: error }, "response failed");
        this.#settle(id, failed(id));
      },
    );
  }

  /** The primary takes no more interest: the handler's `request.signal` aborts. */
  abort(id: ExchangeId, reason: AbortReason): void {
    const request = this.#inFlight.get(id);
    if (request === undefined) return;
    this.#inFlight.delete(id);
    abortRequest(request, toAbortError(reason));
    this.#checkIdle();
  }

  /** Resolves when every exchange has ended. No more arrive: the primary dispatches none to a draining worker. */
  idle(): Promise<void> {
    return this.#inFlight.size === 0 ? Promise.resolve() : this.#idleWaiters.wait();
  }

  #answer(
    id: ExchangeId,
    method: string,
    response: Response | Promise<Response>,
  ): ResponseMessage | Promise<ResponseMessage> {
    const options = { method, limitBytes: this.#options.responseLimitBytes };
    if (response instanceof Promise) {
      return response.then((value) => fromResponse(id, value, options));
    }
    try {
      return fromResponse(id, response, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #settle(id: ExchangeId, message: ResponseMessage): void {
    if (!this.#inFlight.delete(id)) return;
    this.#send(message);
    this.#checkIdle();
  }

  #send(message: ResponseMessage): void {
    const body = message[5];
    this.#options.channel.send(
      message,
      typeof body === "object" && body !== null ? body.length : 0,
    );
  }

  #checkIdle(): void {
    if (this.#inFlight.size === 0) this.#idleWaiters.release();
  }

  #routeOf(message: RequestMessage): LoadedRoute {
    const number = message[2];
    const { routes, fallbacks } = this.#options.generation;
    const route = number >= 0 ? routes[number] : fallbacks[-1 - number];
    if (route !== undefined) return route;
    throw new RuntimeError("ERR_PROTOCOL", `Cannot run route ${number}: this generation has none`);
  }
}

function failed(id: ExchangeId): ResponseMessage {
  const fields = "content-type\ntext/plain;charset=UTF-8";
  return [Kind.response, id, 500, "", fields, "Internal Server Error\n"];
}

function toAbortError(reason: AbortReason): DOMException {
  switch (reason) {
    case "client-left":
      return new DOMException("The client left", "AbortError");
    case "deadline":
      return new DOMException("The deadline of the request has passed", "TimeoutError");
    case "shutdown":
      return new DOMException("The server shuts down", "AbortError");
  }
}
