/**
 * The exports of the package `edgicorn` for handlers: types, and functions that give an export its type and return it
 * unchanged. Handlers need none of them at run time: a handler without a single import works as well.
 */
import type { Logger } from "pino";
import type { HandlerSettings } from "./config/handler-settings.ts";
import type { EventStreamInit } from "./web/event-response.ts";
import type { ServerSocket } from "./web/server-socket.ts";

export type { EventStreamInit, Logger, ServerSocket };
export type { Counter } from "./bindings/counter.ts";
export type {
  KvGetOptions,
  KvListOptions,
  KvListResult,
  KvNamespace,
  KvPutOptions,
  KvType,
  KvValue,
} from "./bindings/kv-namespace.ts";
export type { Lock, LockOptions, Locks } from "./bindings/lock.ts";
export type { MessageSendRequest, Queue, QueueSendOptions } from "./bindings/queue-producer.ts";
export type { RateLimiter } from "./bindings/rate-limiter.ts";

/** A binding `service` or `assets`: it answers requests without a socket. */
export interface Fetcher {
  /**
   * Answers a request. A path such as `/users/7` is enough. An answer with an error is a response; a call that is refused
   * rejects. Redirects are not followed.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
}

/** Values of the pattern's parameters, decoded: `{ id: "7" }` for `/users/:id`. */
export type Params = Readonly<Record<string, string>>;

/**
 * Names that a project declares for `context.env`, with any type: `declare module "edgicorn" { interface Env {
 * DATABASE_URL: string } }`.
 */
// An index signature here would forbid all types but its own. It is an interface because only interfaces merge with
// declarations of users.
export interface Env {}

/**
 * Routes of the project by their patterns, with parameters and methods. `edgicorn types` declares them. A route of another site
 * than the default one has the site's name before its pattern.
 */
export interface Routes {}

/** Parameters of a route that `edgicorn types` has declared: `defineHandler<RouteParams<"/users/:id">>(...)`. */
export type RouteParams<Pattern extends keyof Routes> = Routes[Pattern] extends {
  params: infer Found extends Params;
}
  ? Found
  : never;

/**
 * Environment variables of the worker at its start, and the bindings of the config (docs/bindings.md). Frozen. A name that `Env` declares has the declared type. Every
 * other name is a `string`, or `undefined` if the variable is not set.
 */
export type Environment = Env & { readonly [name: string]: string | undefined };

/**
 * Facts and functions for a handler in addition to the request. Compatible with the `ExecutionContext` of Workers and
 * Hono.
 */
export interface Context<P extends Params = Params, E = Environment> {
  readonly params: P;
  readonly env: E;
  /** Address of the client: IPv4 or IPv6 in text form, without a port. */
  readonly clientAddress: string;
  /** Deadline for the answer in milliseconds, on the scale of `Date.now()`; `null`: no limit. */
  readonly deadline: number | null;
  /** Identifies this exchange in the logs of the primary and of the worker. */
  readonly requestId: string;
  /** Logger whose lines carry the request id and the route. */
  readonly log: Logger;
  /** Always empty. Frameworks made for Workers expect it. */
  readonly props: Readonly<Record<string, never>>;
  /**
   * Lets `promise` go on after the response was sent. The worker waits for it before it exits, within its grace period.
   */
  waitUntil(promise: Promise<unknown>): void;
  /**
   * Removes answers of this site from the response cache, with all their variants, and waits until their files are gone, too.
   * Answers that are under way are not stored if they may be older than the purge.
   *
   *     await context.purge(new URL("/news/7", request.url));
   *     context.waitUntil(context.purge("tag:news"));
   *
   * @param entries A URL; the beginning of URLs with a `*` at its end; `tag:NAME` for answers with this `cache-tag`; or `all`.
   * @returns The number of removed answers. Rejects with a `TypeError` for a text that names none of these, and for a URL of
   *   another site.
   */
  purge(entries: string | URL): Promise<number>;
  /**
   * Sends a message to all WebSockets of this site that are subscribed to a topic, whichever worker is their home.
   *
   * @throws TypeError for a topic that is no text of 1 to 256 characters, and for data that is neither text nor bytes.
   */
  publish(topic: string, data: string | ArrayBuffer | ArrayBufferView): void;
  /**
   * Returns a response whose client gets the messages of topics of this site as server-sent events. The connection belongs to
   * the server: it stays open when this worker ends, and costs it nothing. See docs/server-sent-events.md.
   *
   *     export const GET = (request, context) => context.sse("news", { first: JSON.stringify(state) });
   *
   * @param topics One topic, or at most 128 of them, each of 1 to 256 characters.
   * @throws TypeError for a wrong topic or option.
   */
  sse(topics: string | readonly string[], init?: EventStreamInit): Response;
  /**
   * From now on, if the handler fails before its response, a file of the site, its proxy or the page of its application answers in
   * place of the handler, in this order. Where none of them does, the answer is the one of the failure.
   */
  passThroughOnException(): void;
}

/** A handler that is a function. */
export type HandlerFunction<P extends Params = Params, E = Environment> = (
  request: Request,
  context: Context<P, E>,
) => Response | Promise<Response>;

/** A handler in module syntax. Hono, h3, itty-router and others call it an app. */
export interface FetchHandler<E = Environment> {
  fetch(request: Request, env: E, context: Context<Params, E>): Response | Promise<Response>;
  /** Like the named export `scheduled`. */
  scheduled?(event: ScheduledEvent, env: E, context: Context<Params, E>): unknown;
  /** Like the named export `queue`. */
  queue?(batch: MessageBatch, env: E, context: Context<Params, E>): unknown;
  /** Like the named export `webSocketMessage`. */
  webSocketMessage?: WebSocketMessageHandler<E>;
  /** Like the named export `webSocketClose`. */
  webSocketClose?: WebSocketCloseHandler<E>;
  /** Like the named export `webSocketError`. */
  webSocketError?: WebSocketErrorHandler<E>;
  /** Like the named export `init`, if the default export is a plain object. */
  init?(env: E): unknown;
  /** Like the named export `dispose`, if the default export is a plain object. */
  dispose?(): unknown;
}

/** An object as default export that answers no request, and runs at times only. */
export interface ScheduledHandler<E = Environment> {
  scheduled(event: ScheduledEvent, env: E, context: Context<Params, E>): unknown;
}

/**
 * The export `scheduled` of a handler module: runs at the times of `config.schedule`, in one worker, and may return a
 * promise. It has failed when it throws or its promise rejects. It may take as long as `config.timeoutMs`.
 */
export type Scheduled<E = Environment> = ScheduledHandler<E>["scheduled"];

/** An object as default export that answers no request, and receives messages of a queue. */
export interface QueueHandler<Body = unknown, E = Environment> {
  queue(batch: MessageBatch<Body>, env: E, context: Context<Params, E>): unknown;
}

/**
 * The export `queue` of a handler module: receives messages of the queue that `config.queue` names, and may return a promise.
 * When it ends, all messages are acknowledged that `retry()` did not name. When it throws or its promise rejects, all are
 * offered again that `ack()` did not name. It may take as long as `config.timeoutMs`.
 */
export type QueueFunction<Body = unknown, E = Environment> = QueueHandler<Body, E>["queue"];

/** Messages for `queue()`. Compatible with the `MessageBatch` of Workers. */
export interface MessageBatch<Body = unknown> {
  /** Name of the queue. */
  readonly queue: string;
  readonly messages: readonly Message<Body>[];
  /** Aborts when the time of `timeoutMs` is over, and when the server stops. */
  readonly signal: AbortSignal;
  /** Acknowledges all messages on which there was no word before. */
  ackAll(): void;
  /** Lets all messages be offered again on which there was no word before. */
  retryAll(options?: { delaySeconds?: number }): void;
}

/** A message of a queue. */
export interface Message<Body = unknown> {
  /** The same in each attempt. */
  readonly id: string;
  /** When it was sent. */
  readonly timestamp: Date;
  readonly body: Body;
  /** 1 the first time. */
  readonly attempts: number;
  /** The message has been dealt with, even if the batch fails. */
  ack(): void;
  /** Lets the message be offered again, after `delaySeconds` or the pause of the queue, even if the batch succeeds. */
  retry(options?: { delaySeconds?: number }): void;
}

/** A queue of messages for `queue()`. Durations are texts such as `"10s"`, or milliseconds from 1000. */
export interface QueueConfig {
  /** Name of the queue. */
  name: string;
  /** Most messages of a batch, up to 100. Default: 10. */
  batchSize?: number | undefined;
  /** How long the first message of a batch waits for others. Default: not at all. */
  batchTimeout?: string | number | undefined;
  /** How often a message is offered again after its first attempt. Default: 3. */
  retries?: number | undefined;
  /** Pause before the second attempt; each further pause is twice as long. Default: `"1s"`. */
  backoff?: string | number | undefined;
  /** Name of the queue for messages that have no attempt left. Default: the log has a line, and the message is dropped. */
  deadLetter?: string | undefined;
  /** Most batches in work on one server. Default: 4. */
  concurrency?: number | undefined;
}

/** A run of `scheduled()`. Compatible with the `ScheduledController` of Workers. */
export interface ScheduledEvent {
  readonly type: "scheduled";
  /** The cron expression whose time has come. */
  readonly cron: string;
  /** That time in milliseconds since 1970. It has passed long ago when the run makes up for a missed one. */
  readonly scheduledTime: number;
  /** Aborts when the time of `timeoutMs` is over, and when the server stops. */
  readonly signal: AbortSignal;
  /** Has no effect: a run that fails is not repeated. A run whose worker is lost is repeated, unless `config.replay` is false. */
  noRetry(): void;
}

/** Times of `scheduled()`. */
export interface ScheduleConfig {
  /** Five fields, six with seconds in front, or a name such as `@hourly`. */
  cron: string;
  /** IANA name such as `Europe/Berlin`. Default: `UTC`. */
  timeZone?: string | undefined;
  /** When a time comes and the run before has not ended: leaves the new run out (default), lets it wait, or runs both. */
  overlap?: "skip" | "queue" | "allow" | undefined;
  /** After a time without server: runs once if a run was missed (default), once for each missed run, or not. */
  catchUp?: "none" | "one" | "all" | undefined;
}

/**
 * The export `init` of a module in the handlers folder: opens connections for its requests. Runs in each worker before
 * the worker takes requests, and may return a promise. A worker whose `init` fails does not start.
 */
export type Init<E = Environment> = (env: E) => unknown;

/**
 * The export `dispose` of a module in the handlers folder: closes these connections. Runs once in each worker, after
 * its last request and `waitUntil()`, and may return a promise. The grace period (`drainGrace`) ends it.
 */
export type Dispose = () => unknown;

/**
 * The export `webSocketMessage` of a handler module: receives the messages of the WebSockets that its requests became. The
 * next message of the same WebSocket waits for the promise that it returns. After a reload or the loss of a worker, another
 * worker receives the messages that this one has not confirmed.
 */
export type WebSocketMessageHandler<E = Environment> = (
  socket: ServerSocket,
  message: string | ArrayBuffer,
  context: Context<Params, E>,
) => unknown;

/** The export `webSocketClose` of a handler module. `code` is 1006 when the connection ended without a close frame. */
export type WebSocketCloseHandler<E = Environment> = (
  socket: ServerSocket,
  code: number,
  reason: string,
  wasClean: boolean,
  context: Context<Params, E>,
) => unknown;

/** The export `webSocketError` of a handler module: gets the error of a `webSocketMessage` or `webSocketClose`. */
export type WebSocketErrorHandler<E = Environment> = (
  socket: ServerSocket,
  error: unknown,
  context: Context<Params, E>,
) => unknown;

/** The default export of a handler module. */
export type Handler<E = Environment> = HandlerFunction<Params, E> | FetchHandler<E>;

/** Runs the inner middleware and the handler, with another request if one is given. May be called once only. */
export type Next = (request?: Request) => Response | Promise<Response>;

/** Default export of a `_middleware` file: wraps everything in its folder and below. */
export type Middleware<E = Environment> = (
  request: Request,
  context: Context<Params, E>,
  next: Next,
) => Response | Promise<Response>;

/**
 * Default export of an `_error` file: answers errors of the handlers and middleware of its folder and below. A
 * thrown value arrives unchanged, so it need not be an `Error`. A response with status 200 is sent as 500.
 */
export type ErrorHandler<E = Environment> = (
  error: unknown,
  request: Request,
  context: Context<Params, E>,
) => Response | Promise<Response>;

/** The export `config` of a handler module. Unknown keys are refused when the module is loaded. */
export interface HandlerConfig extends HandlerSettings {
  /** Methods that the default export answers, in upper case. Any other is answered with 405. Default: all methods. */
  methods?: string[] | undefined;
  /** True if its requests go before all others, and are admitted where others are refused. For health checks. */
  reserved?: boolean | undefined;
  /**
   * True if a request may run again from the beginning when its worker was lost before it answered. Default: true for
   * GET, HEAD, OPTIONS, PUT, DELETE and requests with an `Idempotency-Key`.
   */
  replay?: boolean | undefined;
  /** `false`: answers are never compressed, for example because they have a secret beside text of the client. */
  compression?: boolean | undefined;
  /** Name of the pool of workers that runs the handler. */
  pool?: string | undefined;
  /**
   * Requests to the route that the server admits from one client address: `"100/min"`. A client may send so many at
   * once, and the next ones as time passes. All others are answered with 429 before they reach a worker.
   */
  rateLimit?: string | { requests: number; windowMs: number } | undefined;
  /** Times at which `scheduled()` runs: cron expressions such as `0 3 * * *`, alone or with more. */
  schedule?: string | ScheduleConfig | readonly (string | ScheduleConfig)[] | undefined;
  /** The queue whose messages `queue()` receives: its name, alone or with more. */
  queue?: string | QueueConfig | undefined;
}

/** The export `config` of a `_middleware` file: defaults for the handlers of its folder. */
export interface FolderConfig extends Omit<HandlerConfig, "methods" | "schedule" | "queue"> {
  /**
   * True if files of the public folder below this path run through the middleware, too: `next()` stands for the file. Must be
   * written as `true` or `false`. Default: false.
   */
  files?: boolean | undefined;
}

/**
 * Gives a default or method export its type. `defineHandler<{ id: string }>(...)` declares the parameters of its route.
 */
export function defineHandler<P extends Params = Params>(
  handler: HandlerFunction<P>,
): HandlerFunction<P>;
export function defineHandler<T extends FetchHandler | ScheduledHandler | QueueHandler>(
  handler: T,
): T;
export function defineHandler<T>(handler: T): T {
  return handler;
}

/** Gives the default export of a `_middleware` file its type. */
export function defineMiddleware(middleware: Middleware): Middleware {
  return middleware;
}

/** Gives the default export of an `_error` file its type. */
export function defineErrorHandler(handler: ErrorHandler): ErrorHandler {
  return handler;
}

export {
  defineConfig,
  type Duration,
  type Size,
  type UserConfig,
  type UserRule,
} from "./config/user-config.ts";
export { sendFile, type SendFileInit } from "./web/send-file.ts";
export {
  fromNode,
  type NodeApplication,
  type NodeListener,
  type NodeNext,
} from "./web/from-node.ts";
export { upgradeWebSocket, type UpgradeWebSocketOptions } from "./web/upgrade-web-socket.ts";
export type { WebSocketPair } from "./web/web-socket-pair.ts";
