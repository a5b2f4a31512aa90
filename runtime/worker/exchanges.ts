import type { AsyncLocalStorage } from "node:async_hooks";
import type { Channel } from "../channel/channel.ts";
import type {
  AbortReason,
  ExchangeId,
  MeasuredRequests,
  RequestMessage,
  RouteNumber,
  ToPrimary,
  ToWorker,
} from "../channel/messages.ts";
import { BODY_FOLLOWS, Kind, QUEUE_METHOD, SCHEDULED_METHOD } from "../channel/messages.ts";
import type { CompressionLevel, StreamEncoder } from "../compress/encoders.ts";
import type { FieldsPlans } from "../compress/plan-answer.ts";
import { isSampled } from "../lib/trace-parent.ts";
import { ExchangeTable } from "../lib/exchange-table.ts";
import { RuntimeError } from "../lib/errors.ts";
import { Waiters } from "../lib/waiters.ts";
import { ExchangeContext, type ExchangeFacts, type WorkerScope } from "./context.ts";
import type { Departures } from "./departures.ts";
import { ExchangeRun, toFailure } from "./exchange-run.ts";
import { noteFound } from "./found-file.ts";
import type { LoadedGeneration } from "./load-handlers.ts";
import type { TraceScope } from "./trace-scope.ts";
import { QueueRun } from "./queue-run.ts";
import type { LoadedRoute } from "./route-table.ts";
import type { Running } from "./running.ts";
import { ScheduledRun } from "./scheduled-run.ts";

export interface ExchangesOptions {
  channel: Channel<ToWorker, ToPrimary>;
  generation: LoadedGeneration;
  scope: WorkerScope;
  /** Returns the scope of a route, where sites have different bindings; `null`: all routes have `scope`. */
  scopeOf: ((route: RouteNumber) => WorkerScope) | null;
  responseCreditBytes: number;
  departures: Departures;
  /** How answers are compressed, unless their route forbids it; `null`: none are. */
  compression: CompressionLevel | null;
  /** The requests whose responses have the time that their handlers took. */
  measures: MeasuredRequests;
  /** Runs handlers within their traces; `null`: requests are not traced, or the project has no OpenTelemetry. */
  traces: Pick<TraceScope, "run"> | null;
  /** Has the exchange whose code runs; `null`: no code asks for it. */
  running: AsyncLocalStorage<Running> | null;
}

/** The exchanges of this worker: starts them, and passes the primary's messages on to them. */
export class Exchanges {
  readonly #options: ExchangesOptions;
  /** Exchanges in flight. An exchange that is answered within its own turn is never added. */
  readonly #inFlight = new ExchangeTable<ExchangeRun | ScheduledRun | QueueRun>();
  /** The streams that are compressed now. */
  readonly #encoders = new Set<StreamEncoder>();
  readonly #plans: FieldsPlans = new Map();
  readonly #idleWaiters = new Waiters();

  constructor(options: ExchangesOptions) {
    this.#options = options;
  }

  /**
   * Runs a request's handler. A response that is ready at once leaves with this turn's frame. A failure is answered 500
   * and harms no other exchange.
   *
   * @throws RuntimeError `ERR_PROTOCOL` when there is no such route.
   */
  run(message: RequestMessage): void {
    const route = this.#routeOf(message);
    try {
      this.#start(message, route);
    } catch (error) {
      const { scope, channel } = this.#options;
      this.#remove(message[1]);
      scope.log.error({ err: error, route: route.pattern }, "exchange failed");
      channel.send(toFailure(message[1]));
    }
  }

  #start(message: RequestMessage, route: LoadedRoute): void {
    const id = message[1];
    const {
      channel,
      scopeOf,
      responseCreditBytes,
      departures,
      compression,
      running,
      measures,
      traces,
    } = this.#options;
    const scope = scopeOf === null ? this.#options.scope : scopeOf(message[2]);
    const { sockets } = scope;
    const timeoutMs = message[8];
    // Reading past the end of an array would be slower.
    const isLong = message.length > 10;
    const facts = {
      id,
      pattern: route.pattern,
      route: message[2],
      params: message[3],
      clientAddress: message[7],
      fields: message[6],
      deadline: timeoutMs === 0 ? null : Date.now() + timeoutMs,
      depth: isLong ? (message[11] ?? 0) : 0,
    };
    const context = new ExchangeContext(scope, facts);
    if (message[4] === SCHEDULED_METHOD) {
      const run = new ScheduledRun({ message, route, context, channel, departures });
      this.#startEvent(run, facts);
      return;
    }
    if (message[4] === QUEUE_METHOD) {
      const run = new QueueRun({ message, route, context, channel, departures });
      this.#startEvent(run, facts);
      return;
    }
    if (isLong && message[10]) noteFound(context, message[10]);
    const exchange = new ExchangeRun({
      message,
      context,
      channel,
      responseCreditBytes,
      departures,
      measures: measures === "all" || (measures === "sampled" && isSampled(message[6])),
      route,
      sockets,
      compression: compression === null || forbids(route, message[4]) ? null : compression,
      encoders: this.#encoders,
      plans: this.#plans,
    });
    // Its body may come before its handler has answered, and even if the handler answers at once.
    const follows = message[9] === BODY_FOLLOWS;
    if (follows) this.#inFlight.add(exchange);
    const done =
      running === null && traces === null
        ? exchange.start(route)
        : this.#startWithin(
            { facts, signal: () => exchange.signal, isAnswered: () => exchange.isAnswered },
            () => exchange.start(route),
          );
    if (done === null) {
      if (follows) this.#remove(id);
      return;
    }
    this.#inFlight.add(exchange);
    void done.then(() => this.#remove(id));
  }

  /** Starts an exchange within the contexts that code of its handler asks for. */
  #startWithin(own: Running, start: () => Promise<void> | null): Promise<void> | null {
    const { running, traces } = this.#options;
    const run = traces === null ? start : () => traces.run(own.facts.fields, start);
    return running === null ? run() : running.run(own, run);
  }

  #startEvent(run: ScheduledRun | QueueRun, facts: ExchangeFacts): void {
    const { running } = this.#options;
    this.#inFlight.add(run);
    let isAnswered = false;
    const own = { facts, signal: () => run.signal, isAnswered: () => isAnswered };
    const done = running === null ? run.start() : running.run(own, () => run.start());
    const end = (): void => {
      isAnswered = true;
      this.#remove(run.id);
    };
    void done.then(end);
  }

  /**
   * The primary gives the exchange up: the handler's `request.signal` aborts. The worker answers that the abort
   * arrived, also if the exchange is over: a worker whose loop is blocked does not tell, and is known by that.
   */
  abort(id: ExchangeId, reason: AbortReason): void {
    this.#options.channel.send([Kind.settled, id]);
    const exchange = this.#inFlight.get(id);
    if (exchange === undefined) return;
    this.#remove(id);
    exchange.abort(reason);
  }

  /** The primary has answered whether it answers a request in place of its handler. */
  passedOn(id: ExchangeId, isTaken: boolean): void {
    const exchange = this.#inFlight.get(id);
    if (isTaken && exchange instanceof ExchangeRun) exchange.passOn();
  }

  requestChunk(id: ExchangeId, bytes: Uint8Array): void {
    this.#inFlight.get(id)?.requestBody?.push(bytes);
  }

  requestEnd(id: ExchangeId): void {
    this.#inFlight.get(id)?.requestBody?.end();
  }

  responseCredit(id: ExchangeId, bytes: number): void {
    this.#inFlight.get(id)?.grant(bytes);
  }

  /** Resolves when every exchange has ended. No more arrive: the primary dispatches none to a draining worker. */
  idle(): Promise<void> {
    return this.#inFlight.size === 0 ? Promise.resolve() : this.#idleWaiters.wait();
  }

  #remove(id: ExchangeId): void {
    if (this.#inFlight.delete(id) && this.#inFlight.size === 0) this.#idleWaiters.release();
  }

  #routeOf(message: RequestMessage): LoadedRoute {
    const number = message[2];
    const { routes, fallbacks } = this.#options.generation;
    const route = number >= 0 ? routes[number] : fallbacks[-1 - number];
    if (route !== undefined) return route;
    throw new RuntimeError("ERR_PROTOCOL", `Cannot run route ${number}: this generation has none`);
  }
}

/** Tells whether the config of a route, or of its method, turns compression off. */
function forbids({ config, methodConfig }: LoadedRoute, method: string): boolean {
  return (methodConfig[method] ?? config).compression === false;
}
