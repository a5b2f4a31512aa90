import { join } from "node:path";
import type { Work } from "../../dispatch/work.ts";
import { toDisplayPath } from "../../lib/display-path.ts";
import type { Manifest } from "../../generation/manifest.ts";
import type { StackFrame } from "../../lib/stack-frames.ts";

/** Most exchanges of a hung worker that are named in the log. */
const NAMED_EXCHANGES = 10;

/** The fields that the log shows about the work of a hung worker. */
export interface HangDescription {
  /** The module of the handlers folder that blocks the worker: `handlers/a.ts`; absent: not known. */
  handler?: string;
  /** Patterns of the routes that run this module. */
  routes?: string[];
  /** How many exchanges wait for their answer. */
  exchanges: number;
  /** Likely causes first: exchanges of these routes, then the latest ones. Includes aborted exchanges. */
  inFlight: WorkDescription[];
}

export interface WorkDescription {
  requestId: string;
  method: string;
  /** Without the query, which may hold secrets. */
  path: string;
  /** `null`: a fallback. */
  route: string | null;
  state: "waiting" | "answering" | "given up";
  forMs: number;
}

/** Describes the work of a hung worker. Pure. */
export function describeHang(
  work: readonly Work[],
  {
    stack,
    manifest,
    requestIdOf,
  }: {
    stack: readonly StackFrame[];
    manifest: Pick<Manifest, "sourceDir" | "modules" | "routes">;
    requestIdOf: (work: Work) => string;
  },
): HangDescription {
  const module = findModule(stack, manifest);
  const routes = new Set(module === null ? [] : routesOf(module, manifest));
  const latestFirst = work.toReversed();
  const suspects = latestFirst.filter(({ route }) => routes.has(route));
  const others = latestFirst.filter(({ route }) => !routes.has(route));
  const patternOf = (route: number): string | null => manifest.routes[route]?.pattern ?? null;
  return {
    ...(module !== null && {
      handler: toDisplayPath(join(manifest.sourceDir, manifest.modules[module]?.source ?? "")),
      routes: [...routes].slice(0, NAMED_EXCHANGES).map((route) => patternOf(route) ?? ""),
    }),
    exchanges: work.filter(({ state }) => state !== "settled").length,
    inFlight: [...suspects, ...others]
      .slice(0, NAMED_EXCHANGES)
      .map((each) => ({ ...each, requestId: requestIdOf(each) }))
      .map(({ requestId, method, target, route, state, forMs }) => ({
        requestId,
        method,
        path: target.replace(/\?.*$/s, ""),
        route: patternOf(route),
        state: toWords(state),
        forMs,
      })),
  };
}

/** Returns the innermost module of the handlers folder in a stack. */
function findModule(
  stack: readonly StackFrame[],
  { sourceDir, modules }: Pick<Manifest, "sourceDir" | "modules">,
): number | null {
  const numbers = new Map(modules.map(({ source }, number) => [join(sourceDir, source), number]));
  for (const { position } of stack) {
    const number = position === null ? undefined : numbers.get(position.file);
    if (number !== undefined) return number;
  }
  return null;
}

/** Returns the numbers of the routes that use a module. */
function routesOf(module: number, { routes }: Pick<Manifest, "routes">): number[] {
  return routes.flatMap(({ handlers, middleware, error }, number) =>
    handlers.some((handler) => handler.module === module) ||
    middleware.includes(module) ||
    error === module
      ? [number]
      : [],
  );
}

/** Returns the state of an exchange in words for operators. */
export function toWords(state: Work["state"]): WorkDescription["state"] {
  if (state === "settled") return "given up";
  return state === "answering" ? "answering" : "waiting";
}
