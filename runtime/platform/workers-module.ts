/** The module `cloudflare:workers` of handlers: the build replaces its name by the place of this file. */
import type { WorkersPlatform } from "./workers-platform.ts";

// The names by which the worker and this module find each other: no file of dist/ has code of both.
const PLATFORM = Symbol.for("edgicorn.workers-platform");
const ENTRYPOINT = Symbol.for("edgicorn.worker-entrypoint");

/** `env` without a request, also while the modules of the handlers are loaded. Bindings of single sites are not in it. */
export const env: object = new Proxy(Object.create(null) as object, {
  get: (_, name) => Reflect.get(platform().env, name) as unknown,
  has: (_, name) => Reflect.has(platform().env, name),
  ownKeys: () => Reflect.ownKeys(platform().env),
  getOwnPropertyDescriptor: (_, name) => {
    const own = Reflect.getOwnPropertyDescriptor(platform().env, name);
    return own && { ...own, configurable: true };
  },
  set: () => false,
  defineProperty: () => false,
  deleteProperty: () => false,
});

/** Lets a promise go on after the response was sent, as `context.waitUntil` does. */
export function waitUntil(promise: Promise<unknown>): void {
  platform().waitUntil(promise);
}

/** Base of a default export whose methods find `this.env` and `this.ctx`. The server creates an object for each call. */
export class WorkerEntrypoint {
  static readonly [ENTRYPOINT] = true;
  readonly ctx: unknown;
  readonly env: unknown;

  constructor(ctx: unknown, environment: unknown) {
    this.ctx = ctx;
    this.env = environment;
  }
}

/** Base of objects that Workers passes between its isolates. Here it is an ordinary class. */
// oxlint-disable-next-line typescript/no-extraneous-class -- A base class of handlers.
export class RpcTarget {}

/** Workers' objects with a place of their own, which this server does not have. A module may extend the class; nothing creates objects of it. */
// oxlint-disable-next-line typescript/no-extraneous-class -- A base class of handlers.
export class DurableObject {
  constructor() {
    throw new TypeError(
      "Cannot create a DurableObject: this server has none. Keep shared state in a binding (docs/bindings.md) or in a database",
    );
  }
}

/** Workers' runs of several steps, which this server does not have. A module may extend the class; nothing creates objects of it. */
// oxlint-disable-next-line typescript/no-extraneous-class -- A base class of handlers.
export class WorkflowEntrypoint {
  constructor() {
    throw new TypeError(
      "Cannot create a WorkflowEntrypoint: this server has no Workflows. Run the steps from scheduled() or from a queue",
    );
  }
}

function platform(): WorkersPlatform {
  const found: unknown = Reflect.get(globalThis, PLATFORM);
  if (typeof found === "object" && found !== null) return found as WorkersPlatform; // only a worker sets it
  throw new TypeError(
    'Cannot use "cloudflare:workers": found no worker of Edgicorn in this thread, expected a handler',
  );
}
