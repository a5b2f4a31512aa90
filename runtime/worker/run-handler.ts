import { relative } from "node:path";
import type { Context, ErrorHandler, Next } from "../api.ts";
import { RuntimeError } from "../lib/errors.ts";
import { ExchangeContext } from "./context.ts";
import { isForeignResponse } from "../web/foreign-response.ts";
import { toChangeable } from "../web/changeable-response.ts";
import { SWITCHING } from "../web/upgrade-response.ts";
import { adoptResponse } from "./adopt-response.ts";
import { describeValue } from "./describe-value.ts";
import { reportFailure } from "./report-failure.ts";
import { locateError } from "./error-location.ts";
import { developmentErrorPage, productionErrorPage } from "./error-page.ts";
import { explainMissing } from "./missing-global.ts";
import { explainNodeStyle, looksNodeStyle, NODE_STYLE_REMEDY } from "./node-style.ts";
import { isThenable, replaceOk, type LoadedRoute, type Runnable } from "./route-table.ts";

/**
 * Runs a route's middleware and handler. Neither throws nor rejects: an error goes to the nearest `_error` handler, or
 * becomes a 500. A `Response` that is thrown is the answer.
 *
 * Returns a `Response`, not a promise, if all called functions did: most handlers are synchronous, and promises would
 * cost more than the rest of this file (30 ns for a function without middleware, its context included; 120 ns more if
 * it is async).
 */
export function runHandler(
  route: LoadedRoute,
  request: Request,
  context: Context,
): Response | Promise<Response> {
  return runFrom(0, { route, request, context });
}

interface Run {
  readonly route: LoadedRoute;
  readonly request: Request;
  readonly context: Context;
}

/** Runs the middleware at `depth` and everything inside it; past the last one, the handler. Fails as `fail` says. */
function runFrom(depth: number, run: Run): Response | Promise<Response> {
  const { route, request, context } = run;
  const { isResponse } = route.rules;
  let source: string;
  let result: unknown;
  try {
    const middleware = route.middleware[depth];
    if (middleware === undefined) {
      const handler = pickHandler(route, request);
      source = handler.source;
      result = handler.call(request, context);
    } else {
      source = middleware.source;
      result = middleware.call(request, context, createNext(depth, run, source));
    }
    if (isResponse(result)) return depth === 0 ? result : toInner(result, run);
    // Examining a handler's result may throw as well: its properties can be getters.
    if (isThenable(result)) {
      return Promise.resolve(result).then(
        (value) => {
          if (!isResponse(value)) return acceptOther(depth, run, { source, value });
          return depth === 0 ? value : toInner(value, run);
        },
        (error: unknown) => acceptThrown(depth, run, error),
      );
    }
  } catch (error) {
    return acceptThrown(depth, run, error);
  }
  return acceptOther(depth, run, { source, value: result });
}

/** Returns a response as middleware gets it. */
function toInner(response: Response, { context }: Run): Response {
  if (response.status === SWITCHING) ExchangeContext.offer(context, response);
  return toChangeable(response);
}

/** Accepts a response of another kind. Fails for other values, and for one whose body was read already. */
function acceptOther(
  depth: number,
  run: Run,
  { source, value }: { source: string; value: unknown },
): Response | Promise<Response> {
  let problem: unknown;
  try {
    const response = adoptResponse(value);
    if (response !== null) return response;
    problem = badResponse(source, value, pickHandler(run.route, run.request));
  } catch (error) {
    problem = error;
  }
  return fail(depth, run, problem);
}

/** A response that is thrown is the answer; all else is a failure. */
function acceptThrown(depth: number, run: Run, error: unknown): Response | Promise<Response> {
  if (run.route.rules.isResponse(error)) return depth === 0 ? error : toInner(error, run);
  return isForeignResponse(error)
    ? acceptOther(depth, run, { source: "what was thrown", value: error })
    : fail(depth, run, error);
}

function pickHandler(route: LoadedRoute, request: Request): Runnable {
  if (route.byMethod === null) return route.otherwise;
  return route.byMethod.get(request.method) ?? route.otherwise;
}

function createNext(depth: number, run: Run, source: string): Next {
  let called = false;
  return (request = run.request) => {
    if (called) {
      throw new RuntimeError("ERR_HANDLER_THREW", `Cannot call next() twice in ${source}`);
    }
    called = true;
    if (request === run.request) return runFrom(depth + 1, run);
    // `next(error)` is a habit from elsewhere.
    if (!((request as unknown) instanceof Request)) {
      const found = describeValue(request);
      const message = `Cannot call next() in ${source}: found ${found}, expected a Request or nothing`;
      throw new RuntimeError("ERR_HANDLER_THREW", message);
    }
    return runFrom(depth + 1, { ...run, request });
  };
}

/** Inside a middleware, an error is the middleware's to catch. Outside of the outermost, it is answered. */
function fail(depth: number, run: Run, error: unknown): Response | Promise<Response> {
  if (depth === 0) return recover(run, error);
  throw error;
}

function badResponse(source: string, value: unknown, handler: Runnable<unknown>): RuntimeError {
  const message = `Cannot send what ${source} returned: found ${describeValue(value)}, expected a Response`;
  const isNodeStyle = handler.source === source && looksNodeStyle(handler.call);
  const hint = isNodeStyle ? ` (${NODE_STYLE_REMEDY})` : hintFor(value);
  return new RuntimeError("ERR_HANDLER_BAD_RESPONSE", message + hint);
}

function hintFor(value: unknown): string {
  if (value === undefined) return ' (is a "return" missing?)';
  if (typeof value === "string") return " (new Response(text) makes one)";
  if (typeof value === "object" && value !== null) return " (Response.json(value) makes one)";
  return "";
}

/** The answer to an exchange that failed. Logs the failure, once. */
function recover(run: Run, error: unknown): Response | Promise<Response> {
  const { route, request, context } = run;
  if (isAbort(request, error)) {
    context.log.debug({ reason: String(error) }, "handler aborted");
    // This response is not sent: the client has left, or got the answer of the deadline.
    return new Response(null, { status: 499 });
  }
  const { source } = pickHandler(route, request);
  const explained = explainNodeStyle(error, source) ?? error;
  log(run, explained, source);
  const passing = statusOf(error) < 500 ? null : ExchangeContext.passOn(context);
  const answer = (): Response | Promise<Response> =>
    route.error === null ? errorPage(run, explained) : callErrorHandler(run, route.error, error);
  if (passing === null) return answer();
  // The response for a request that is passed on is not sent.
  return passing.then((isTaken) => (isTaken ? new Response(null, { status: 499 }) : answer()));
}

function callErrorHandler(
  run: Run,
  handler: Runnable<ErrorHandler>,
  error: unknown,
): Response | Promise<Response> {
  const { request, context } = run;
  const { isResponse } = run.route.rules;
  const accept = (value: unknown): Response | Promise<Response> => {
    let problem: unknown;
    try {
      const response = isResponse(value) ? value : adoptResponse(value);
      if (response !== null) return replaceOk(response, statusOf(error));
      problem = badResponse(handler.source, value, handler);
    } catch (second) {
      problem = second;
    }
    return giveUp(problem);
  };
  const giveUp = (second: unknown): Response | Promise<Response> => {
    if (isResponse(second)) return second;
    log(run, second, handler.source);
    return errorPage(run, second);
  };
  let result: unknown;
  try {
    result = handler.call(error, request, context);
    if (isThenable(result)) return Promise.resolve(result).then(accept, giveUp);
  } catch (second) {
    return giveUp(second);
  }
  return accept(result);
}

function errorPage(run: Run, error: unknown): Response | Promise<Response> {
  const { request, context, route } = run;
  const { requestId } = context;
  const status = statusOf(error);
  const { mode, cwd } = route.rules;
  return mode === "production"
    ? productionErrorPage({ request, requestId, status })
    : developmentErrorPage({ request, requestId, status, error, cwd });
}

/** A fault of the client, such as a body over the limit, stays its fault when a handler lets the error pass. */
function statusOf(error: unknown): number {
  return error instanceof RuntimeError && error.fault === "client" ? error.status : 500;
}

/** Handlers learn by `request.signal` to stop, and their calls then reject: this is no failure of theirs. */
function isAbort(request: Request, error: unknown): boolean {
  if (!request.signal.aborted) return false;
  return error === request.signal.reason || (error instanceof Error && error.name === "AbortError");
}

function log({ context, route }: Run, error: unknown, handler: string): void {
  // A runtime error without a place of its own reports another error. The log names the place of that error.
  const position =
    locateError(error) ?? (error instanceof RuntimeError ? locateError(error.cause) : null);
  const place =
    position === null
      ? {}
      : { file: relative(route.rules.cwd, position.file), line: position.line };
  const err = error instanceof Error ? error : thrownValue(error, handler);
  const level = error instanceof RuntimeError && error.fault === "client" ? "debug" : "error";
  const code = error instanceof RuntimeError ? error.code : "ERR_HANDLER_THREW";
  const hint = explainMissing(error);
  const advice = hint === null ? {} : { hint };
  context.log[level]({ err, code, handler, ...place, ...advice }, "handler failed");
  if (level === "error") reportFailure({ context, route }, { error, handler, position });
}

function thrownValue(value: unknown, handler: string): RuntimeError {
  const message = `Cannot answer from ${handler}: found ${describeValue(value)} thrown, expected an Error`;
  return new RuntimeError("ERR_HANDLER_THREW", message);
}
