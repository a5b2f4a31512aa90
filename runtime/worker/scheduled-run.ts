import type { Channel } from "../channel/channel.ts";
import type {
  AbortReason,
  ExchangeId,
  RequestMessage,
  RouteNumber,
  ToPrimary,
  ToWorker,
} from "../channel/messages.ts";
import { Kind, SCHEDULED_FIELDS } from "../channel/messages.ts";
import type { ScheduledEvent } from "../api.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { ExchangeContext } from "./context.ts";
import type { Departures } from "./departures.ts";
import { parseFields } from "../web/fields.ts";
import { toAbortError } from "./abort-error.ts";
import { locateError } from "./error-location.ts";
import { reportFailure } from "./report-failure.ts";
import type { LoadedRoute } from "./route-table.ts";

export interface ScheduledRunOptions {
  /** A request with the method `SCHEDULED_METHOD`. */
  message: RequestMessage;
  route: LoadedRoute;
  context: ExchangeContext;
  channel: Channel<ToWorker, ToPrimary>;
  departures: Departures;
}

/**
 * One run of `scheduled()` in a worker. It sends one response without a body, and nothing once it is aborted.
 *
 *     running ──ended or failed──▶ answered
 *        └────── abort by the primary ──▶ aborted
 */
export class ScheduledRun {
  readonly id: ExchangeId;
  readonly route: RouteNumber;
  /** A run has no body. */
  readonly requestBody = null;
  readonly #options: ScheduledRunOptions;
  readonly #stop = new AbortController();

  constructor(options: ScheduledRunOptions) {
    const { message } = options;
    this.id = message[1];
    this.route = message[2];
    this.#options = options;
  }

  /** Aborts when the time of the run is over. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Runs the function. Resolves when it has ended, and never rejects. */
  async start(): Promise<void> {
    const { message, route, context, channel } = this.#options;
    const fields = parseFields(message[6]);
    const handler = Number(fields.get(SCHEDULED_FIELDS.handler));
    const target = route.scheduled?.get(handler);
    const event: ScheduledEvent = {
      type: "scheduled",
      cron: fields.get(SCHEDULED_FIELDS.cron) ?? "",
      scheduledTime: Number(fields.get(SCHEDULED_FIELDS.time)),
      signal: this.#stop.signal,
      noRetry: () => {},
    };
    let status = 204;
    try {
      if (target === undefined) {
        const problem = `Cannot run scheduled(): ${route.pattern} has none`;
        throw new RuntimeError("ERR_PROTOCOL", problem);
      }
      await target.call(event, context.env, context);
    } catch (err) {
      status = 500;
      if (this.#stop.signal.aborted) context.log.debug({ reason: String(err) }, "run aborted");
      else {
        const handlerName = target?.source ?? "";
        const own = { err, code: "ERR_HANDLER_THREW", handler: handlerName, cron: event.cron };
        context.log.error(own, "scheduled() failed");
        const failure = { error: err, handler: handlerName, position: locateError(err) };
        reportFailure({ context, route }, failure);
      }
    }
    if (!this.#stop.signal.aborted) channel.send([Kind.response, this.id, status, "", "", null]);
  }

  /** The primary does not wait for it any longer: `event.signal` aborts. */
  abort(reason: AbortReason): void {
    const error = toAbortError(reason);
    const { departures, context } = this.#options;
    departures.add(error, { reason, log: () => context.log });
    this.#stop.abort(error);
  }

  /** Does nothing: its response has no body. */
  grant(): void {}
}
