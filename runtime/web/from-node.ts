import { Server, type IncomingMessage, type ServerResponse } from "node:http";
import type { Context, HandlerFunction } from "../api.ts";
import { NodeExchange } from "./node-exchange.ts";
import { asksForWebSocket } from "./upgrade-web-socket.ts";

/** Passes on: without an argument an unanswered request, with one the application's error. */
export type NodeNext = (error?: unknown) => void;

/** A function as `http.createServer` takes it, or a middleware of Express or Connect. */
export type NodeListener = (req: IncomingMessage, res: ServerResponse, next: NodeNext) => unknown;

/** The applications that `fromNode` accepts. */
export type NodeApplication =
  /** Express, Connect, `koa.callback()`, `fastify.routing`, the handlers of Astro and SvelteKit. */
  | NodeListener
  /** A Koa application. */
  | { callback(): (req: IncomingMessage, res: ServerResponse) => unknown }
  /** A Fastify instance. */
  | {
      ready(): PromiseLike<unknown>;
      routing: (req: IncomingMessage, res: ServerResponse) => unknown;
    }
  | Server;

/**
 * Makes a handler of a Node-style application: one that takes `(req, res)` and answers by writing to `res`.
 *
 *     export default fromNode(app); // in handlers/[...path].ts
 *
 * The application gets Node's own `http.IncomingMessage` and `http.ServerResponse`; behind them is no connection.
 * `next()` is answered 404. `next(error)` with a `status` from 400 to 499 is answered with it; any other error is
 * thrown, as are errors before the head was sent: they reach `_error`. A listener of two parameters gets no `next`.
 *
 * Requests for a WebSocket go to the listeners of an `http.Server` for `upgrade`, if it has some.
 *
 * @throws TypeError for anything that is no such application; the message says how to get at one.
 */
export function fromNode(app: NodeApplication): HandlerFunction {
  const listener = toListener(app);
  return (request: Request, ...rest: unknown[]) => {
    // Called as a function, or as `fetch(request, env, context)`.
    const context = rest.findLast(isContext);
    const clientAddress = context?.clientAddress ?? "";
    if (app instanceof Server && app.listenerCount("upgrade") > 0 && asksForWebSocket(request)) {
      return import("./node-upgrade.ts").then(({ upgradeByServer }) =>
        upgradeByServer(app, request, {
          clientAddress,
          onLateError: (error) =>
            context?.log.error({ err: error }, "WebSocket of the application failed"),
        }),
      );
    }
    const exchange = new NodeExchange(request, {
      clientAddress,
      onLateError: (error) =>
        context?.log.error({ err: error }, "application failed after its answer"),
    });
    return exchange.run(listener);
  };
}

function isContext(value: unknown): value is Context {
  return typeof value === "object" && value !== null && "clientAddress" in value;
}

function toListener(app: unknown): NodeListener {
  if (typeof app === "function") return withoutNext(app as NodeListener); // called with the arguments of all such functions
  if (app instanceof Server) return (req, res) => app.emit("request", req, res);
  if (typeof app === "object" && app !== null) {
    const { callback, ready, routing } = app as Readonly<Record<string, unknown>>;
    if (typeof callback === "function") {
      // Koa's method, bound to its application.
      return withoutNext((callback as () => NodeListener).call(app));
    }
    if (typeof ready === "function" && typeof routing === "function") {
      return whenReady(app as Fastify);
    }
  }
  throw new TypeError(`Cannot make a handler of the application: ${describeMistake(app)}`);
}

/** A function of two parameters gets no `next`: Fastify's router would mistake it for another argument. */
function withoutNext(listener: NodeListener): NodeListener {
  return listener.length > 2 ? listener : (req, res) => (listener as PlainListener)(req, res);
}

type PlainListener = (req: IncomingMessage, res: ServerResponse) => unknown;

interface Fastify {
  ready(): PromiseLike<unknown>;
  routing: PlainListener;
}

/**
 * Begins to load the plugins at once. A failure rejects in the process, as in a server: no request could be answered.
 */
function whenReady(app: Fastify): NodeListener {
  const ready = app.ready();
  return async (req, res) => {
    await ready;
    await app.routing(req, res);
  };
}

function describeMistake(app: unknown): string {
  const expected = "expected a function (req, res), or an application of Express, Koa or Fastify";
  if (app === undefined || app === null) return `found ${String(app)}, ${expected}`;
  if (typeof app !== "object") return `found a ${typeof app}, ${expected}`;
  const members = app as Readonly<Record<string, unknown>>;
  if (typeof members["then"] === "function") {
    return `found a promise, ${expected}: await it, "fromNode(await app)"`;
  }
  if (typeof members["getHttpAdapter"] === "function") {
    return `found a NestJS application, ${expected}: "await app.init()", then "fromNode(app.getHttpAdapter().getInstance())"`;
  }
  if (typeof members["fetch"] === "function") {
    return `found an object with fetch(), which is a handler already: "export default app"`;
  }
  return `found an object with ${Object.keys(members).slice(0, 5).join(", ") || "no members"}, ${expected}`;
}
