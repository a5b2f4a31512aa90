import type { Config } from "../config/config.ts";
import { inConfigFile, toEffective } from "../config/effective.ts";
import { HANDLER_SETTINGS } from "../config/handler-settings.ts";
import type { RateLimit } from "../limits/rate-limiter.ts";
import type { RuleSetting } from "../config/rule-settings.ts";
import type { SettingName } from "../config/settings.ts";
import { showValue } from "../config/show-value.ts";
import type { SiteConfig } from "../config/sites.ts";
import type { ExplainedLimit } from "../control/explanation.ts";
import { formatRate } from "../lib/rate.ts";
import type { InquiryRecord } from "./record.ts";

/** Limits of every request. */
const OF_ALL: readonly SettingName[] = [
  "maxConnections",
  "maxRequestsPerAddress",
  "headerLimit",
  "headerCountLimit",
  "urlLimit",
  "sendTimeout",
];

/** Limits of requests whose body the server reads. */
const OF_BODIES: readonly SettingName[] = [
  "maxRequests",
  "bodyLimit",
  "bodyTimeout",
  "minBodyRate",
  "spoolLimit",
];

/** Limits of requests to a pool. */
const OF_POOLS: readonly SettingName[] = [
  "requestTimeout",
  "workerConcurrency",
  "queueLimit",
  "queueDelay",
  "queueTimeout",
  "quarantine",
  "hangTimeout",
];

/** The limits that apply to a request, in the order in which it meets them. */
export function listLimits(
  record: InquiryRecord,
  {
    settings,
    site,
    answers,
  }: { settings: Config; site: SiteConfig; answers: "server" | "handler" | "proxy" },
): ExplainedLimit[] {
  const names = [
    ...OF_ALL,
    ...(answers === "server" ? [] : OF_BODIES),
    ...(answers === "handler" ? OF_POOLS : []),
  ];
  const limits = names.map((name) => toLimit(name, record, { settings, site }));
  return [...limits, ...listRuleLimits(record, settings), ...listRouteRate(record)];
}

/** A rule wins over the handler, and the handler over the settings of its site. */
function toLimit(
  name: SettingName,
  record: InquiryRecord,
  { settings, site }: { settings: Config; site: SiteConfig },
): ExplainedLimit {
  const own = HANDLER_SETTINGS.find(({ setting }) => setting === name);
  if (own === undefined) return toEffective(name, { settings, site });
  const { field, key } = own;
  const rule = record.facts.findLast(
    (fact) => fact.kind === "rule-settings" && fact.fields.includes(field),
  );
  if (rule?.kind === "rule-settings") {
    const setting = settings.rules.find((each) => each.key === rule.rule)?.settings;
    return {
      name,
      value: showValue(field, setting?.[field]),
      from: inConfigFile(rule.rule, settings),
    };
  }
  const value = record.find("handler-limits")?.limits?.[key] ?? null;
  if (value === null) return toEffective(name, { settings, site });
  return { name, value: showValue(field, value), from: describeHandler(record, key) };
}

function describeHandler(record: InquiryRecord, key: string): string {
  const file = record.find("route")?.file ?? "";
  return `config.${key} of ${file === "" ? "the handler" : file}`;
}

/** Returns the limits of rules that hold for the request. */
function listRuleLimits(record: InquiryRecord, settings: Config): ExplainedLimit[] {
  return record
    .toSteps()
    .flatMap(({ rules }) =>
      settings.rules
        .filter(({ key }) => rules.includes(key))
        .flatMap((rule) => toLimits(rule, settings)),
    )
    .filter(
      ({ name, from }, at, all) =>
        at === all.findIndex((each) => each.name === name && each.from === from),
    );
}

function toLimits(
  { rateLimit, concurrencyLimit, key }: RuleSetting,
  settings: Config,
): ExplainedLimit[] {
  const from = inConfigFile(key, settings);
  return [
    ...(rateLimit === undefined
      ? []
      : [{ name: "rateLimit", value: describeRate(rateLimit), from }]),
    ...(concurrencyLimit === undefined
      ? []
      : [
          {
            name: "concurrencyLimit",
            value: `${concurrencyLimit.most} for each ${describeKey(concurrencyLimit.key)}`,
            from,
          },
        ]),
  ];
}

function describeRate({ rate, burst, key, dryRun }: RateLimit): string {
  return `${formatRate(rate)} for each ${describeKey(key)}, burst ${burst}${dryRun ? ", dry run" : ""}`;
}

function describeKey(key: RateLimit["key"]): string {
  if (typeof key === "string") return key;
  return "header" in key ? `value of the field ${key.header}` : `value of the cookie ${key.cookie}`;
}

function listRouteRate(record: InquiryRecord): ExplainedLimit[] {
  const rate = record.find("handler-limits")?.limits?.rateLimit ?? null;
  if (rate === null) return [];
  const from = describeHandler(record, "rateLimit");
  return [{ name: "rateLimit", value: `${formatRate(rate)} for each address`, from }];
}
