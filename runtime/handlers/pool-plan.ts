import { join } from "node:path";
import type { Config } from "../config/config.ts";
import type { WorkerBindings } from "../lib/binding-settings.ts";
import type { PoolSetting } from "../config/file-settings.ts";
import { RELOAD_EFFECT } from "../config/reload-effect.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import type { Manifest, ManifestApp, ManifestModule } from "../generation/manifest.ts";
import { listProxies } from "../config/proxies.ts";
import { DEFAULT_POOL } from "../lib/pool-name.ts";

/** Number of workers of a pool without settings. One worker is enough to isolate its handlers. */
const WORKERS_OF_UNKNOWN_POOL = 1;

/** Most files that a message names. Further ones are only counted. */
const MOST_NAMED = 5;

/** The definition of one pool of a generation. Plain data. */
export interface PoolPlan {
  readonly name: string;
  /** Absolute path of the handlers folder. */
  readonly sourceDir: string;
  readonly workers: number;
  /** Most workers of a pool that grows while all of its workers are busy. */
  readonly maxWorkers: number;
  readonly concurrency: number;
  /** The Python application that its workers run; `null`: they run handlers. */
  readonly app: AppPlan | null;
  /** `null`: its handlers have no bindings. */
  readonly bindings: WorkerBindings | null;
  /** Memory limit of one worker; 0: no limit. */
  readonly memoryLimitBytes: number;
  /** Whether the operator chose the memory limit. */
  readonly hasOwnMemoryLimit: boolean;
  /**
   * All facts that define the workers, under names for operators. Pools with equal facts have equal workers. `code` has
   * the hash of each module, by its source file.
   */
  readonly code: ReadonlyMap<string, string>;
  readonly others: ReadonlyMap<string, string>;
}

/** A Python application, and how the workers of its pool run it. Plain data. */
export interface AppPlan extends ManifestApp {
  readonly threads: number;
}

/**
 * Returns the pools of a generation under a config: the pools of its routes, or the default pool if it has no routes. A
 * server of proxies alone has no pool.
 */
export function planPools(manifest: Manifest, config: Config): PoolPlan[] {
  const { routes, fallbacks } = manifest;
  const names = new Set([...routes, ...fallbacks].map(({ pool }) => pool));
  if (names.size === 0 && listProxies(config).length === 0) names.add(DEFAULT_POOL);
  return [...names].toSorted().map((name) => planPool(name, { manifest, config }));
}

/** Returns the reasons why the workers of one plan cannot serve the other, one phrase each. Empty: they can. */
export function findReasons(before: PoolPlan, after: PoolPlan): string[] {
  const { changed, added, gone } = compare(before.code, after.code);
  const others = compare(before.others, after.others);
  const nameIn = ({ sourceDir }: PoolPlan) => {
    return (source: string): string => toDisplayPath(join(sourceDir, source));
  };
  return [
    ...describe("changed", changed.map(nameIn(after))),
    ...describe("new", added.map(nameIn(after))),
    ...describe("gone", gone.map(nameIn(before))),
    ...[...others.changed, ...others.added, ...others.gone].map((name) => `${name} changed`),
  ];
}

/** Returns the configured pools without handlers. */
export function findUnusedPools(plans: readonly PoolPlan[], config: Config): string[] {
  return Object.keys(config.pools).filter(
    (name) => name !== DEFAULT_POOL && plans.every((plan) => plan.name !== name),
  );
}

/** Returns how much memory one worker of a pool may use, in bytes; 0: no limit. */
export function memoryLimitOf(name: string, config: Config): number {
  return settingOf(name, config)?.memoryLimitBytes ?? config.workerMemoryLimitBytes;
}

function settingOf(name: string, { pools }: Config): PoolSetting | undefined {
  // A pool's name may be `constructor`.
  return Object.hasOwn(pools, name) ? pools[name] : undefined;
}

function planPool(
  name: string,
  { manifest, config }: { manifest: Manifest; config: Config },
): PoolPlan {
  const setting = settingOf(name, config);
  const modules = listModules(name, manifest);
  const ofApp = config.apps.find(({ pool }) => pool === name);
  const app = toAppPlan(modules[0]?.app, ofApp ?? config);
  // These have as many workers as the settings `workers` and `maxWorkers` say, unless they have numbers of their own.
  const isGeneral = name === DEFAULT_POOL || app !== null;
  const ofSite = config.sites.find(({ pool, workers }) => pool === name && workers !== null);
  const own = ofApp?.workers ?? setting?.workers ?? ofSite?.workers ?? null;
  const workers = own ?? (isGeneral ? config.workers : WORKERS_OF_UNKNOWN_POOL);
  const maxWorkers = own === null && isGeneral ? config.maxWorkers : workers;
  const concurrency = setting?.concurrency ?? config.workerConcurrency;
  const memoryLimitBytes = memoryLimitOf(name, config);
  // An automatic limit depends on the number of workers of all pools. It changes without new workers
  // (`HandlerPool.adopt`).
  const hasOwnMemoryLimit =
    (setting?.memoryLimitBytes ?? null) !== null ||
    !config.automatic.includes("workerMemoryLimitBytes");
  const others = new Map<string, string>([
    ["number of workers", `${workers} to ${maxWorkers}`],
    ["concurrency", String(concurrency)],
    ["memory limit", String(hasOwnMemoryLimit ? memoryLimitBytes : "auto")],
    ["routes", JSON.stringify(listRoutes(name, manifest))],
    ["folder of the handlers", manifest.sourceDir],
  ]);
  const warmups = config.sites.filter(({ pool, warmup }) => pool === name && warmup.length > 0);
  if (warmups.length > 0) {
    others.set("warmup of its sites", JSON.stringify(warmups.map(({ warmup }) => warmup)));
  }
  const bindings = app === null ? toBindings(name, config) : null;
  if (bindings !== null) others.set("bindings", JSON.stringify(bindings));
  if (app !== null) others.set("application", JSON.stringify(app));
  if (modules.some(({ usesPackages }) => usesPackages)) others.set("packages", manifest.packages);
  // In development every build replaces the workers. The developer then sees the effects of loading the handlers, and
  // of the data that they read.
  if (config.mode === "development") others.set("build", manifest.id);
  for (const [key, { name: settingName, effect }] of Object.entries(RELOAD_EFFECT)) {
    // The keys of the table are exactly the keys of Config.
    if (effect === "pools") others.set(settingName, JSON.stringify(config[key as keyof Config]));
  }
  const code = new Map(modules.map(({ source, hash }) => [source, hash]));
  const { sourceDir } = manifest;
  const numbers = { workers, maxWorkers, concurrency, memoryLimitBytes, hasOwnMemoryLimit };
  return { name, sourceDir, ...numbers, app, bindings, code, others };
}

/** Returns the bindings that the handlers of a pool have, and the stores that these need. */
function toBindings(
  pool: string,
  { bindings, stores, envVariables, stateDir }: Config,
): WorkerBindings | null {
  const own = bindings.filter(({ pools }) => pools === null || pools.includes(pool));
  if (own.length === 0 && envVariables === null) return null;
  const needed = new Set(own.flatMap(({ value }) => ("store" in value ? [value.store] : [])));
  return {
    bindings: own,
    stores: stores.filter(({ name }) => needed.has(name)),
    dir: join(stateDir, STORES_FOLDER),
    variables: envVariables,
  };
}

/** Folder of the embedded stores, in the state folder. */
export const STORES_FOLDER = "stores";

function toAppPlan(
  app: ManifestApp | undefined,
  { threads }: Pick<AppPlan, "threads">,
): AppPlan | null {
  return app === undefined ? null : { ...app, threads };
}

function listModules(name: string, { modules, routes, fallbacks }: Manifest): ManifestModule[] {
  const scopes = [
    ...routes.map(({ handlers, ...rest }) => ({
      ...rest,
      own: handlers.map(({ module }) => module),
    })),
    ...fallbacks.map(({ module, ...rest }) => ({ ...rest, own: [module] })),
  ].filter(({ pool }) => pool === name);
  const numbers = scopes.flatMap(({ own, middleware, error }) => [
    ...own,
    ...middleware,
    ...(error === null ? [] : [error]),
  ]);
  return [...new Set(numbers)].flatMap((number) => modules[number] ?? []);
}

/** Returns the pool's routes and their modules by name. Their numbers are valid within one generation only. */
function listRoutes(name: string, { modules, routes, fallbacks }: Manifest): unknown {
  const sourceOf = (number: number | null): string | null =>
    number === null ? null : (modules[number]?.source ?? null);
  const ours = <T extends { pool: string }>(all: readonly T[]): T[] =>
    all.filter(({ pool }) => pool === name);
  return [
    ours(routes).map(({ site, pattern, handlers, middleware, error }) => [
      site,
      pattern,
      handlers.map(({ method, module }) => [method, sourceOf(module)]),
      middleware.map(sourceOf),
      sourceOf(error),
    ]),
    ours(fallbacks).map(({ site, pattern, module, middleware, error }) => [
      site,
      pattern,
      sourceOf(module),
      middleware.map(sourceOf),
      sourceOf(error),
    ]),
  ];
}

function compare(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): { changed: string[]; added: string[]; gone: string[] } {
  const keys = [...after.keys()];
  return {
    changed: keys.filter((key) => before.has(key) && before.get(key) !== after.get(key)),
    added: keys.filter((key) => !before.has(key)),
    gone: [...before.keys()].filter((key) => !after.has(key)),
  };
}

function describe(change: string, names: readonly string[]): string[] {
  if (names.length <= MOST_NAMED) return names.map((name) => `${change}: ${name}`);
  const named = names.slice(0, MOST_NAMED).map((name) => `${change}: ${name}`);
  return [...named, `${change}: ${names.length - MOST_NAMED} more`];
}
