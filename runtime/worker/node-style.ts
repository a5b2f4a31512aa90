import { Server } from "node:http";
import { RuntimeError } from "../lib/errors.ts";

const IMPORT = 'import { fromNode } from "edgicorn"';

/** Advice that turns a function `(req, res)` into a handler. */
export const NODE_STYLE_REMEDY = `for a function (req, res): "export default fromNode(handler)", ${IMPORT}`;

/**
 * Recognises an application that takes `(req, res)`, which a handler module must not export as it is.
 *
 * @returns The kind and the remedy, for an error message; `null` for anything else, an app with `fetch()` included.
 */
export function describeNodeApplication(
  value: unknown,
): { found: string; expected: string } | null {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return null;
  const members = value as Readonly<Record<string, unknown>>;
  if (has(members, "fetch")) return null;
  if (typeof value === "function") {
    if (has(members, "handle") && has(members, "listen")) {
      return { found: "an Express application", expected: wrapped("app") };
    }
    return has(members, "handle") && Array.isArray(members["stack"])
      ? { found: "an Express router", expected: wrapped("router") }
      : null;
  }
  if (value instanceof Server) return { found: "an http.Server", expected: wrapped("server") };
  if (has(members, "getHttpAdapter")) {
    const expected = wrapped("app.getHttpAdapter().getInstance()");
    return { found: "a NestJS application", expected: `${expected}, after "await app.init()"` };
  }
  if (has(members, "callback") && has(members, "use")) {
    return { found: "a Koa application", expected: wrapped("app") };
  }
  if (has(members, "inject") && has(members, "ready")) {
    return { found: "a Fastify application", expected: wrapped("app") };
  }
  return has(members, "listen")
    ? { found: "an application with listen()", expected: wrapped("its (req, res) function") }
    : null;
}

/**
 * Explains why a function `(req, res)` fails when it is called with a `Request` and a context.
 *
 * @returns `null` when the error says nothing of the sort.
 */
export function explainNodeStyle(error: unknown, source: string): RuntimeError | null {
  const { object, method } =
    (error instanceof TypeError && MISSING.exec(error.message)?.groups) || {};
  if (object === undefined || method === undefined) return null;
  const isMeant =
    RESPONSE.test(object) || REQUEST_METHODS.has(method) || RESPONSE_METHODS.has(method);
  if (!isMeant) return null;
  const message = `Cannot answer from ${source}: found a call of ${object}.${method}(), expected a function that takes a Request and returns a Response; ${NODE_STYLE_REMEDY}`;
  return new RuntimeError("ERR_HANDLER_THREW", message, { cause: error });
}

/** Whether a function's parameters are called as those of `http.createServer` are. */
export function looksNodeStyle(call: unknown): boolean {
  return typeof call === "function" && PARAMETERS.test(Function.prototype.toString.call(call));
}

function wrapped(argument: string): string {
  return `"export default fromNode(${argument})", ${IMPORT}`;
}

function has(members: Readonly<Record<string, unknown>>, name: string): boolean {
  return typeof members[name] === "function";
}

/** Text of V8's error. */
const MISSING = /(?<object>[\w$]+)\.(?<method>[\w$]+) is not a function/;
const RESPONSE = /^_?(res|resp|response|reply)$/i;
const PARAMETERS =
  /^(async\s*)?(function\b[^(]*)?\(?\s*_?(req|request)\s*,\s*_?(res|resp|response|reply)\b/;

/** They exist on neither a `Request` nor a context. */
const REQUEST_METHODS: ReadonlySet<string> = new Set([
  "addListener",
  "emit",
  "on",
  "once",
  "pipe",
  "resume",
  "setEncoding",
  "unpipe",
]);

const RESPONSE_METHODS: ReadonlySet<string> = new Set([
  "end",
  "flushHeaders",
  "getHeader",
  "removeHeader",
  "setHeader",
  "writeHead",
]);
