import type {
  ErrorHandler,
  FetchHandler,
  FolderConfig,
  HandlerConfig,
  HandlerFunction,
  Middleware,
  QueueFunction,
  Scheduled,
} from "../api.ts";
import { adaptEntrypoint } from "../platform/workers-platform.ts";
import { type QueueConfig, toQueueConfig } from "../config/queue-config.ts";
import { toSchedules, type Schedule } from "../lib/schedules.ts";
import { describeValue, isClass } from "./describe-value.ts";
import { findEventFunction, hasOnlyEvents } from "./find-event-function.ts";
import { describeNodeApplication } from "./node-style.ts";
import { readSocketHooks, type SocketHooks } from "./socket-hooks.ts";
import { readFolderConfig, readHandlerConfig, type ConfigResult } from "./handler-config.ts";

/** Method names that a handler module may export, in the order in which `Allow` lists them. */
export const EXPORTED_METHODS = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
] as const;

/** Something that answers a request, and how it wants to be called. */
export type Target =
  | { kind: "function"; handle: HandlerFunction }
  /** Called as a method: an app may be an instance of a class. */
  | { kind: "fetch"; app: FetchHandler };

export interface HandlerModule {
  /** Answers every method that is not in `methods`. */
  any: Target | null;
  methods: ReadonlyMap<string, Target>;
  config: HandlerConfig;
  /** Receives the events of WebSockets; `null`: the module exports none of these functions. */
  sockets: SocketHooks | null;
  /** Its function that runs at times; `null`: none. */
  scheduled: ScheduledTarget | null;
  /** Its function that receives messages of a queue; `null`: none. */
  queue: QueueTarget | null;
}

/** A function that runs at times. */
export interface ScheduledTarget {
  call: Scheduled;
  /** Empty: it never runs. */
  schedules: readonly Schedule[];
}

/** A function that receives messages of a queue. */
export interface QueueTarget {
  call: QueueFunction;
  /** `null`: the module names no queue, and the function never runs. */
  config: QueueConfig | null;
}

export interface MiddlewareModule {
  handle: Middleware;
  config: FolderConfig;
}

/** Why a module cannot be used. */
export interface ShapeProblem {
  /** Without the file's name, which the caller puts in front. */
  message: string;
  /** The export that has the problem, to find its line; `null`: no single export. */
  exportName: string | null;
}

export type Shape<T> = { ok: true; module: T } | { ok: false; problems: ShapeProblem[] };

type Namespace = Readonly<Record<string, unknown>>;

/**
 * Reads the exports of a handler module.
 *
 * A default export is a function, or anything with a method `fetch`: a plain object, an instance, a proxy, a function.
 * Named exports in upper case answer one method each and win over the default. Other exports are the module's own
 * affair.
 *
 * @param fileMethod The method in the file's name (`users.get.ts`: `GET`); `null`: none.
 */
export function readHandlerModule(
  namespace: Namespace,
  fileMethod: string | null,
): Shape<HandlerModule> {
  const problems: ShapeProblem[] = [];
  const exports = unwrapCommonJs(namespace);

  const any = readDefault(exports, problems);
  const methods = readMethods(exports, problems);
  const config = keepConfig(readHandlerConfig(exports["config"]), problems);
  const sockets = readSocketHooks(exports, problems);
  const scheduled = readScheduled(exports, config);
  const queue = readQueue(exports, config);
  if (any === null) problems.push(...lowerCaseMethods(exports));
  const hasNone = any === null && methods.size === 0 && scheduled === null && queue === null;
  if (problems.length === 0 && hasNone) {
    problems.push(nothingToRun(exports));
  }
  problems.push(...methodConflicts({ any, methods, config, sockets }, fileMethod));

  return problems.length > 0
    ? { ok: false, problems }
    : { ok: true, module: { any, methods, config, scheduled, queue, sockets } };
}

/** Reads the exports of a `_middleware` file: a default function and, if it likes, a `config` for its folder. */
export function readMiddlewareModule(namespace: Namespace): Shape<MiddlewareModule> {
  const exports = unwrapCommonJs(namespace);
  const problems: ShapeProblem[] = [];
  const handle = readFunction(exports, "(request, context, next) => Response", problems);
  const config = keepConfig(readFolderConfig(exports["config"]), problems);
  return handle === null || problems.length > 0
    ? { ok: false, problems }
    : // Its parameters and result cannot be read from it: `runHandler` checks the result.
      { ok: true, module: { handle: handle as Middleware, config } };
}

/** Reads the exports of an `_error` file: a default function. */
export function readErrorModule(namespace: Namespace): Shape<ErrorHandler> {
  const exports = unwrapCommonJs(namespace);
  const problems = ["config", ...EXPORTED_METHODS].flatMap((name) => unwanted(exports, name));
  const handle = readFunction(exports, "(error, request, context) => Response", problems);
  return handle === null || problems.length > 0
    ? { ok: false, problems }
    : // `runHandler` checks the result.
      { ok: true, module: handle as ErrorHandler };
}

/** Reads the exports of a `_404` file: a default export like that of a handler. It answers every method. */
export function readFallbackModule(namespace: Namespace): Shape<Target> {
  const exports = unwrapCommonJs(namespace);
  const problems = ["config", ...EXPORTED_METHODS].flatMap((name) => unwanted(exports, name));
  const target = readDefault(exports, problems);
  if (problems.length > 0) return { ok: false, problems };
  return target === null
    ? { ok: false, problems: [nothingToRun(exports)] }
    : { ok: true, module: target };
}

/**
 * The exports that the author of a CommonJS module meant: bundlers and Node put `module.exports` into `default`,
 * together with a `default` of its own if it was compiled from a module. A class of `cloudflare:workers` becomes a handler.
 */
export function unwrapCommonJs(namespace: Namespace): Namespace {
  const inner = namespace["default"];
  const entrypoint = adaptEntrypoint(inner);
  if (entrypoint !== null) return { ...namespace, default: entrypoint };
  if (typeof inner !== "object" || inner === null) return namespace;
  const exports = inner as Namespace;
  if (typeof exports["fetch"] === "function") return namespace;
  const isModule =
    Object.hasOwn(inner, "default") ||
    EXPORTED_METHODS.some((method) => Object.hasOwn(inner, method));
  if (!isModule) return namespace;
  return { ...namespace, default: undefined, ...exports };
}

function readDefault(exports: Namespace, problems: ShapeProblem[]): Target | null {
  const value = exports["default"];
  if (value === undefined) return null;
  const application = describeNodeApplication(value);
  const target = application === null ? toTarget(value) : null;
  if (target === null && !hasOnlyEvents(exports)) {
    problems.push({ message: defaultProblem(value), exportName: "default" });
  }
  return target;
}

function readMethods(exports: Namespace, problems: ShapeProblem[]): Map<string, Target> {
  const methods = new Map<string, Target>();
  for (const method of EXPORTED_METHODS) {
    const value = exports[method];
    if (value === undefined) continue;
    const application = describeNodeApplication(value);
    const target = application === null ? toTarget(value) : null;
    if (target !== null) methods.set(method, target);
    else {
      const { found, expected } = application ?? {
        found: describeValue(value),
        expected: "a function",
      };
      const message = `export "${method}" is ${found}, expected ${expected}`;
      problems.push({ message, exportName: method });
    }
  }
  return methods;
}

/** `fetch` first: handlers of h3 and servers of GraphQL Yoga are functions that have one, made for this use. */
function toTarget(value: unknown): Target | null {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return null;
  if (typeof (value as Namespace)["fetch"] === "function") {
    return { kind: "fetch", app: value as FetchHandler };
  }
  // Its parameters and result cannot be read from it: `runHandler` checks the result.
  return isFunction(value) ? { kind: "function", handle: value as HandlerFunction } : null;
}

function isFunction(value: unknown): value is (...parameters: never[]) => unknown {
  return typeof value === "function" && !isClass(value);
}

function defaultProblem(value: unknown): string {
  const application = describeNodeApplication(value);
  if (application !== null) {
    return `default export is ${application.found}, expected ${application.expected}`;
  }
  const expected = "expected a function or an object with fetch()";
  if (isClass(value)) {
    return `default export is ${describeValue(value)}, expected an instance: "export default new ..."`;
  }
  if (typeof value === "object" && value !== null) {
    if (value instanceof Promise) return `default export is a promise, ${expected}: await it`;
    if (value instanceof Response) {
      return `default export is a Response, ${expected}: make it for each request, "() => new Response(...)"`;
    }
    if ("fetch" in value) {
      return `default export has a fetch that is ${describeValue(value.fetch)}, expected a function`;
    }
  }
  return `default export is ${describeValue(value)}, ${expected}`;
}

function readFunction(
  exports: Namespace,
  form: string,
  problems: ShapeProblem[],
): ((...parameters: never[]) => unknown) | null {
  const value = exports["default"];
  if (isFunction(value)) return value;
  const found =
    value === undefined
      ? "there is no default export"
      : `default export is ${describeValue(value)}`;
  problems.push({ message: `${found}, expected a function ${form}`, exportName: "default" });
  return null;
}

function keepConfig<T extends object>(
  result: ConfigResult<T>,
  problems: ShapeProblem[],
): T | Record<string, never> {
  if (result.ok) return result.config;
  for (const message of result.problems) problems.push({ message, exportName: "config" });
  return {};
}

/** Fallbacks answer every method and have no config of their own: such an export is a misunderstanding. */
function unwanted(exports: Namespace, exportName: string): ShapeProblem[] {
  if (exports[exportName] === undefined) return [];
  return [{ message: `exports "${exportName}", expected only "export default"`, exportName }];
}

function nothingToRun(exports: Namespace): ShapeProblem {
  const names = Object.keys(exports).filter((name) => exports[name] !== undefined);
  const found =
    names.length === 0
      ? "exports nothing"
      : `exports ${names.map((name) => `"${name}"`).join(", ")}`;
  const expected = names.includes("fetch")
    ? '"export default { fetch }"'
    : '"export default" or a method such as "export const GET"';
  return { message: `${found}, expected ${expected}`, exportName: names[0] ?? null };
}

/** With a default export `get` may be a helper. Without one it is `GET`, misspelt. */
function lowerCaseMethods(exports: Namespace): ShapeProblem[] {
  return Object.keys(exports).flatMap((name) => {
    const method = EXPORTED_METHODS.find((known) => known === name.toUpperCase());
    if (method === undefined || method === name || typeof exports[name] !== "function") return [];
    const message = `exports "${name}", expected "${method}": names of methods are upper case`;
    return [{ message, exportName: name }];
  });
}

function readScheduled(exports: Namespace, config: HandlerConfig): ScheduledTarget | null {
  const call = findEventFunction(exports, "scheduled");
  const schedules = config.schedule === undefined ? [] : (toSchedules(config.schedule) ?? []);
  return call === null ? null : { call, schedules };
}

function readQueue(exports: Namespace, config: HandlerConfig): QueueTarget | null {
  const call = findEventFunction(exports, "queue");
  const own = config.queue === undefined ? null : toQueueConfig(config.queue);
  return call === null ? null : { call, config: own };
}

function methodConflicts(
  module: Omit<HandlerModule, "scheduled" | "queue">,
  fileMethod: string | null,
): ShapeProblem[] {
  const problems: ShapeProblem[] = [];
  if (fileMethod !== null) {
    for (const method of module.methods.keys()) {
      if (method === fileMethod) continue;
      const message = `exports "${method}", expected "${fileMethod}" or a default: the file's name says ${fileMethod} only`;
      problems.push({ message, exportName: method });
    }
  }
  if (module.config.methods !== undefined && (fileMethod !== null || module.any === null)) {
    const reason = fileMethod === null ? "its exports already say" : "its name already says";
    const message = `config.methods is set, expected none: ${reason} which methods it answers`;
    problems.push({ message, exportName: "config" });
  }
  return problems;
}
