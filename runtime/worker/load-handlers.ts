import { join, relative, sep } from "node:path";
import type { ErrorHandler, FolderConfig, HandlerConfig, Middleware } from "../api.ts";
import type { QueueReport, RouteNumber, ScheduledReport } from "../channel/messages.ts";
import { RuntimeError } from "../lib/errors.ts";
import { loadManifest, type Manifest, type ManifestModule } from "../generation/manifest.ts";
import { type Schedule, toSchedules } from "../lib/schedules.ts";
import { DEFAULT_POOL } from "../lib/pool-name.ts";
import type { SourcePosition } from "./error-location.ts";
import {
  readErrorModule,
  readFallbackModule,
  readHandlerModule,
  readMiddlewareModule,
  type Shape,
  type ShapeProblem,
  unwrapCommonJs,
} from "./handler-shape.ts";
import { findInFile, importModule, type ImportResult } from "./import-modules.ts";
import { type ModuleHooks, readHooks } from "./lifecycle.ts";
import { findOddExports } from "./odd-exports.ts";
import {
  toFallback,
  toGuard,
  toRoute,
  type LoadedRoute,
  type RouteFrame,
  type RouteModule,
  type Runnable,
  type RunRules,
} from "./route-table.ts";

export interface LoadOptions {
  mode: "production" | "development";
  /** Whose routes to load, with the modules that they need; without it, those of all pools. */
  pool?: string;
  /** Longest duration of loading. The message for a module that takes longer names the limit. */
  timeout?: LoadTimeout;
  /** Called before a module is imported, with its name in messages: `handlers/x.ts`. */
  onImport?: (source: string) => void;
  /** Recognises responses; the default asks the global `Response` each time, so it may be replaced before or after. */
  isResponse?: (value: unknown) => value is Response;
  /** Messages name files relative to this folder. */
  cwd?: string;
  /** Called for each failure of a handler. */
  onFailure?: RunRules["onFailure"];
}

export interface LoadTimeout {
  /** From now, in milliseconds. */
  ms: number;
  /** The setting that limits the time, for messages: `bootTimeout (30000 ms)`. */
  limit: string;
}

export interface LoadedGeneration {
  id: string;
  /** By their number in the manifest; `undefined` for those of other pools. */
  routes: (LoadedRoute | undefined)[];
  /** By their number in the manifest; `undefined` for those of other pools. */
  fallbacks: (LoadedRoute | undefined)[];
  /** A route of each site that the pool serves, by name of the site; `""`: the default site. */
  sites: ReadonlyMap<string, RouteNumber>;
  /** Returns the site of a route; `""`: the default one. */
  siteOf: (route: RouteNumber) => string;
  /** Functions that its modules run before the first request and after the last one; middleware from the outside in first. */
  hooks: ModuleHooks[];
  /** Exports without effect, one line each: `handlers/x.ts:12:3: message`. */
  warnings: string[];
  durationMs: number;
}

/** The facts about a route for the primary. Plain data. */
export interface RouteReport {
  /** All methods that are not answered 405; `null`: any. */
  methods: string[] | null;
  config: HandlerConfig;
  /** Configs that differ by method: `methodConfig[method] ?? config`. */
  methodConfig: Record<string, HandlerConfig>;
  /** Whether its module receives the events of WebSockets. */
  hasSockets: boolean;
  /** Handlers that run at times, and when; absent: none. */
  scheduled?: ScheduledReport[];
  /** Handlers that receive messages of queues; absent: none. */
  queues?: QueueReport[];
}

const DEFAULT_TIMEOUT: LoadTimeout = { ms: 30_000, limit: "30000 ms" };

/** Time for all modules after a module whose top level does not end. The worker reports their mistakes, too. */
const REST_MS = 500;

/**
 * Loads a generation: imports its modules, checks what they export and makes its routes ready to run.
 *
 * Modules are imported one after another, in the manifest's order, so that what they do at the top level happens in the
 * same order in every worker. Source maps are switched on for the whole process.
 *
 * @throws RuntimeError `ERR_HANDLER_LOAD` with one line per problem, all of them: `handlers/x.ts:12:3: message`.
 */
export async function loadGeneration(
  generationDir: string,
  options: LoadOptions,
): Promise<LoadedGeneration> {
  const startedAt = performance.now();
  process.setSourceMapsEnabled(true);
  const manifest = await loadManifest(generationDir);
  const loader = new Loader(manifest, options);
  await loader.importAll(generationDir);
  const routes = loader.routes();
  const fallbacks = loader.fallbacks();
  await loader.checkSchedules();
  await loader.throwProblems();
  const warnings = await loader.warnings();
  const hooks = loader.hooks();
  const sites = loader.sites();
  const siteOf = (route: RouteNumber): string =>
    (route >= 0 ? manifest.routes[route] : manifest.fallbacks[-1 - route])?.site ?? "";
  const durationMs = performance.now() - startedAt;
  return { id: manifest.id, routes, fallbacks, sites, siteOf, hooks, warnings, durationMs };
}

/** Returns the worker's report about its routes, in the manifest's order; `null` for routes of other pools. */
export function toReport(generation: LoadedGeneration): (RouteReport | null)[] {
  return generation.routes.map((route) => {
    if (route === undefined) return null;
    const { methods, config, methodConfig, sockets } = route;
    const scheduled = toScheduledReports(route);
    const queues = toQueueReports(route);
    return {
      methods: methods === null ? null : [...methods],
      config,
      methodConfig: { ...methodConfig },
      hasSockets: sockets !== null,
      ...(scheduled.length > 0 && { scheduled }),
      ...(queues.length > 0 && { queues }),
    };
  });
}

function toScheduledReports({ scheduled }: LoadedRoute): ScheduledReport[] {
  const reports = [...(scheduled ?? [])].map(([handler, { schedules }]) => ({
    handler,
    schedules: [...schedules],
  }));
  return reports.filter(({ schedules }) => schedules.length > 0);
}

function toQueueReports({ queues }: LoadedRoute): QueueReport[] {
  return [...(queues ?? [])].flatMap(([handler, { config }]) =>
    config === null ? [] : [{ handler, queue: config }],
  );
}

interface Problem {
  module: number;
  message: string;
  /** `null`: where the export is, if one is named. */
  position: SourcePosition | null;
  exportName: string | null;
  cause: unknown;
}

/** Goes through a manifest and keeps all that is wrong, so that one start shows every mistake. */
class Loader {
  readonly #manifest: Manifest;
  readonly #options: LoadOptions;
  readonly #rules: RunRules;
  /** By the module's number. */
  readonly #imports = new Map<number, ImportResult>();
  readonly #problems: Problem[] = [];
  readonly #shapes = new Map<string, unknown>();
  /** Middleware whose `config.files` was refused. */
  readonly #guardsChecked = new Set<number>();

  constructor(manifest: Manifest, options: LoadOptions) {
    this.#manifest = manifest;
    this.#options = options;
    const { mode, isResponse = isGlobalResponse, cwd = process.cwd(), onFailure } = options;
    this.#rules = { mode, isResponse, cwd, onFailure };
  }

  async importAll(generationDir: string): Promise<void> {
    const { timeout = DEFAULT_TIMEOUT, onImport } = this.#options;
    let deadlineMs = performance.now() + timeout.ms;
    let isLate = false;
    for (const number of this.#neededModules()) {
      const leftMs = deadlineMs - performance.now();
      if (isLate && leftMs <= 0) break;
      onImport?.(this.#display(number));
      const module = this.#module(number);
      const result = await importModule(generationDir, module, Math.max(0, leftMs));
      this.#imports.set(number, result);
      if (result.ok) continue;
      const { isPending = false, ...failure } = result.failure;
      const message = isPending
        ? `${failure.message} within ${timeout.limit}${failure.position === null ? ", in this file or in one that it imports" : ""}`
        : failure.message;
      this.#problems.push({ module: number, exportName: null, ...failure, message });
      if (!isPending || isLate) continue;
      isLate = true;
      deadlineMs = performance.now() + REST_MS;
    }
  }

  routes(): (LoadedRoute | undefined)[] {
    return this.#manifest.routes.map((route) => {
      if (!this.#isOurs(route)) return undefined;
      const modules = route.handlers.flatMap(({ method, module }): RouteModule[] => {
        const read = (namespace: Namespace) => readHandlerModule(namespace, method);
        const shape = this.#read(`handler ${method}`, module, read);
        const source = this.#display(module);
        return shape === null ? [] : [{ source, fileMethod: method, module: shape }];
      });
      const frame = this.#frame(route);
      // A module that could not be read is reported already. Problems of the rest of its route would only confuse.
      if (modules.length < route.handlers.length) return undefined;
      for (const [index, { module }] of modules.entries()) {
        const number = route.handlers[index]?.module;
        if (number !== undefined) this.#checkPool(route, { number, own: module.config, frame });
      }
      const result = toRoute(frame, modules);
      if (result.ok) return result.route;
      for (const { source, message } of result.problems) {
        const module = route.handlers.find((handler) => this.#display(handler.module) === source);
        if (module !== undefined) this.#addProblem(module.module, { message, exportName: null });
      }
      return undefined;
    });
  }

  fallbacks(): (LoadedRoute | undefined)[] {
    return this.#manifest.fallbacks.map((fallback) => {
      if (!this.#isOurs(fallback)) return undefined;
      if (fallback.files === true) {
        const frame = this.#frame(fallback);
        this.#checkPool(fallback, { number: fallback.module, own: {}, frame });
        return toGuard(frame, this.#display(fallback.module));
      }
      const target = this.#read("fallback", fallback.module, readFallbackModule);
      const frame = this.#frame(fallback);
      if (target === null) return undefined;
      this.#checkPool(fallback, { number: fallback.module, own: {}, frame });
      return toFallback(frame, this.#display(fallback.module), target);
    });
  }

  /** Checks the times of all handlers. Loads the library for that only where a handler has any. */
  async checkSchedules(): Promise<void> {
    const found: [module: number, schedules: readonly Schedule[]][] = [];
    for (const { handlers } of this.#manifest.routes) {
      for (const { module } of handlers) {
        const exports = this.#imports.get(module);
        if (exports === undefined || !exports.ok) continue;
        const { config } = unwrapCommonJs(exports.namespace);
        const value = typeof config === "object" && config !== null ? config : {};
        const schedules = toSchedules(Reflect.get(value, "schedule"));
        if (schedules !== null) found.push([module, schedules]);
      }
    }
    if (found.length === 0) return;
    const { findScheduleProblem } = await import("../lib/cron-times.ts");
    for (const [module, schedules] of found) {
      for (const schedule of schedules) {
        const message = findScheduleProblem(schedule);
        if (message !== null) this.#addProblem(module, { message, exportName: "config" });
      }
    }
  }

  async throwProblems(): Promise<void> {
    if (this.#problems.length === 0) return;
    const problems = this.#problems.toSorted((a, b) => a.module - b.module);
    const lines = await Promise.all(problems.map((problem) => this.#toLine(problem)));
    const message = `Cannot load handlers:\n${[...new Set(lines)].join("\n")}`;
    throw new RuntimeError("ERR_HANDLER_LOAD", message, { cause: problems[0]?.cause });
  }

  /** Returns a route of each site that the pool serves. */
  sites(): Map<string, RouteNumber> {
    const { routes, fallbacks } = this.#manifest;
    const sites = new Map<string, RouteNumber>();
    routes.forEach((route, number) => {
      if (this.#isOurs(route)) sites.set(route.site ?? "", number);
    });
    fallbacks.forEach((fallback, number) => {
      if (this.#isOurs(fallback)) sites.set(fallback.site ?? "", -1 - number);
    });
    return sites;
  }

  /** Describes exports that have no effect, one line each. */
  async warnings(): Promise<string[]> {
    const answers = new Map<number, "all" | "one">();
    for (const { handlers } of this.#manifest.routes) {
      for (const { module, method } of handlers) {
        answers.set(module, method === null ? "all" : "one");
      }
    }
    const lines: Promise<string>[] = [];
    for (const [module, exports] of this.#exports()) {
      const role = { answers: answers.get(module) ?? null };
      for (const problem of findOddExports(exports, role)) {
        lines.push(this.#toLine({ module, position: null, cause: undefined, ...problem }));
      }
    }
    return Promise.all(lines);
  }

  /** Middleware from the outside in, then all others in the manifest's order. */
  hooks(): ModuleHooks[] {
    const { routes, fallbacks } = this.#manifest;
    const middleware = [...routes, ...fallbacks].flatMap((each) => each.middleware);
    const depthOf = (number: number): number => this.#module(number).source.split("/").length;
    const outer = [...new Set(middleware)].toSorted((a, b) => depthOf(a) - depthOf(b) || a - b);
    const exports = new Map(this.#exports());
    return [...new Set([...outer, ...exports.keys()])].flatMap((module) => {
      const own = exports.get(module);
      const hooks = own === undefined ? null : readHooks(this.#display(module), own);
      return hooks === null ? [] : [hooks];
    });
  }

  *#exports(): Generator<[module: number, exports: Namespace]> {
    for (const [module, result] of this.#imports) {
      if (result.ok) yield [module, unwrapCommonJs(result.namespace)];
    }
  }

  #isOurs({ pool }: { pool: string }): boolean {
    return this.#options.pool === undefined || pool === this.#options.pool;
  }

  /** Returns the modules of the pool's routes, in the manifest's order. */
  #neededModules(): number[] {
    const { routes, fallbacks } = this.#manifest;
    const needed = new Set<number>();
    const add = ({ middleware, error }: TableScope): void => {
      for (const number of middleware) needed.add(number);
      if (error !== null) needed.add(error);
    };
    for (const route of routes.filter((each) => this.#isOurs(each))) {
      add(route);
      for (const { module } of route.handlers) needed.add(module);
    }
    for (const fallback of fallbacks.filter((each) => this.#isOurs(each))) {
      add(fallback);
      needed.add(fallback.module);
    }
    return [...needed].toSorted((a, b) => a - b);
  }

  /** The build has read the pool without running anything: what running it says must be the same. */
  #checkPool(
    { pool, middleware, site }: { pool: string; middleware: readonly number[]; site?: string },
    { number, own, frame }: { number: number; own: HandlerConfig; frame: RouteFrame },
  ): void {
    const ofSite = this.#manifest.sites?.find(({ name }) => name === site)?.pool;
    const evaluated = own.pool ?? frame.folderConfig.pool ?? ofSite ?? DEFAULT_POOL;
    if (evaluated === pool) return;
    const inherits = own.pool === undefined && frame.folderConfig.pool !== undefined;
    const owner = inherits ? this.#middlewareThatNames(evaluated, middleware) : number;
    const message = `config.pool is "${evaluated}" when it runs, but "${pool}" in what is written, expected export const config = { pool: "${evaluated}" }`;
    this.#addProblem(owner ?? number, { message, exportName: "config" });
  }

  /** The build has read `files` as well. */
  #checkGuard(number: number, { files = false }: FolderConfig): void {
    const { fallbacks } = this.#manifest;
    const isGuard = fallbacks.some((each) => each.files === true && each.module === number);
    if (isGuard === files || this.#guardsChecked.has(number)) return;
    this.#guardsChecked.add(number);
    const message = `config.files is ${files} when it runs, but the text does not say so, expected export const config = { files: ${files} }`;
    this.#addProblem(number, { message, exportName: "config" });
  }

  #middlewareThatNames(pool: string, middleware: readonly number[]): number | undefined {
    return middleware.findLast(
      (number) => this.#read("middleware", number, readMiddlewareModule)?.config.pool === pool,
    );
  }

  #frame(
    route: Pick<Manifest["fallbacks"][number], "pattern" | "middleware" | "error">,
  ): RouteFrame {
    const middleware: Runnable<Middleware>[] = [];
    let folderConfig: FolderConfig = {};
    for (const number of route.middleware) {
      const shape = this.#read("middleware", number, readMiddlewareModule);
      if (shape === null) continue;
      this.#checkGuard(number, shape.config);
      middleware.push({ source: this.#display(number), call: shape.handle });
      folderConfig = { ...folderConfig, ...shape.config };
    }
    const { pattern } = route;
    return {
      pattern,
      middleware,
      folderConfig,
      error: this.#error(route.error),
      rules: this.#rules,
    };
  }

  #error(number: number | null): Runnable<ErrorHandler> | null {
    if (number === null) return null;
    const call = this.#read("error", number, readErrorModule);
    return call === null ? null : { source: this.#display(number), call };
  }

  /** Checks a module in a role, once: middleware is met in each of its routes. `null`: not usable, and noted. */
  #read<T>(role: string, number: number, read: (namespace: Namespace) => Shape<T>): T | null {
    const imported = this.#imports.get(number);
    if (imported === undefined || !imported.ok) return null;
    const key = `${role} ${number}`;
    // The reader of this role stored the value.
    if (this.#shapes.has(key)) return this.#shapes.get(key) as T | null;
    const shape = read(imported.namespace);
    const module = shape.ok ? shape.module : null;
    this.#shapes.set(key, module);
    if (!shape.ok) for (const problem of shape.problems) this.#addProblem(number, problem);
    return module;
  }

  #addProblem(module: number, problem: ShapeProblem): void {
    this.#problems.push({ module, position: null, cause: undefined, ...problem });
  }

  async #toLine({ module, message, position, exportName }: Problem): Promise<string> {
    const known =
      position ?? (exportName === null ? null : await this.#findExport(module, exportName));
    if (known === null) return `${this.#display(module)}: ${message}`;
    const { file, line, column } = known;
    const place = [this.#relative(file), line, column].filter((part) => part !== null).join(":");
    return `${place}: ${message}`;
  }

  /** Modules keep no record of where they export something: the first line that looks like it. */
  #findExport(module: number, name: string): Promise<SourcePosition | null> {
    const pattern = new RegExp(`\\bexports?\\b.*\\b${name.replaceAll("$", "\\$")}\\b`);
    return findInFile(join(this.#manifest.sourceDir, this.#module(module).source), pattern);
  }

  #display(module: number): string {
    return this.#relative(join(this.#manifest.sourceDir, this.#module(module).source));
  }

  #relative(file: string): string {
    return relative(this.#rules.cwd, file).split(sep).join("/");
  }

  #module(number: number): ManifestModule {
    const module = this.#manifest.modules[number];
    if (module !== undefined) return module;
    throw new RuntimeError(
      "ERR_HANDLER_LOAD",
      `Cannot load generation "${this.#manifest.id}": found module ${number}, expected below ${this.#manifest.modules.length}`,
    );
  }
}

type Namespace = Readonly<Record<string, unknown>>;

type TableScope = Pick<Manifest["fallbacks"][number], "middleware" | "error">;

function isGlobalResponse(value: unknown): value is Response {
  return value instanceof Response;
}
