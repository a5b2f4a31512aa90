import type { Channel } from "../channel/channel.ts";
import {
  type AbortReason,
  BODY_FOLLOWS,
  type ExchangeId,
  Kind,
  QUEUE_FIELDS,
  type RequestMessage,
  type RouteNumber,
  type ToPrimary,
  type ToWorker,
} from "../channel/messages.ts";
import { decodeBatch, encodeVerdicts } from "../channel/queue-batch.ts";
import { RuntimeError } from "../lib/errors.ts";
import { parseFields } from "../web/fields.ts";
import { toAbortError } from "./abort-error.ts";
import type { ExchangeContext } from "./context.ts";
import type { Departures } from "./departures.ts";
import { locateError } from "./error-location.ts";
import { openBatch, type OpenBatch } from "./queue-batch.ts";
import { reportFailure } from "./report-failure.ts";
import type { LoadedRoute } from "./route-table.ts";

export interface QueueRunOptions {
  /** A request with the method `QUEUE_METHOD`. */
  message: RequestMessage;
  route: LoadedRoute;
  context: ExchangeContext;
  channel: Channel<ToWorker, ToPrimary>;
  departures: Departures;
}

/**
 * One batch of `queue()` in a worker. It sends one response with the words of the handler on its messages, and nothing once it
 * is aborted.
 *
 *     running ──ended or failed──▶ answered
 *        └────── abort by the primary ──▶ aborted
 */
export class QueueRun {
  readonly id: ExchangeId;
  readonly route: RouteNumber;
  /** The batch came with the request. */
  readonly requestBody = null;
  readonly #options: QueueRunOptions;
  readonly #stop = new AbortController();

  constructor(options: QueueRunOptions) {
    const { message } = options;
    this.id = message[1];
    this.route = message[2];
    this.#options = options;
  }

  /** Aborts when the primary does not wait for the batch any longer. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Runs the function. Resolves when it has ended, and never rejects. */
  async start(): Promise<void> {
    const { message, route, context, channel } = this.#options;
    const fields = parseFields(message[6]);
    const target = route.queues?.get(Number(fields.get(QUEUE_FIELDS.handler)));
    const queue = fields.get(QUEUE_FIELDS.queue) ?? "";
    let opened: OpenBatch | null = null;
    let status = 200;
    try {
      const body = message[9];
      if (target === undefined || body === BODY_FOLLOWS || body === null) {
        const found = target === undefined ? `${route.pattern} has none` : "it has no batch";
        throw new RuntimeError("ERR_PROTOCOL", `Cannot run queue(): ${found}`);
      }
      opened = openBatch(decodeBatch(body), { queue, signal: this.#stop.signal });
      await target.call(opened.batch, context.env, context);
    } catch (err) {
      status = 500;
      if (this.#stop.signal.aborted) context.log.debug({ reason: String(err) }, "batch aborted");
      else {
        const handlerName = target?.source ?? "";
        const own = { err, code: "ERR_HANDLER_THREW", handler: handlerName, queue };
        context.log.error(own, "queue() failed");
        const failure = { error: err, handler: handlerName, position: locateError(err) };
        reportFailure({ context, route }, failure);
      }
    }
    if (this.#stop.signal.aborted) return;
    const body = encodeVerdicts(opened?.verdicts ?? []);
    channel.send([Kind.response, this.id, status, "", "", body]);
  }

  /** The primary does not wait for it any longer: `batch.signal` aborts. */
  abort(reason: AbortReason): void {
    const error = toAbortError(reason);
    const { departures, context } = this.#options;
    departures.add(error, { reason, log: () => context.log });
    this.#stop.abort(error);
  }

  /** Does nothing: its response is sent at once. */
  grant(): void {}
}
