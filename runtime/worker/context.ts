import type { Logger } from "pino";
import type { Context, Environment, Params } from "../api.ts";
import {
  MAX_OPENING,
  MAX_TOPIC_LENGTH,
  MAX_TOPICS,
  type ExchangeId,
  type RouteNumber,
} from "../channel/messages.ts";
import { findGivenRequestId, toRequestId } from "../lib/request-id.ts";
import { toEventResponse } from "../web/event-response.ts";
import type { ServerSocket } from "../web/server-socket.ts";
import { upgradeOf } from "../web/upgrade-response.ts";
import type { BackgroundWork } from "./background-work.ts";
import type { PassedRequests } from "./passed-requests.ts";
import type { Purges } from "./purges.ts";
import type { WorkerSockets } from "./sockets.ts";
import { endUnopened } from "./unopened-socket.ts";

/** The parts that all exchanges of a worker share. */
export interface WorkerScope {
  readonly env: Environment;
  readonly log: Logger;
  /** Goes before an exchange's number, in base 36, to make its request id. */
  readonly requestIdPrefix: string;
  /** Whether a request may bring the id that a trusted proxy gave it. */
  readonly trustsRequestIds: boolean;
  readonly background: BackgroundWork;
  readonly purges: Pick<Purges, "purge">;
  readonly sockets: Pick<WorkerSockets, "accept" | "publish">;
  readonly passed: Pick<PassedRequests, "ask">;
}

/** The facts about one exchange when it arrives. */
export interface ExchangeFacts {
  readonly id: ExchangeId;
  readonly pattern: string;
  /** Number of its route. */
  readonly route: RouteNumber;
  readonly params: Params | null;
  readonly clientAddress: string;
  /** Field block of the request. */
  readonly fields: string;
  readonly deadline: number | null;
  /** How many calls of handlers have led to it; absent: a client sent the request. */
  readonly depth?: number;
}

const NO_PARAMS: Params = Object.freeze(withoutPrototype({}));
const EVENT_STREAM_BOUNDS = {
  topics: MAX_TOPICS,
  topicLength: MAX_TOPIC_LENGTH,
  opening: MAX_OPENING,
} as const;
const NO_PROPS = Object.freeze({});

/**
 * The `Context` of one exchange. There is one for each exchange, so it only stores its arguments. Everything else is
 * created when a handler asks for it (15 ns with its params; a pino child alone would be 350 ns).
 */
export class ExchangeContext implements Context {
  readonly #scope: WorkerScope;
  readonly #facts: ExchangeFacts;
  #params: Params | null = null;
  #log: Logger | null = null;
  #passesOn = false;
  /** WebSockets of responses that middleware got; `null`: none. */
  #offered: Set<ServerSocket> | null = null;
  #isAnswered = false;

  constructor(scope: WorkerScope, facts: ExchangeFacts) {
    this.#scope = scope;
    this.#facts = facts;
  }

  /** Returns the facts about the exchange of a context. */
  static factsOf(context: ExchangeContext): ExchangeFacts {
    return context.#facts;
  }

  /**
   * Asks the primary to answer a request whose handler failed. Resolves to `true` when it does: the worker then sends nothing.
   *
   * @returns `null` unless the handler has called `passThroughOnException()`, and for each call after the first.
   */
  static passOn(context: Context): Promise<boolean> | null {
    if (!(#passesOn in context) || !context.#passesOn) return null;
    // A failure of the answer to the failure must not ask again.
    context.#passesOn = false;
    return context.#scope.passed.ask(context.#facts.id);
  }

  /**
   * Notes the WebSocket of a response that middleware gets from `next()`. If the exchange is answered already, the WebSocket ends:
   * its client will never have it.
   */
  static offer(context: Context, response: Response): void {
    const socket = upgradeOf(response);
    if (socket === null || !(#offered in context)) return;
    if (context.#isAnswered) endUnopened(socket);
    else (context.#offered ??= new Set()).add(socket);
  }

  /** Notes the response that answers the exchange. Ends the WebSockets that middleware got and has left out. */
  static answer(context: ExchangeContext, response: Response): void {
    context.#isAnswered = true;
    if (context.#offered === null) return;
    const kept = upgradeOf(response);
    for (const socket of context.#offered) if (socket !== kept) endUnopened(socket);
    context.#offered = null;
  }

  /** Without a prototype: a missing parameter is `undefined`, also one that is called `constructor`. */
  get params(): Params {
    if (this.#params !== null) return this.#params;
    const { params } = this.#facts;
    this.#params = params === null ? NO_PARAMS : withoutPrototype(params);
    return this.#params;
  }

  get env(): Environment {
    return this.#scope.env;
  }

  get clientAddress(): string {
    return this.#facts.clientAddress;
  }

  get deadline(): number | null {
    return this.#facts.deadline;
  }

  get requestId(): string {
    const { requestIdPrefix, trustsRequestIds } = this.#scope;
    const given = trustsRequestIds ? findGivenRequestId(this.#facts.fields) : null;
    return given ?? toRequestId(requestIdPrefix, this.#facts.id);
  }

  get log(): Logger {
    this.#log ??= this.#scope.log.child({ requestId: this.requestId, route: this.#facts.pattern });
    return this.#log;
  }

  get props(): Readonly<Record<string, never>> {
    return NO_PROPS;
  }

  /** A getter, so that `const { waitUntil } = context` works. Only handlers that use it pay for the closure. */
  get waitUntil(): (promise: Promise<unknown>) => void {
    return (promise) =>
      this.#scope.background.add(promise, {
        route: this.#facts.pattern,
        onFailure: (reason) => {
          this.log.error({ err: reason }, "waitUntil() promise was rejected");
        },
      });
  }

  get purge(): (entries: string | URL) => Promise<number> {
    return (entries) => this.#scope.purges.purge(this.#facts.route, entries);
  }

  get publish(): Context["publish"] {
    return (topic, data) => this.#scope.sockets.publish(this.#facts.route, topic, data);
  }

  get sse(): Context["sse"] {
    return (topics, init = {}) => toEventResponse(topics, init, EVENT_STREAM_BOUNDS);
  }

  get passThroughOnException(): () => void {
    return () => {
      this.#passesOn = true;
    };
  }
}

/** A frozen copy without prototype of `variables`: later changes of `process.env` do not reach handlers half-way. */
export function toEnv(variables: NodeJS.ProcessEnv = process.env): Environment {
  return Object.freeze(withoutPrototype(variables));
}

function withoutPrototype<T extends object>(value: T): T {
  return Object.assign(Object.create(null) as T, value);
}
