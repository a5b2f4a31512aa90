import type { Context, ErrorHandler, FolderConfig, HandlerConfig, Middleware } from "../api.ts";
import type { HandlerFailure } from "../channel/messages.ts";
import { adoptResponse } from "./adopt-response.ts";
import { toFoundResponse } from "./found-file.ts";
import type { SocketHooks } from "./socket-hooks.ts";
import {
  EXPORTED_METHODS,
  type HandlerModule,
  type QueueTarget,
  type ScheduledTarget,
  type Target,
} from "./handler-shape.ts";

/** Something that answers one request, and the file to name when it does not. */
export interface Runnable<F = (request: Request, context: Context) => unknown> {
  readonly source: string;
  readonly call: F;
}

/** The settings that all routes of a generation share. */
export interface RunRules {
  readonly mode: "production" | "development";
  readonly isResponse: (value: unknown) => value is Response;
  /** Messages and logs name files relative to this folder. */
  readonly cwd: string;
  /** Called for each failure of a handler that is logged as an error. */
  readonly onFailure?: ((failure: HandlerFailure) => void) | undefined;
}

/** A route, ready to run: `runHandler` only looks things up. */
export interface LoadedRoute {
  readonly pattern: string;
  /** All methods that are not answered 405, in the order of `Allow`; `null`: any. */
  readonly methods: readonly string[] | null;
  /** Config of the module for all methods that `methodConfig` does not name. */
  readonly config: HandlerConfig;
  /** Config per method, where more than one module answers the route; HEAD as GET. */
  readonly methodConfig: Readonly<Record<string, HandlerConfig>>;
  /** `null`: `otherwise` answers all, and the method need not be looked at. */
  readonly byMethod: ReadonlyMap<string, Runnable> | null;
  readonly otherwise: Runnable;
  /** Outermost first. */
  readonly middleware: readonly Runnable<Middleware>[];
  readonly error: Runnable<ErrorHandler> | null;
  readonly rules: RunRules;
  /** Receives the events of WebSockets of the module that answers GET; `null`: there is none. */
  readonly sockets: SocketHooks | null;
  /** Functions that run at times, by the index of their handler; absent: none. */
  readonly scheduled?: ReadonlyMap<number, ScheduledRunnable>;
  /** Functions that receive messages of queues, by the index of their handler; absent: none. */
  readonly queues?: ReadonlyMap<number, QueueRunnable>;
}

/** A function that runs at times, and its file. */
export interface ScheduledRunnable extends ScheduledTarget {
  readonly source: string;
}

/** A function that receives messages of a queue, and its file. */
export interface QueueRunnable extends QueueTarget {
  readonly source: string;
}

/** A handler module in its place: which of its route's methods its file is for. */
export interface RouteModule {
  readonly source: string;
  /** From the file's name; `null`: none. */
  readonly fileMethod: string | null;
  readonly module: HandlerModule;
}

export type RouteFrame = Pick<LoadedRoute, "pattern" | "middleware" | "error" | "rules"> & {
  readonly folderConfig: FolderConfig;
};

export type RouteResult =
  | { ok: true; route: LoadedRoute }
  | { ok: false; problems: { source: string; message: string }[] };

/**
 * Makes a route of the modules that answer it. A problem if two of them answer the same method.
 *
 * HEAD is answered by the module for GET, OPTIONS by a 204 with `Allow`, unless a module does it itself.
 */
export function toRoute(frame: RouteFrame, modules: readonly RouteModule[]): RouteResult {
  const problems: { source: string; message: string }[] = [];
  const byMethod = new Map<string, Runnable>();
  const methodConfig: Record<string, HandlerConfig> = {};
  let any: RouteModule | null = null;

  const add = (method: string, owner: RouteModule, target: Target): void => {
    const earlier = byMethod.get(method);
    if (earlier !== undefined) {
      const message = `answers ${method} of ${frame.pattern}, which ${earlier.source} answers too`;
      problems.push({ source: owner.source, message });
    }
    byMethod.set(method, toRunnable(target, owner.source));
    methodConfig[method] = { ...frame.folderConfig, ...owner.module.config };
  };

  for (const owner of modules) {
    const { fileMethod, module } = owner;
    for (const [method, target] of module.methods) add(method, owner, target);
    if (module.any === null) continue;
    // `users.get.ts` may export GET and a default. The default then has no method left to answer.
    if (fileMethod !== null) {
      if (!module.methods.has(fileMethod)) add(fileMethod, owner, module.any);
    } else if (module.config.methods === undefined) any = owner;
    else {
      for (const method of module.config.methods) {
        if (!module.methods.has(method)) add(method, owner, module.any);
      }
    }
  }
  if (problems.length > 0) return { ok: false, problems };

  addHead(byMethod, methodConfig);
  const scheduled = findScheduled(modules);
  const queues = findQueues(modules);
  // A route whose handlers only run at times, or for queues, answers no request.
  const isSilent = any === null && byMethod.size === 0;
  const methods = isSilent ? [] : any === null ? addOptions(byMethod) : null;
  const rest = any?.module.any ?? null;
  const main = any ?? (modules.length === 1 ? modules[0] : undefined);
  return {
    ok: true,
    route: {
      ...frame,
      methods,
      config: { ...frame.folderConfig, ...main?.module.config },
      methodConfig: modules.length > 1 ? methodConfig : {},
      sockets: pickSockets(modules),
      byMethod: byMethod.size === 0 ? null : byMethod,
      otherwise:
        any === null || rest === null
          ? notAllowed([...byMethod.keys()])
          : toRunnable(rest, any.source),
      ...(scheduled.size > 0 && { scheduled }),
      ...(queues.size > 0 && { queues }),
    },
  };
}

/** A request for a WebSocket is a GET: its module is the one whose file name says so, or the only one for all methods. */
function pickSockets(modules: readonly RouteModule[]): SocketHooks | null {
  const own =
    modules.find(({ fileMethod }) => fileMethod === "GET") ??
    modules.find(({ module }) => module.methods.has("GET")) ??
    modules.find(({ fileMethod }) => fileMethod === null);
  return own?.module.sockets ?? null;
}

function findScheduled(modules: readonly RouteModule[]): Map<number, ScheduledRunnable> {
  const found = new Map<number, ScheduledRunnable>();
  for (const [index, { source, module }] of modules.entries()) {
    const { scheduled } = module;
    if (scheduled !== null) found.set(index, { ...scheduled, source });
  }
  return found;
}

function findQueues(modules: readonly RouteModule[]): Map<number, QueueRunnable> {
  const found = new Map<number, QueueRunnable>();
  for (const [index, { source, module }] of modules.entries()) {
    const { queue } = module;
    if (queue !== null) found.set(index, { ...queue, source });
  }
  return found;
}

/** Makes a route of a `_404` module: any method; a status of 200 becomes 404. */
export function toFallback(frame: RouteFrame, source: string, target: Target): LoadedRoute {
  const { call } = toRunnable(target, source);
  const { isResponse } = frame.rules;
  const correct = (value: unknown): unknown => {
    const response = isResponse(value) ? value : adoptResponse(value);
    return response === null ? value : replaceOk(response, 404);
  };
  return forAnyMethod(frame, {
    source,
    call: (request, context) => {
      const result = call(request, context);
      return isThenable(result) ? result.then(correct) : correct(result);
    },
  });
}

/** Makes a route of the middleware that guards files: inside of it is the file that the request found. */
export function toGuard(frame: RouteFrame, source: string): LoadedRoute {
  return forAnyMethod(frame, { source, call: (_, context) => toFoundResponse(context) });
}

function forAnyMethod(frame: RouteFrame, otherwise: Runnable): LoadedRoute {
  return {
    ...frame,
    methods: null,
    config: frame.folderConfig,
    methodConfig: {},
    sockets: null,
    byMethod: null,
    otherwise,
  };
}

/**
 * The response with another status if its own is 200: an error page whose author forgot to set one must not look like
 * success to caches and crawlers. Any other status is meant.
 */
export function replaceOk(response: Response, status: number): Response {
  if (response.status !== 200) return response;
  return new Response(response.body, { status, headers: response.headers });
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

function toRunnable(target: Target, source: string): Runnable {
  if (target.kind === "function") return { source, call: target.handle };
  const { app } = target;
  return { source, call: (request, context) => app.fetch(request, context.env, context) };
}

function addHead(byMethod: Map<string, Runnable>, config: Record<string, HandlerConfig>): void {
  const get = byMethod.get("GET");
  if (get === undefined || byMethod.has("HEAD")) return;
  byMethod.set("HEAD", get);
  if (config["GET"] !== undefined) config["HEAD"] = config["GET"];
}

/** Answers OPTIONS unless a handler does, and returns all methods in the order of `Allow`. */
function addOptions(byMethod: Map<string, Runnable>): string[] {
  const methods = sortMethods([...byMethod.keys(), "OPTIONS"]);
  if (!byMethod.has("OPTIONS")) {
    const allow = methods.join(", ");
    const call = (): Response => new Response(null, { status: 204, headers: { allow } });
    byMethod.set("OPTIONS", { source: BUILT_IN, call });
  }
  return methods;
}

/** RFC 9110 section 15.5.6: a 405 carries `Allow`. */
function notAllowed(methods: readonly string[]): Runnable {
  const allow = sortMethods(methods).join(", ");
  const headers = { allow, "content-type": "text/plain; charset=utf-8" };
  return {
    source: BUILT_IN,
    call: () => new Response("Method Not Allowed\n", { status: 405, headers }),
  };
}

function sortMethods(methods: readonly string[]): string[] {
  return [...new Set(methods)].toSorted((a, b) => rankOf(a) - rankOf(b));
}

function rankOf(method: string): number {
  const index = (EXPORTED_METHODS as readonly string[]).indexOf(method);
  return index === -1 ? EXPORTED_METHODS.length : index;
}

/** Named as the source of answers that no file gives. */
const BUILT_IN = "edgicorn";
