import { isProxy } from "node:util/types";
import type { Scheduled } from "../api.ts";

type Exports = Readonly<Record<string, unknown>>;

/** Returns the function of a module that runs at times: its export `scheduled`, or that of its default; `null`: none. */
export function findScheduled(exports: Exports): Scheduled | null {
  const own = exports["scheduled"];
  // Its parameters cannot be read from it.
  if (typeof own === "function") return own as Scheduled;
  const app = exports["default"];
  // A router that is a proxy seems to have methods of any name.
  if (typeof app !== "object" || app === null || isProxy(app)) return null;
  const method: unknown = Reflect.get(app, "scheduled");
  if (typeof method !== "function") return null;
  return (...parameters) => Reflect.apply(method, app, parameters) as unknown;
}

/** Tells whether the default export is an object that answers no request, and runs at times. */
export function isScheduledOnly(exports: Exports): boolean {
  const app = exports["default"];
  if (typeof app !== "object" || app === null || isProxy(app)) return false;
  return !("fetch" in app) && typeof Reflect.get(app, "scheduled") === "function";
}
