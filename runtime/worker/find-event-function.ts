import { isProxy } from "node:util/types";
import type { QueueFunction, Scheduled } from "../api.ts";

type Exports = Readonly<Record<string, unknown>>;

/** The functions of a module that the server calls without a request, by the names of their exports. */
interface EventFunctions {
  scheduled: Scheduled;
  queue: QueueFunction;
}

const NAMES: readonly (keyof EventFunctions)[] = ["scheduled", "queue"];

/** Returns the function that a module exports under a name, or that its default export has; `null`: none. */
export function findEventFunction<Name extends keyof EventFunctions>(
  exports: Exports,
  name: Name,
): EventFunctions[Name] | null {
  const own = exports[name];
  // Its parameters cannot be read from it.
  if (typeof own === "function") return own as EventFunctions[Name];
  const app = exports["default"];
  // A router that is a proxy seems to have methods of any name.
  if (typeof app !== "object" || app === null || isProxy(app)) return null;
  const method: unknown = Reflect.get(app, name);
  if (typeof method !== "function") return null;
  const call = (...parameters: unknown[]): unknown =>
    Reflect.apply(method, app, parameters) as unknown;
  return call;
}

/** Tells whether the default export is an object that answers no request, and has one of these functions. */
export function hasOnlyEvents(exports: Exports): boolean {
  const app = exports["default"];
  if (typeof app !== "object" || app === null || isProxy(app) || "fetch" in app) return false;
  return NAMES.some((name) => typeof Reflect.get(app, name) === "function");
}
