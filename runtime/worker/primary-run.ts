import type { Channel } from "../channel/channel.ts";
import type {
  AbortReason,
  ExchangeId,
  RequestMessage,
  RouteNumber,
  ToPrimary,
  ToWorker,
} from "../channel/messages.ts";
import { toAbortError } from "./abort-error.ts";
import type { ExchangeContext } from "./context.ts";
import type { Departures } from "./departures.ts";
import { locateError } from "./error-location.ts";
import { reportFailure } from "./report-failure.ts";
import type { LoadedRoute } from "./route-table.ts";

export interface PrimaryRunOptions {
  /** A request with a method of the primary. */
  message: RequestMessage;
  route: LoadedRoute;
  context: ExchangeContext;
  channel: Channel<ToWorker, ToPrimary>;
  departures: Departures;
}

/**
 * One run of a function that the primary itself asks for, in a worker: `scheduled()`, `queue()`. It sends one whole response, and
 * nothing once it is aborted.
 *
 *     running ──ended or failed──▶ answered
 *        └────── abort by the primary ──▶ aborted
 */
export abstract class PrimaryRun {
  readonly id: ExchangeId;
  readonly route: RouteNumber;
  /** All of the request came with its message. */
  readonly requestBody = null;
  protected readonly options: PrimaryRunOptions;
  readonly #stop = new AbortController();

  constructor(options: PrimaryRunOptions) {
    const { message } = options;
    this.id = message[1];
    this.route = message[2];
    this.options = options;
  }

  /** Aborts when the primary does not wait for the run any longer. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Runs the function. Resolves when it has ended, and never rejects. */
  abstract start(): Promise<void>;

  /** The primary does not wait for it any longer. */
  abort(reason: AbortReason): void {
    const error = toAbortError(reason);
    const { departures, context } = this.options;
    departures.add(error, { reason, log: () => context.log });
    this.#stop.abort(error);
  }

  /** Does nothing: its response is sent at once. */
  grant(): void {}

  /**
   * Logs and reports an error of the function. After an abort, errors are a consequence of it.
   *
   * @param failed The function and the file that has it, `name()` and `file`; `fields` for the log.
   */
  protected noteError(err: unknown, failed: { name: string; file: string; fields: object }): void {
    const { route, context } = this.options;
    const { name, file: handler, fields } = failed;
    if (this.signal.aborted) {
      context.log.debug({ reason: String(err) }, `${name} aborted`);
      return;
    }
    context.log.error({ err, code: "ERR_HANDLER_THREW", handler, ...fields }, `${name} failed`);
    reportFailure({ context, route }, { error: err, handler, position: locateError(err) });
  }
}
