import type { Environment, FetchHandler } from "../api.ts";

/** The parts of a worker that the module `cloudflare:workers` uses. */
export interface WorkersPlatform {
  readonly env: Environment;
  waitUntil(promise: Promise<unknown>): void;
}

/** Known to workers-module.ts, too. */
const PLATFORM = Symbol.for("edgicorn.workers-platform");
const ENTRYPOINT = Symbol.for("edgicorn.worker-entrypoint");

/** Lets the module `cloudflare:workers` find this worker. */
export function provideWorkersPlatform(platform: WorkersPlatform): void {
  Object.defineProperty(globalThis, PLATFORM, { value: platform, configurable: true });
}

/** Methods of an entrypoint that the server calls: with a request or an event, `env` and `context`. Entrypoints get the first. */
const METHODS = ["fetch", "scheduled", "queue"];

/**
 * Makes a handler of a class that extends `WorkerEntrypoint`: each call creates an object, as in Workers. Returns `null` for any
 * other value.
 */
export function adaptEntrypoint(value: unknown): FetchHandler | null {
  if (typeof value !== "function" || Reflect.get(value, ENTRYPOINT) !== true) return null;
  const { prototype } = value as { prototype: object };
  const names = METHODS.filter((name) => typeof Reflect.get(prototype, name) === "function");
  const app = names.map((name) => [
    name,
    (first: unknown, env: unknown, context: unknown): unknown => {
      const target = Reflect.construct(value, [context, env]) as object;
      const method = Reflect.get(target, name) as () => unknown;
      return Reflect.apply(method, target, [first]) as unknown;
    },
  ]);
  // `readHandlerModule` reports a class without any of them.
  return Object.fromEntries(app) as FetchHandler;
}
