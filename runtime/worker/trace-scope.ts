import { AsyncLocalStorage } from "node:async_hooks";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { toTraceParent } from "../lib/trace-parent.ts";
import type { Logger } from "../log/log.ts";

/** The package that all instrumented libraries share. */
const API = "@opentelemetry/api";

/** The parts of `@opentelemetry/api` that are used here. All copies of the package in a process share their state. */
interface OpenTelemetryApi {
  readonly ROOT_CONTEXT: unknown;
  readonly context: {
    active(): unknown;
    with<Value>(context: unknown, run: () => Value): Value;
    setGlobalContextManager(manager: ContextManager): boolean;
  };
  readonly trace: { setSpanContext(context: unknown, span: SpanContext): unknown };
  readonly createTraceState?: (this: void, text: string) => unknown;
}

interface SpanContext {
  traceId: string;
  spanId: string;
  traceFlags: number;
  isRemote: boolean;
  traceState?: unknown;
}

/** See https://open-telemetry.github.io/opentelemetry-js/interfaces/_opentelemetry_api._opentelemetry_api.ContextManager.html */
interface ContextManager {
  active(): unknown;
  with(
    context: unknown,
    run: (...args: unknown[]) => unknown,
    self?: unknown,
    ...args: unknown[]
  ): unknown;
  bind(context: unknown, target: unknown): unknown;
  enable(): ContextManager;
  disable(): ContextManager;
}

/**
 * Makes the trace of a request the active context of OpenTelemetry while its handler runs: spans of instrumented libraries, and of
 * the handler itself, become its children, also after an `await`.
 */
export class TraceScope {
  readonly #api: OpenTelemetryApi;

  /** Loads the package of the project; `null`: the project does not have it. Call it when the handlers are loaded. */
  static async load(log: Logger): Promise<TraceScope | null> {
    const resolve = createRequire(join(process.cwd(), "package.json")).resolve;
    let path: string;
    try {
      path = resolve(API);
    } catch {
      // An optional peer dependency.
      return null;
    }
    try {
      // The shape that the documentation of the package promises since 1.0.
      const loaded = (await import(pathToFileURL(path).href)) as OpenTelemetryApi & {
        default?: OpenTelemetryApi;
      };
      return new TraceScope(loaded.context === undefined ? (loaded.default ?? loaded) : loaded);
    } catch (error) {
      log.warn(
        { err: error },
        `cannot load ${API}: handlers run without the context of their trace`,
      );
      return null;
    }
  }

  private constructor(api: OpenTelemetryApi) {
    this.#api = api;
    // An SDK of the project has its own manager, and keeps it.
    if (!hasManager(api)) api.context.setGlobalContextManager(new LocalContexts(api.ROOT_CONTEXT));
  }

  /** Runs a function within the trace that the fields of a request name. */
  run<Value>(fields: string, run: () => Value): Value {
    const { ROOT_CONTEXT, context, trace, createTraceState } = this.#api;
    const [value, state] = findTraceFields(fields);
    const parent = toTraceParent(value);
    if (parent === undefined) return run();
    const [, traceId = "", spanId = "", flags = ""] = parent.split("-");
    const span: SpanContext = {
      traceId,
      spanId,
      traceFlags: Number.parseInt(flags, 16) & 1,
      isRemote: true,
      ...(state !== undefined &&
        createTraceState !== undefined && { traceState: createTraceState(state) }),
    };
    return context.with(trace.setSpanContext(ROOT_CONTEXT, span), run);
  }
}

/** Finds the fields of the trace, which the primary has put in the place of those of the client. */
function findTraceFields(fields: string): [parent: string | undefined, state: string | undefined] {
  const at = fields.lastIndexOf(TRACE_PARENT);
  if (at === -1) return [undefined, undefined];
  const [parent, name, state] = fields.slice(at + TRACE_PARENT.length).split("\n", 3);
  return [parent, name === "tracestate" ? state : undefined];
}

const TRACE_PARENT = "traceparent\n";

/** Tells whether an SDK has registered a manager: without one, `with` changes nothing. */
function hasManager({ context, ROOT_CONTEXT, trace }: OpenTelemetryApi): boolean {
  const probe = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: "1".repeat(32),
    spanId: "1".repeat(16),
    traceFlags: 0,
    isRemote: true,
  });
  return context.with(probe, () => context.active()) === probe;
}

/** Contexts that follow promises and callbacks. */
class LocalContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<unknown>();
  readonly #root: unknown;

  constructor(root: unknown) {
    this.#root = root;
  }

  active(): unknown {
    return this.#storage.getStore() ?? this.#root;
  }

  with(
    context: unknown,
    run: (...args: unknown[]) => unknown,
    self?: unknown,
    ...args: unknown[]
  ): unknown {
    return this.#storage.run(context, () => run.apply(self, args));
  }

  bind(context: unknown, target: unknown): unknown {
    if (typeof target !== "function") return target;
    const storage = this.#storage;
    return function bound(this: unknown, ...args: unknown[]): unknown {
      return storage.run(context, () => Reflect.apply(target, this, args) as unknown);
    };
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}
