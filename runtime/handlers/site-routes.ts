import type { RouteLimits } from "../channel/messages.ts";
import {
  HANDLER_SETTINGS,
  type RouteSettings,
  toRouteSettings,
} from "../config/handler-settings.ts";
import type { Config } from "../config/config.ts";
import { showValue } from "../config/show-value.ts";
import { DEFAULT_SITE, listSites, toSiteSettings } from "../config/sites.ts";
import type { Client } from "../http/client.ts";
import type { QueueConfig } from "../config/queue-config.ts";
import type { Schedule } from "../lib/schedules.ts";
import type { RouteInfo } from "../control/operations.ts";
import { RuleBook } from "../dispatch/route-rules.ts";
import type { Manifest } from "../generation/manifest.ts";
import type { Inquiry } from "../http/inquiry.ts";
import type { StandIn, StandInSlot } from "../http/stand-in.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { formatRate, type Rate } from "../lib/rate.ts";
import { RateLimiter, type RateLimiterOptions } from "../limits/rate-limiter.ts";
import { createGuardMatcher, type GuardMatcher } from "../route/match-guard.ts";
import { createMatcher, type Matcher } from "../route/match.ts";
import type { HandlerPool, RouteScope, SharedParts } from "./handler-pool.ts";
import { RouteResponder, type RouteResponderOptions } from "./route-responder.ts";

/** A route for messages: methods (none: any), pattern, and the files that answer. */
export interface RouteDescription {
  methods: readonly string[];
  pattern: string;
  /** Relative to the folder of the site's handlers. */
  file: string;
  /** The route belongs to a Python application outside of the handlers, and `file` is its name. */
  isApp: boolean;
  /** The site that it belongs to; `null`: the default one. */
  site: string | null;
}

/** A handler that runs at times, with one of its times. */
export interface ScheduledHandler {
  /** The same for the same file and times in each generation. */
  readonly id: string;
  /** Name of its site. */
  readonly site: string;
  readonly pattern: string;
  /** Relative to the folder of the site's handlers. */
  readonly file: string;
  readonly pool: string;
  /** Index of the handler in its route. */
  readonly handler: number;
  readonly schedule: Schedule;
  /** Longest time of a run; 0: no limit. */
  readonly timeoutMs: number;
  /** Gives a run to a worker. The client gets the outcome. */
  readonly run: (client: Client, url: string) => void;
}

/** A handler that receives messages of a queue. */
export interface QueueHandler {
  /** Name of its site. */
  readonly site: string;
  readonly pattern: string;
  /** Relative to the folder of the site's handlers. */
  readonly file: string;
  readonly pool: string;
  /** Index of the handler in its route. */
  readonly handler: number;
  readonly config: QueueConfig;
  /** Gives a batch to a worker. The client gets the outcome. */
  readonly run: (client: Client, url: string) => void;
}

interface SiteRoute {
  readonly responder: RouteResponder;
  readonly route: Manifest["routes"][number];
}

interface SiteFallback {
  readonly pattern: string;
  /** Number of its module in the manifest. */
  readonly module: number;
  readonly responder: RouteResponder;
  /** No `_404`, but middleware that guards files. */
  readonly files?: true;
}

/** Returns the settings that a handler has for itself. */
function describeLimits(limits: RouteLimits | null): RouteInfo["settings"] {
  if (limits === null) return [];
  const rows = HANDLER_SETTINGS.flatMap(({ key, field }): { name: string; value: string }[] => {
    const value = limits[key];
    return value === null ? [] : [{ name: key, value: showValue(field, value) }];
  });
  const { reserved, replay, rateLimit } = limits;
  if (rateLimit !== null) rows.push({ name: "rateLimit", value: formatRate(rateLimit) });
  if (reserved !== null) rows.push({ name: "reserved", value: String(reserved) });
  if (replay !== null) rows.push({ name: "replay", value: String(replay) });
  return rows;
}

/** Most other routes that an explanation names. */
const MOST_LOSERS = 10;

/** The routes of one site in a generation that serves. */
export class SiteRoutes {
  readonly #match: Matcher;
  readonly #routes: readonly SiteRoute[];
  readonly #fallbacks: readonly SiteFallback[];
  /** `null`: no middleware guards files. */
  readonly #guards: GuardMatcher | null;
  readonly #manifest: Manifest;
  readonly #slot: StandInSlot;
  /** With those that only run at times, which answer no request. */
  readonly #allRoutes: readonly SiteRoute[];

  constructor(options: {
    manifest: Manifest;
    routes: readonly SiteRoute[];
    fallbacks: readonly SiteFallback[];
    slot: StandInSlot;
  }) {
    const { manifest, routes: allRoutes, fallbacks, slot } = options;
    this.#slot = slot;
    const routes = allRoutes.filter(({ responder }) => responder.methods?.length !== 0);
    this.#manifest = manifest;
    this.#allRoutes = allRoutes;
    this.#routes = routes;
    this.#fallbacks = fallbacks;
    this.#match = createMatcher({ routes: routes.map(({ route }) => route), fallbacks });
    this.#guards = createGuardMatcher(fallbacks);
  }

  /** Number of routes. */
  get count(): number {
    return this.#routes.length;
  }

  /** Tells whether a route matches the target. A fallback does not count. */
  hasRoute(target: ParsedTarget): boolean {
    const match = this.#match(target.pathname);
    return match !== null && "route" in match;
  }

  /**
   * Returns the route for a target, otherwise the nearest fallback; `null`: there is neither. Stores the route's
   * parameters in the target.
   */
  find(target: ParsedTarget): RouteResponder | null {
    const match = this.#match(target.pathname);
    if (match === null) return null;
    if (!("route" in match)) return this.#fallbacks[match.fallback]?.responder ?? null;
    target.params = match.params;
    return this.#routes[match.route]?.responder ?? null;
  }

  /** Finds the route of a path without a request; `null`: there is none, or only a fallback. */
  locate(pathname: string): { responder: RouteResponder; params: ParsedTarget["params"] } | null {
    const match = this.#match(pathname);
    if (match === null || !("route" in match)) return null;
    const found = this.#routes[match.route];
    return found === undefined ? null : { responder: found.responder, params: match.params };
  }

  /** Whether middleware guards files. */
  get guardsFiles(): boolean {
    return this.#guards !== null;
  }

  /** Returns the middleware that guards the files of a path; `null`: none does. */
  findGuard({ path }: ParsedTarget): Pick<RouteResponder, "answerFound"> | null {
    const match = path === null ? null : (this.#guards?.(path) ?? null);
    const responder = match === null ? undefined : this.#fallbacks[match.fallback]?.responder;
    if (match === null || responder === undefined) return null;
    return {
      answerFound(client, target, found) {
        target.params = match.params;
        responder.answerFound(client, target, found);
      },
    };
  }

  /** Lets this stand-in answer requests that handlers pass on. */
  useStandIn(standIn: StandIn | null): void {
    this.#slot.standIn = standIn;
  }

  /** Lists routes and fallbacks, for an operator. */
  list(site: string): RouteInfo[] {
    const routes = this.#routes.map((route) => {
      const { pattern, file, methods } = this.#describe(route);
      const { pool, limits } = route.responder;
      const settings = describeLimits(limits);
      return {
        site,
        use: "route",
        methods,
        pattern,
        file,
        pool: pool.plan.name,
        settings,
      } as const;
    });
    const fallbacks = this.#fallbacks
      .filter(({ files }) => files !== true)
      .map(({ pattern, module, responder: { pool } }) => {
        const file = this.#manifest.modules[module]?.source ?? "";
        const own = { methods: [], pattern, file, pool: pool.plan.name, settings: [] };
        return { site, use: "fallback", ...own } as const;
      });
    return [...routes, ...fallbacks];
  }

  /** Returns the handlers that run at times. */
  listScheduled(site: string): ScheduledHandler[] {
    return this.#allRoutes.flatMap(({ route, responder }) =>
      responder.scheduled.flatMap(({ handler, schedules }) => {
        const number = route.handlers[handler]?.module ?? -1;
        const file = this.#nameOf(this.#manifest.modules[number]?.source ?? "", route.site);
        return schedules.map((schedule) => ({
          id: [site, file, schedule.cron, schedule.timeZone].join(" "),
          site,
          pattern: route.pattern,
          file,
          pool: responder.pool.plan.name,
          handler,
          schedule,
          timeoutMs: responder.rulesOf("GET").requestTimeoutMs,
          run: (client: Client, url: string) => responder.answerScheduled(client, url),
        }));
      }),
    );
  }

  /** Returns the handlers that receive messages of queues. */
  listQueues(site: string): QueueHandler[] {
    return this.#allRoutes.flatMap(({ route, responder }) =>
      responder.queues.map(({ handler, queue: config }) => {
        const number = route.handlers[handler]?.module ?? -1;
        return {
          site,
          pattern: route.pattern,
          file: this.#nameOf(this.#manifest.modules[number]?.source ?? "", route.site),
          pool: responder.pool.plan.name,
          handler,
          config,
          run: (client: Client, url: string) => responder.answerQueue(client, url),
        };
      }),
    );
  }

  describeRoutes(): RouteDescription[] {
    return this.#routes.map((route) => this.#describe(route));
  }

  /** Tells which route or fallback gets a target, and which other routes match its path. */
  explain(target: ParsedTarget, inquiry: Inquiry): void {
    const match = this.#match(target.pathname);
    if (match === null) return;
    if (!("route" in match)) {
      const fallback = this.#fallbacks[match.fallback];
      if (fallback === undefined) return;
      const { pattern, module } = fallback;
      const file = this.#manifest.modules[module]?.source ?? "";
      const none = { methods: [], params: {}, losers: [] };
      inquiry.tell({ kind: "route", use: "fallback", pattern, file, ...none });
      return;
    }
    const found = this.#routes[match.route];
    if (found === undefined) return;
    const { pattern, file, methods } = this.#describe(found);
    const params = match.params ?? {};
    const losers = this.#findLosers(target, found).map((route) => ({
      pattern: route.pattern,
      file: route.file,
    }));
    inquiry.tell({ kind: "route", use: "route", pattern, file, methods, params, losers });
  }

  /** Finds the routes that would get a target if all before them were not there. The nearest one comes first. */
  #findLosers(target: ParsedTarget, winner: SiteRoute): RouteDescription[] {
    const losers: RouteDescription[] = [];
    let left = this.#routes.filter((route) => route !== winner);
    while (losers.length < MOST_LOSERS) {
      const matcher = createMatcher({ routes: left.map(({ route }) => route), fallbacks: [] });
      const match = matcher(target.pathname);
      const next = match !== null && "route" in match ? left[match.route] : undefined;
      if (next === undefined) break;
      losers.push(this.#describe(next));
      left = left.filter((route) => route !== next);
    }
    return losers;
  }

  #describe({ route, responder }: SiteRoute): RouteDescription {
    const { pattern, handlers } = route;
    const site = route.site ?? null;
    const { modules } = this.#manifest;
    const nameOf = (source: string): string => this.#nameOf(source, route.site);
    const own = handlers.map(({ module }) => modules[module]);
    const isApp = own.some((module) => module?.app !== undefined && module.app.file === undefined);
    const file = own.map((module) => (isApp ? module?.app?.spec : nameOf(module?.source ?? "")));
    const { methods } = responder;
    return { methods: methods ?? [], pattern, file: file.join(", "), isApp, site };
  }

  /** Returns the name of a file in the folder of its site's handlers. */
  #nameOf(source: string, site: string | undefined): string {
    const { sites = [] } = this.#manifest;
    const dir = sites.find(({ name }) => name === site)?.dir;
    return dir !== undefined && source.startsWith(`${dir}/`)
      ? source.slice(dir.length + 1)
      : source;
  }
}

/** Creates the routes of all sites that have any. */
export function createSiteRoutes(options: {
  manifest: Manifest;
  config: Config;
  pools: ReadonlyMap<string, HandlerPool>;
  shared: SharedParts & Pick<RateLimiterOptions, "states">;
  /** Called for each request to a route. */
  onRequest: () => void;
}): Map<string, SiteRoutes> {
  const { manifest, config, pools, shared, onRequest } = options;
  const { admission, intakes, sockets } = shared;
  const books = new RuleBooks(config);
  const toResponder = (name: string, scope: RouteScope): RouteResponder => {
    const pool = pools.get(name);
    if (pool === undefined) throw new TypeError(`no pool ${name} for ${scope.pattern}`);
    const rules = books.of(pool, scope.site);
    const route = pool.numberOf(scope);
    const place = `${scope.site ?? ""}${scope.pattern}`;
    const createLimiter = (rate: Rate): RateLimiter => {
      const limit = { rate, burst: rate.requests, key: "address", dryRun: false } as const;
      return new RateLimiter(limit, { ...shared, place, id: place });
    };
    const version = config.cacheReload === "drop" ? pool.codeTag : null;
    const cacheAround: RouteResponderOptions["cacheAround"] = (inner, policy) =>
      shared.cache.around(inner, { policy, version });
    const names = { route: scope.pattern, fallback: "unmatched", guard: "files" } as const;
    const { finishedRequests } = shared.counters;
    const series = finishedRequests.idOf(scope.site ?? DEFAULT_SITE, names[scope.kind]);
    const { slot } = partsOf(scope.site);
    const own = { pool, route, rules, series, slot, createLimiter, cacheAround };
    return new RouteResponder({ ...own, admission, intakes, sockets, onRequest });
  };
  const found = new Map<string, ConstructorParameters<typeof SiteRoutes>[0] & Parts>();
  const partsOf = (site: string | undefined): Parts => {
    const name = site ?? DEFAULT_SITE;
    const known = found.get(name);
    if (known !== undefined) return known;
    const parts = { manifest, routes: [], fallbacks: [], slot: { standIn: null } };
    found.set(name, parts);
    return parts;
  };
  // Development shows the problem of a site without routes, too.
  partsOf(undefined);
  for (const route of manifest.routes) {
    const { pattern, pool, site } = route;
    const responder = toResponder(pool, { kind: "route", pattern, site });
    partsOf(site).routes.push({ route, responder });
  }
  for (const { pattern, pool, site, files, module } of manifest.fallbacks) {
    const kind = files === true ? "guard" : "fallback";
    const responder = toResponder(pool, { kind, pattern, site });
    const guard = files === true && { files };
    partsOf(site).fallbacks.push({ pattern, module, responder, ...guard });
  }
  return new Map([...found].map(([name, parts]) => [name, new SiteRoutes(parts)]));
}

interface Parts {
  routes: SiteRoute[];
  fallbacks: SiteFallback[];
  slot: StandInSlot;
}

/** The rules of pools under the settings of sites. Sites with equal settings share them. */
class RuleBooks {
  readonly #books = new Map<string, RuleBook>();
  readonly #settings: ReadonlyMap<string, RouteSettings>;
  readonly #defaults: RouteSettings;

  constructor(config: Config) {
    const settings = listSites(config).map((site): [string, RouteSettings] => [
      site.name,
      toRouteSettings(null, toSiteSettings(config, site)),
    ]);
    this.#settings = new Map(settings);
    this.#defaults = toRouteSettings(null, config);
  }

  of(pool: HandlerPool, site = DEFAULT_SITE): RuleBook {
    const settings = this.#settings.get(site) ?? this.#defaults;
    const key = `${pool.plan.name} ${JSON.stringify(settings)}`;
    const known = this.#books.get(key);
    if (known !== undefined) return known;
    const book = new RuleBook(pool.reports, settings);
    this.#books.set(key, book);
    return book;
  }
}
