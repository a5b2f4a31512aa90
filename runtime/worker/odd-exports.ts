import { isProxy } from "node:util/types";
import { describeValue, isClass } from "./describe-value.ts";
import { findEventFunction } from "./find-event-function.ts";
import { EXPORTED_METHODS, type ShapeProblem } from "./handler-shape.ts";

type Exports = Readonly<Record<string, unknown>>;

/**
 * Finds exports that another platform acts on and this server does not, and misspelt ones. Nothing is wrong with the
 * module otherwise, so they are warnings.
 *
 * @param options.answers The methods that a handler's file name leaves to it; `null` for a `_middleware`, `_error` or `_404` file.
 */
export function findOddExports(
  exports: Exports,
  { answers }: { answers: OddExportsRole },
): ShapeProblem[] {
  return [
    ...findEvents(exports),
    ...Object.keys(exports).flatMap((name) => findOddity(name, exports[name])),
    ...(answers === null ? [] : findIdleFunctions(exports)),
    ...findLostHook(exports),
    ...(answers === null ? [] : findTwoForms(exports, answers)),
  ];
}

/** A schedule or a queue without a function, and a function without a schedule or a queue. */
function findIdleFunctions(exports: Exports): ShapeProblem[] {
  const { config } = exports;
  return EVENT_KEYS.flatMap(({ name, key, parameters, example, end }) => {
    const hasKey =
      typeof config === "object" && config !== null && Reflect.get(config, key) !== undefined;
    const hasFunction = findEventFunction(exports, name) !== null;
    if (hasKey === hasFunction) return [];
    const message = hasKey
      ? `config.${key} has no effect: expected a function ${name}(${parameters}, env, context), exported or in the default export`
      : `${name}() never runs: expected export const config = { ${key}: ${example} }${end}`;
    const isNamed = typeof exports[name] === "function";
    return [{ message, exportName: hasKey ? "config" : isNamed ? name : "default" }];
  });
}

/** Functions that run without a request, and the key of `config` that each needs. */
const EVENT_KEYS = [
  {
    name: "scheduled",
    key: "schedule",
    parameters: "event",
    example: '"0 3 * * *"',
    end: " with its times",
  },
  { name: "queue", key: "queue", parameters: "batch", example: '"jobs"', end: " with its name" },
] as const;

/** Methods that the name of a handler's file leaves to its exports; `null`: the file is no handler. */
export type OddExportsRole = "all" | "one" | null;

/** Events of Cloudflare Workers, and how the same is done here. */
const EVENTS: Readonly<Record<string, string>> = {
  email: "let the mail server send a request to a route",
  tail: "read the access log",
  trace: "read the access log",
};

function findEvents(exports: Exports): ShapeProblem[] {
  const problems: ShapeProblem[] = [];
  const app = exports["default"];
  // A router that is a proxy seems to have methods of any name.
  if (typeof app !== "object" || app === null || isProxy(app)) return problems;
  for (const name of Object.keys(EVENTS)) {
    if (typeof Reflect.get(app, name) !== "function") continue;
    problems.push(eventProblem(`default export has ${name}()`, name, "default"));
  }
  return problems;
}

function eventProblem(found: string, name: string, exportName: string): ShapeProblem {
  const message = `${found}, which this server never calls: ${EVENTS[name] ?? "use a route"}`;
  return { message, exportName };
}

function findOddity(name: string, value: unknown): ShapeProblem[] {
  const message = describeOddity(name, value);
  return message === null ? [] : [{ message, exportName: name }];
}

function describeOddity(name: string, value: unknown): string | null {
  if (name === "default" || name === "config") return null;
  if (typeof value === "function" && isClass(value)) {
    return isWorkersClass(value as new () => unknown)
      ? `exports class ${name}, which this server makes no objects of: Durable Objects, Workflows and named entrypoints of Workers do not run here. Keep shared state in a binding or a database`
      : null;
  }
  if (typeof value === "function" && /^[A-Z]+$/.test(name)) {
    const isMethod = EXPORTED_METHODS.some((method) => method === name);
    return isMethod
      ? null
      : `exports function ${name}, which answers nothing: expected one of ${EXPORTED_METHODS.join(", ")}, or a default export for other methods`;
  }
  if (typeof value === "function") {
    const upper = name.toUpperCase();
    return EXPORTED_METHODS.some((method) => method === upper)
      ? `exports function ${name}, which answers nothing: did you mean "${upper}"? Names of methods are upper case`
      : null;
  }
  if (isPlainObject(value) && NEAR_CONFIG.test(name)) {
    return `exports ${name}, which has no effect: did you mean "config"?`;
  }
  return describeSegmentOption(name, value);
}

/** Other letters, a letter more or less, or two swapped. */
const NEAR_CONFIG =
  /^(?:config[a-z]?|confg|cofig|cnfig|conig|confi|cofnig|cnofig|conifg|confgi|conf|cfg)$/i;

function isPlainObject(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

const WORKERS_CLASSES: readonly string[] = [
  "DurableObject",
  "WorkerEntrypoint",
  "WorkflowEntrypoint",
];
const WORKERS_METHODS: readonly string[] = ["fetch", "alarm", "webSocketMessage"];

function isWorkersClass(candidate: new () => unknown): boolean {
  const parent: unknown = Object.getPrototypeOf(candidate);
  const parentName = typeof parent === "function" ? parent.name : "";
  const prototype: unknown = candidate.prototype;
  return (
    WORKERS_CLASSES.includes(parentName) ||
    (typeof prototype === "object" &&
      prototype !== null &&
      WORKERS_METHODS.some((name) => Object.hasOwn(prototype, name)))
  );
}

/** Options of routes in Next.js, by the values that they have there, and how to get the same effect here. */
const SEGMENT_OPTIONS: Readonly<
  Record<string, [isIt: (value: unknown) => boolean, remedy: string]>
> = {
  runtime: [
    (value) => ["edge", "nodejs", "experimental-edge"].includes(value as string),
    "all handlers run in Node",
  ],
  revalidate: [
    (value) => typeof value === "number" || value === false,
    'set the field "cache-control" of the response',
  ],
  dynamic: [
    (value) => ["auto", "force-dynamic", "error", "force-static"].includes(value as string),
    "all handlers run for each request",
  ],
  maxDuration: [(value) => typeof value === "number", "use config.timeoutMs, in milliseconds"],
  preferredRegion: [(value) => typeof value === "string" || Array.isArray(value), "leave it out"],
};

function describeSegmentOption(name: string, value: unknown): string | null {
  if (!Object.hasOwn(SEGMENT_OPTIONS, name)) return null;
  const [isIt, remedy] = SEGMENT_OPTIONS[name] ?? [() => false, ""];
  return isIt(value) ? `exports "${name}", which has no effect here: ${remedy}` : null;
}

/** `dispose` where it is not run: no function, or a method of an instance. */
function findLostHook(exports: Exports): ShapeProblem[] {
  const { dispose, default: app } = exports;
  if (dispose !== undefined) {
    if (typeof dispose === "function") return [];
    const message = `export "dispose" is ${describeValue(dispose)}, which is not run: expected a function`;
    return [{ message, exportName: "dispose" }];
  }
  if (typeof app !== "object" || app === null || isProxy(app) || isPlainObject(app)) return [];
  if (typeof Reflect.get(app, "dispose") !== "function") return [];
  const message =
    'default export is an instance with dispose(), which is not run: expected "export const dispose = () => app.dispose()"';
  return [{ message, exportName: "default" }];
}

/** Both forms at once: legal, and seldom meant. `config.methods` says that it is. */
function findTwoForms(exports: Exports, answers: "all" | "one"): ShapeProblem[] {
  const methods = EXPORTED_METHODS.filter((method) => typeof exports[method] === "function");
  const [first] = methods;
  const { default: app, config } = exports;
  if (app === undefined || first === undefined) return [];
  if (typeof config === "object" && config !== null && "methods" in config) return [];
  const found = `exports a default beside ${methods.join(", ")}`;
  const message =
    answers === "all"
      ? `${found}: the default answers all other methods. Expected one of the two forms, or config.methods with the methods of the default`
      : `${found}: the default answers nothing, since the file's name says ${first} only. Expected one of the two`;
  return [{ message, exportName: first }];
}
