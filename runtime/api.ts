/**
 * The exports of the package `edgicorn` for handlers: types, and functions that give an export its type and return it
 * unchanged. Handlers need none of this at run time: a handler without a single import works as well.
 */
import type { Logger } from "pino";
import type { HandlerSettings } from "./config/handler-settings.ts";

export type { Logger };

/** Values of the pattern's parameters, decoded: `{ id: "7" }` for `/users/:id`. */
export type Params = Readonly<Record<string, string>>;

/**
 * Names that a project declares for `context.env`, with any type:
 * `declare module "edgicorn" { interface Env { DATABASE_URL: string } }`.
 */
// An index signature here would forbid all types but its own. Declarations of users are merged into an interface only.
export interface Env {}

/**
 * Environment variables of the worker, as they were when it started. Frozen. A name that `Env` declares has the type
 * that is declared there; every other name is a `string`, or `undefined` where the variable is not set.
 */
export type Environment = Env & { readonly [name: string]: string | undefined };

/** Facts and functions for a handler beside the request. Compatible with the `ExecutionContext` of Workers and Hono. */
export interface Context<P extends Params = Params, E = Environment> {
  readonly params: P;
  readonly env: E;
  /** Address of the client: IPv4 or IPv6 in text form, without a port. */
  readonly clientAddress: string;
  /** When the answer must be complete: milliseconds on the scale of `Date.now()`; `null`: no limit. */
  readonly deadline: number | null;
  /** Names this exchange in the logs of the primary and of the worker. */
  readonly requestId: string;
  /** Logger whose lines carry the request id and the route. */
  readonly log: Logger;
  /** Always empty; frameworks made for Workers expect it. */
  readonly props: Readonly<Record<string, never>>;
  /** Lets `promise` go on after the response has left. The worker waits for it before it exits, within its grace. */
  waitUntil(promise: Promise<unknown>): void;
  /** Accepted and without effect: there is no origin server behind this one to pass an exchange on to. */
  passThroughOnException(): void;
}

/** A handler that is a function. */
export type HandlerFunction<P extends Params = Params, E = Environment> = (
  request: Request,
  context: Context<P, E>,
) => Response | Promise<Response>;

/** A handler in module syntax; Hono, h3, itty-router and others call it an app. */
export interface FetchHandler<E = Environment> {
  fetch(request: Request, env: E, context: Context<Params, E>): Response | Promise<Response>;
  /** Never called by this version: a start warns of it. */
  scheduled?(event: unknown, env: E, context: Context<Params, E>): unknown;
  /** As the named export `init`, where the default export is a plain object. */
  init?(env: E): unknown;
  /** As the named export `dispose`, where the default export is a plain object. */
  dispose?(): unknown;
}

/**
 * The export `init` of a module in the handlers folder: opens connections for its requests. Runs in each worker before the
 * worker takes requests, and may return a promise. A worker whose `init` fails does not start.
 */
export type Init<E = Environment> = (env: E) => unknown;

/**
 * The export `dispose` of a module in the handlers folder: closes these connections. Runs once in each
 * worker, after its last request and `waitUntil()`, and may return a promise. The grace (`drainGrace`) ends it.
 */
export type Dispose = () => unknown;

/** The default export of a handler module. */
export type Handler<E = Environment> = HandlerFunction<Params, E> | FetchHandler<E>;

/** Runs the inner middleware and the handler. Once only; with another request if one is given. */
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
  /** Methods that the default export answers, upper case; any other is answered 405. All, if not given. */
  methods?: string[] | undefined;
  /** Whether its requests go before all others, and are served where others are refused: for health checks. */
  reserved?: boolean | undefined;
  /**
   * Whether a request may run once more, from the beginning, when its worker was lost before it answered. Default:
   * GET, HEAD, OPTIONS, PUT, DELETE and requests with an `Idempotency-Key` may.
   */
  replay?: boolean | undefined;
  /** Name of the pool of workers that runs it. */
  pool?: string | undefined;
  /**
   * How long its answers may be used again, where they themselves do not say; `false`: never. Has no effect in this version:
   * no answer is stored. Set `cache-control` for browsers and proxies.
   */
  cache?: false | { maxAgeMs: number; staleMs?: number | undefined } | undefined;
  /** How many requests one client may send within any `windowMs`. Has no effect in this version: no request is refused. */
  rateLimit?: { requests: number; windowMs: number } | undefined;
  /** When `scheduled()` runs: cron expressions of five fields. Has no effect in this version: `scheduled()` never runs. */
  schedule?: string | string[] | undefined;
}

/**
 * The export `config` of a `_middleware` file: defaults for the handlers of its folder.
 */
export type FolderConfig = Omit<HandlerConfig, "methods" | "schedule">;

/** Gives a default or method export its type; `defineHandler<{ id: string }>(...)` declares the parameters of its route. */
export function defineHandler<P extends Params = Params>(
  handler: HandlerFunction<P>,
): HandlerFunction<P>;
export function defineHandler<T extends FetchHandler>(handler: T): T;
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

export { defineConfig, type Duration, type Size, type UserConfig } from "./config/user-config.ts";
export {
  fromNode,
  type NodeApplication,
  type NodeListener,
  type NodeNext,
} from "./web/from-node.ts";
