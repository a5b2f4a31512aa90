import type { RouteLimits, RouteReport } from "../channel/messages.ts";
import { type RouteSettings, toRouteSettings } from "../config/handler-settings.ts";
import type { Buffering } from "../bodies/buffering.ts";
import type { TransferLimits } from "../http/client.ts";
import type { Rate } from "../lib/rate.ts";

/** `timeoutMs` of a handler, or the server's `requestTimeout`. */
export type TimeoutSetting = "timeoutMs" | "requestTimeout";

/** The rules for a request once its route is known: from its handler, otherwise from the server's settings. */
export interface RouteRules extends RouteSettings {
  /** The setting that gave `requestTimeoutMs`, for the log. */
  readonly timeoutSetting: TimeoutSetting;
  readonly buffering: Buffering;
  /** `null`: the server's own limits. */
  readonly transfer: TransferLimits | null;
  /** Requests of this route go before all others, and are served where others are refused. */
  readonly reserved: boolean;
  /** Whether a request of this route may run again after its worker was lost; `null`: its method decides. */
  readonly replay: boolean | null;
  /** `null`: any number of requests. */
  readonly rateLimit: Rate | null;
}

/** The rules of all routes of a pool, computed once: a request only looks them up. */
export class RuleBook {
  readonly #default: RouteRules;
  readonly #routes: readonly ({
    all: RouteRules;
    byMethod: ReadonlyMap<string, RouteRules>;
  } | null)[];
  readonly #merged = new WeakMap<Partial<RouteSettings>, Map<RouteRules, RouteRules>>();

  /** @param reports Indexed by route number; `null` for routes of other pools. */
  constructor(reports: readonly (RouteReport | null)[], defaults: RouteSettings) {
    this.#default = toRules(null, defaults);
    this.#routes = reports.map((report) =>
      report === null
        ? null
        : {
            all: toRules(report.limits, defaults),
            byMethod: new Map(
              Object.entries(report.methodLimits).map(([method, own]) => [
                method,
                toRules(own, defaults),
              ]),
            ),
          },
    );
  }

  /** Returns a route's rules. Routes without a report, such as fallbacks, have the server's settings. */
  rulesOf(route: number, method: string): RouteRules {
    const rules = this.#routes[route];
    if (rules === undefined || rules === null) return this.#default;
    return rules.byMethod.size === 0 ? rules.all : (rules.byMethod.get(method) ?? rules.all);
  }

  /** Returns rules of this book with the settings of a request. The result is kept with the settings. */
  withSettings(rules: RouteRules, settings: Partial<RouteSettings>): RouteRules {
    let byRules = this.#merged.get(settings);
    if (byRules === undefined) {
      byRules = new Map();
      this.#merged.set(settings, byRules);
    }
    let merged = byRules.get(rules);
    if (merged === undefined) {
      merged = merge(rules, settings);
      byRules.set(rules, merged);
    }
    return merged;
  }

  /** Returns all rules of a route: those of all methods, then those of single ones. */
  allOf(route: number): readonly RouteRules[] {
    const rules = this.#routes[route];
    const own = rules ?? null;
    return own === null ? [this.#default] : [own.all, ...own.byMethod.values()];
  }
}

const TRANSFER_FIELDS: readonly (keyof TransferLimits)[] = [
  "bodyTimeoutMs",
  "minBodyRateBytesPerSecond",
  "sendTimeoutMs",
];

/** Returns a route's rules with other settings. */
function merge(rules: RouteRules, settings: Partial<RouteSettings>): RouteRules {
  const merged = { ...rules, ...settings };
  const { bodyBufferBytes, bodyOverflow, responseOverflow } = merged;
  const { bodyTimeoutMs, minBodyRateBytesPerSecond, sendTimeoutMs } = merged;
  const transfer = { bodyTimeoutMs, minBodyRateBytesPerSecond, sendTimeoutMs };
  const isOwn = TRANSFER_FIELDS.some((field) => field in settings);
  return {
    ...merged,
    timeoutSetting: "requestTimeoutMs" in settings ? "requestTimeout" : rules.timeoutSetting,
    buffering: { bodyBufferBytes, bodyOverflow, responseOverflow },
    transfer: isOwn ? transfer : rules.transfer,
  };
}

function toRules(limits: RouteLimits | null, defaults: RouteSettings): RouteRules {
  const settings = toRouteSettings(limits, defaults);
  const { bodyBufferBytes, bodyOverflow, responseOverflow } = settings;
  const { bodyTimeoutMs, minBodyRateBytesPerSecond, sendTimeoutMs } = settings;
  const transfer = { bodyTimeoutMs, minBodyRateBytesPerSecond, sendTimeoutMs };
  const own = [limits?.bodyTimeoutMs, limits?.minBodyRateBytesPerSecond, limits?.sendTimeoutMs];
  const isOwn = own.some((limit) => typeof limit === "number");
  return {
    ...settings,
    timeoutSetting: typeof limits?.timeoutMs === "number" ? "timeoutMs" : "requestTimeout",
    buffering: { bodyBufferBytes, bodyOverflow, responseOverflow },
    transfer: isOwn ? transfer : null,
    reserved: limits?.reserved ?? false,
    replay: limits?.replay ?? null,
    rateLimit: limits?.rateLimit ?? null,
  };
}
