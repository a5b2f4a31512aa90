import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { lookup } from "mrmime";
import { ADDRESS_RANGE_EXPECTED, isAddressRange } from "../lib/address-ranges.ts";
import { parsePathPattern } from "../lib/path-pattern.ts";
import { parsePathTemplate, TEMPLATE_EXPECTED } from "../lib/path-template.ts";
import { type CorsSetting, readCors } from "./cors-setting.ts";
import {
  type BasicAuthSetting,
  type ConcurrencyLimitSetting,
  type ForwardAuthSetting,
  type RateLimitSetting,
  readBasicAuth,
  readConcurrencyLimit,
  readForwardAuth,
  readRateLimit,
} from "./gate-settings.ts";
import {
  type ActionPlace,
  type ActionReader,
  isRecord,
  readFields,
  readTexts,
  refuseUnknown,
  TOKEN,
} from "./rule-reader.ts";
import { type ProxySetting, readProxy } from "./proxy-setting.ts";
import { HANDLER_SETTINGS, type RouteSettings } from "./handler-settings.ts";
import { expectedOf, settingOf } from "./settings.ts";
import { readSecurity } from "./security-fields.ts";
import { duration } from "./setting-types.ts";

/** The actions of a rule. A missing member: the rule has no such action. */
export interface RuleActions {
  readonly setFields?: Readonly<Record<string, string>>;
  readonly appendFields?: Readonly<Record<string, string>>;
  /** In lower case. */
  readonly removeFields?: readonly string[];
  /** Fields of `_headers`: several rules join their values for one field. */
  readonly joinFields?: Readonly<Record<string, readonly string[]>>;
  /** Whether the access log has the request. */
  readonly accessLog?: boolean;
  /** Fields for replies that do not have them. */
  readonly security?: Readonly<Record<string, string>>;
  readonly cors?: CorsSetting;
  /** Settings of the route, by their fields. */
  readonly settings?: Partial<RouteSettings>;
  /** Path and query of the page, by status (`404`) or class (`5xx`). */
  readonly errorPages?: Readonly<Record<string, string>>;
  readonly maintenance?: MaintenanceSetting;
  /** Addresses and CIDR ranges. */
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly rateLimit?: RateLimitSetting;
  readonly concurrencyLimit?: ConcurrencyLimitSetting;
  readonly basicAuth?: BasicAuthSetting;
  readonly forwardAuth?: ForwardAuthSetting;
  readonly redirect?: RedirectSetting;
  readonly respond?: RespondSetting;
  readonly setRequestFields?: Readonly<Record<string, string>>;
  readonly removeRequestFields?: readonly string[];
  /** A template of `lib/path-template.ts`. */
  readonly rewrite?: string;
  readonly proxy?: ProxySetting;
}

export interface RedirectSetting {
  /** A template of `lib/path-template.ts`. */
  readonly to: string;
  readonly status: number;
}

export interface RespondSetting {
  readonly status: number;
  /** Field block. */
  readonly fields: string;
  readonly body: string;
}

export interface MaintenanceSetting {
  /** Field block. */
  readonly fields: string;
  readonly body: string;
  /** Addresses and ranges of clients that are served as usual. */
  readonly allow: readonly string[];
}

/** One reader for each action. A new action has an entry here, and a kind in `rules/kinds.ts`. */
const READERS: {
  readonly [Name in Exclude<keyof RuleActions, "settings" | "joinFields">]-?: ActionReader<
    Required<RuleActions>[Name]
  >;
} = {
  setFields: readFields,
  appendFields: readFields,
  removeFields: readNames,
  accessLog: readOnOff,
  security: readSecurity,
  cors: readCors,
  errorPages: readErrorPages,
  maintenance: readMaintenance,
  allow: readAddresses,
  deny: readAddresses,
  rateLimit: readRateLimit,
  concurrencyLimit: readConcurrencyLimit,
  basicAuth: readBasicAuth,
  forwardAuth: readForwardAuth,
  redirect: readRedirect,
  respond: readRespond,
  setRequestFields: readRequestFields,
  removeRequestFields: readRequestNames,
  rewrite: readRewrite,
  proxy: readProxy,
};

export const ACTION_NAMES: readonly string[] = [
  ...Object.keys(READERS),
  ...HANDLER_SETTINGS.map(({ setting }) => setting),
];

/** Checks the actions of a rule, and reports their problems. */
export function readActions(
  rule: Readonly<Record<string, unknown>>,
  { key, ...place }: ActionPlace,
): RuleActions {
  const given = Object.entries(READERS).filter(([name]) => rule[name] !== undefined);
  const actions = given.map(([name, reader]) => {
    const read: ActionReader<unknown> = reader;
    return [name, read(rule[name], { ...place, key: `${key}.${name}` })] as const;
  });
  const settings = HANDLER_SETTINGS.flatMap(({ setting, field }) => {
    const value = rule[setting];
    if (value === undefined) return [];
    const parsed = settingOf(setting).type.parse(value);
    if (parsed === null) {
      const whole = { key: "", value, expected: expectedOf(setting) };
      const wrong = settingOf(setting).type.explain?.(value) ?? whole;
      place.refuse(`${key}.${setting}${wrong.key}`, wrong.value, wrong.expected);
    }
    return [[field, parsed?.value]];
  });
  return {
    // Each reader returns the type of its action, or has reported a problem.
    ...(Object.fromEntries(actions.filter(([, action]) => action !== null)) as RuleActions),
    // The types of the settings parsed these values.
    ...(settings.length === 0 ? {} : { settings: Object.fromEntries(settings) as RuleSettings }),
  };
}

type RuleSettings = Partial<RouteSettings>;

function readOnOff(value: unknown, { key, refuse }: ActionPlace): boolean | null {
  if (typeof value === "boolean") return value;
  refuse(key, value, "true or false");
  return null;
}

function readErrorPages(
  value: unknown,
  { key, refuse }: ActionPlace,
): Record<string, string> | null {
  if (!isRecord(value)) {
    refuse(key, value, 'an object: { "404": "/404.html", "5xx": "/50x.html" }');
    return null;
  }
  const pages = Object.entries(value).flatMap(([status, page]) => {
    const place = `${key}[${JSON.stringify(status)}]`;
    if (!/^[45](?:\d\d|xx)$/.test(status)) refuse(place, status, 'a status such as "404" or "5xx"');
    const target = typeof page === "string" && /^\/[!-~]*$/.test(page) ? page : null;
    if (target === null) refuse(place, page, 'the path of a page, such as "/404.html"');
    return target === null ? [] : [[status, target]];
  });
  return Object.fromEntries(pages) as Record<string, string>; // Pairs of strings.
}

function readAddresses(value: unknown, { key, refuse }: ActionPlace): string[] {
  return readTexts(value, { key, refuse, expected: ADDRESS_RANGE_EXPECTED, parse: toRange });
}

function toRange(text: string): string | null {
  return isAddressRange(text) ? text : null;
}

function readNames(value: unknown, { key, refuse }: ActionPlace): string[] {
  const expected = "a name of a header field";
  return readTexts(value, { key, refuse, expected, parse: toFieldName });
}

function toFieldName(text: string): string | null {
  return TOKEN.test(text) ? text.toLowerCase() : null;
}

/** Fields of a request on which the server itself has acted already. */
const READ_FIELDS: readonly string[] = ["host", "content-length", "transfer-encoding"];

function readRequestFields(value: unknown, place: ActionPlace): Record<string, string> {
  const fields = readFields(value, place);
  refuseReadFields(Object.keys(fields), place);
  return fields;
}

function readRequestNames(value: unknown, place: ActionPlace): string[] {
  const names = readNames(value, place);
  refuseReadFields(names, place);
  return names;
}

function refuseReadFields(names: readonly string[], { key, refuse }: ActionPlace): void {
  for (const name of names) {
    if (READ_FIELDS.includes(name))
      refuse(key, name, `other fields than ${READ_FIELDS.join(", ")}`);
  }
}

const REDIRECT_STATUSES: readonly unknown[] = [301, 302, 303, 307, 308];

function readRedirect(value: unknown, { key, when, refuse }: ActionPlace): RedirectSetting | null {
  const own = typeof value === "string" ? { to: value } : value;
  if (!isRecord(own)) {
    refuse(key, value, `${TEMPLATE_EXPECTED}, or an object: { to: "/new", status: 302 }`);
    return null;
  }
  refuseUnknown(own, ["to", "status"], { key, refuse });
  const { to, status = 308 } = own;
  if (typeof status !== "number" || !REDIRECT_STATUSES.includes(status)) {
    refuse(`${key}.status`, status, REDIRECT_STATUSES.join(", "));
    return null;
  }
  const template = typeof to === "string" ? parsePathTemplate(to, namesOf(when.paths)) : null;
  if (typeof to === "string" && template !== null && !("expected" in template))
    return { to, status };
  const toKey = typeof value === "string" ? key : `${key}.to`;
  refuse(
    toKey,
    to,
    template !== null && "expected" in template ? template.expected : TEMPLATE_EXPECTED,
  );
  return null;
}

function readRewrite(value: unknown, { key, when, refuse }: ActionPlace): string | null {
  const expected = 'a path such as "/new/:id"';
  if (typeof value !== "string" || !value.startsWith("/") || value.includes("#")) {
    refuse(key, value, expected);
    return null;
  }
  const template = parsePathTemplate(value, namesOf(when.paths));
  if (!("expected" in template)) return value;
  refuse(key, value, template.expected === TEMPLATE_EXPECTED ? expected : template.expected);
  return null;
}

/** Returns the parameters that all of these patterns have. */
function namesOf(paths: readonly string[] | null): string[] {
  const [first = [], ...others] = (paths ?? []).map((text) => {
    const pattern = parsePathPattern(text);
    return "expected" in pattern ? [] : pattern.names;
  });
  return first.filter((name) => others.every((names) => names.includes(name)));
}

function readRespond(value: unknown, { key, refuse }: ActionPlace): RespondSetting | null {
  if (!isRecord(value)) {
    refuse(key, value, 'an object: { status: 410, body: "Gone" }');
    return null;
  }
  refuseUnknown(value, ["status", "body", "fields"], { key, refuse });
  const { status = 200, body = "", fields = {} } = value;
  const isStatus = typeof status === "number" && Number.isInteger(status);
  if (!isStatus || status < 200 || status > 599) {
    refuse(`${key}.status`, status, "a whole number from 200 to 599");
    return null;
  }
  if (typeof body !== "string") {
    refuse(`${key}.body`, body, "a text");
    return null;
  }
  const own = readFields(fields, { key: `${key}.fields`, refuse });
  const named = { ...(body === "" ? {} : TEXT), ...own };
  return { status, body, fields: Object.entries(named).flat().join("\n") };
}

const TEXT = { "content-type": "text/plain;charset=UTF-8" };

const RETRY_AFTER = duration(1000, 30 * 24 * 3_600_000);

/** Largest page. The config with its text travels to each worker. */
const MOST_PAGE_BYTES = 256 * 1024;

function readMaintenance(value: unknown, place: ActionPlace): MaintenanceSetting | null {
  const { key, refuse } = place;
  if (value === false) return null;
  const own = value === true ? {} : value;
  if (!isRecord(own)) {
    refuse(key, value, 'true, or an object: { file: "maintenance.html", allow: ["10.0.0.0/8"] }');
    return null;
  }
  refuseUnknown(own, ["file", "retryAfter", "allow"], { key, refuse });
  const { file, retryAfter = "5m", allow } = own;
  const retryAfterMs = RETRY_AFTER.parse(retryAfter)?.value;
  if (retryAfterMs === undefined) refuse(`${key}.retryAfter`, retryAfter, RETRY_AFTER.expected);
  const page = file === undefined ? TEXT_PAGE : readPage(file, { ...place, key: `${key}.file` });
  const fields = {
    "content-type": page?.type ?? "",
    "cache-control": "no-store",
    "retry-after": Math.ceil((retryAfterMs ?? 0) / 1000),
  };
  return {
    fields: Object.entries(fields).flat().join("\n"),
    body: page?.body ?? "",
    allow: allow === undefined ? [] : readAddresses(allow, { ...place, key: `${key}.allow` }),
  };
}

const TEXT_PAGE = { type: TEXT["content-type"], body: "Down for maintenance\n" };

function readPage(
  file: unknown,
  { key, folder, refuse }: ActionPlace,
): { type: string; body: string } | null {
  const type = typeof file === "string" ? lookup(file) : undefined;
  if (typeof file !== "string" || type === undefined) {
    refuse(key, file, 'a file such as "maintenance.html"');
    return null;
  }
  try {
    const path = resolve(folder, file);
    const { size } = statSync(path);
    const body = readFileSync(path, "utf8");
    if (size <= MOST_PAGE_BYTES) return { type: `${type};charset=UTF-8`, body };
    refuse(key, file, `a file of at most ${MOST_PAGE_BYTES / 1024} kb`);
  } catch {
    // Missing, a folder, or without permission.
    refuse(key, file, "a text file that can be read");
  }
  return null;
}
