import type { Context } from "../api.ts";
import type { ServerSocket } from "../web/server-socket.ts";
import { describeValue } from "./describe-value.ts";
import type { ShapeProblem } from "./handler-shape.ts";

/** The functions of a module that receive the events of its WebSockets, in any worker. */
export interface SocketHooks {
  message(socket: ServerSocket, message: string | ArrayBuffer, context: Context): unknown;
  /** `null`: the module does not care. */
  close:
    | ((
        socket: ServerSocket,
        code: number,
        reason: string,
        wasClean: boolean,
        context: Context,
      ) => unknown)
    | null;
  error: ((socket: ServerSocket, error: unknown, context: Context) => unknown) | null;
}

type Exports = Readonly<Record<string, unknown>>;

const NAMES = ["webSocketMessage", "webSocketClose", "webSocketError"] as const;

/**
 * Reads the exports for WebSockets of a handler module: named ones, or methods of the default export as in a Durable Object of
 * Workers. A named export wins.
 */
export function readSocketHooks(exports: Exports, problems: ShapeProblem[]): SocketHooks | null {
  const app: unknown = exports["default"];
  const [message, close, error] = NAMES.map((name) => {
    const own = exports[name];
    if (own !== undefined) {
      if (typeof own === "function") return own as (...parameters: unknown[]) => unknown;
      const found = `export "${name}" is ${describeValue(own)}, expected a function`;
      problems.push({ message: found, exportName: name });
      return null;
    }
    if (typeof app !== "object" || app === null || !isOwnMethod(app, name)) return null;
    const method = Reflect.get(app, name) as (...parameters: unknown[]) => unknown;
    return (...parameters: unknown[]): unknown => Reflect.apply(method, app, parameters);
  });
  if (message === undefined || message === null) {
    if (close !== null || error !== null) {
      problems.push({
        message: "exports a function for WebSockets without webSocketMessage, expected both",
        exportName: close === null ? "webSocketError" : "webSocketClose",
      });
    }
    return null;
  }
  return { message, close: close ?? null, error: error ?? null };
}

/** Routers that are proxies seem to have methods of any name. */
function isOwnMethod(app: object, name: string): boolean {
  return name in app && typeof Reflect.get(app, name) === "function";
}
