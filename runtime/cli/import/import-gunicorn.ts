import { DEFAULTS, HOOKS, OTHERS } from "./gunicorn-known.ts";
import { bindsOf, type GunicornSettings, lineOf } from "./read-gunicorn.ts";
import type { Line, Report } from "./report.ts";
import { Section } from "./section.ts";

export interface GunicornImportOptions {
  report: Report;
  /** `MODULE:NAME` from the command line; `null`: the file may name it. */
  app: string | null;
  /** The config has ports and logs already. */
  hasNginx: boolean;
}

/** Stands for the application of which no file tells the name. */
const UNNAMED = "myproject.wsgi:application";

/** Adds the settings of Gunicorn to a config. */
export function addGunicorn(
  config: Section,
  settings: GunicornSettings,
  { report, app, hasNginx }: GunicornImportOptions,
): void {
  const sections = findAppSections(config);
  const [target = config] = sections;
  const { values, computed } = settings;
  const ownApp = values["wsgi_app"];
  const named = app ?? (typeof ownApp === "string" && ownApp !== "" ? ownApp : null);
  for (const section of [target, ...sections]) section.set("app", named ?? UNNAMED);
  if (hasNginx && sections.length === 0) {
    report.todo(
      lineOf("bind", settings),
      "no `proxy_pass` leads to this address: remove the `proxy` whose place the application takes",
    );
  }
  if (named === null) {
    report.todo(
      { place: settings.file, text: "wsgi_app is not set" },
      "set `app` to the application, as in the command line of Gunicorn: MODULE:NAME",
    );
  }
  for (const [name, value] of Object.entries(values)) {
    const line = lineOf(name, settings);
    const carry = Object.hasOwn(CARRIED, name) ? CARRIED[name] : undefined;
    if (carry !== undefined) {
      const isComputed = computed.includes(name);
      carry({ value, config, target, report, line, hasNginx, isComputed, values });
    } else if (Object.hasOwn(HOOKS, name)) report.lost(line, HOOKS[name] ?? "");
    else if (Object.hasOwn(OTHERS, name) && !isDefault(name, value)) {
      const reason = OTHERS[name];
      if (reason != null) report.lost(line, reason);
    }
  }
}

function isDefault(name: string, value: unknown): boolean {
  if (value === null || value === false || value === "") return true;
  return JSON.stringify(value) === JSON.stringify(DEFAULTS[name]);
}

/** Returns the sites whose upstream was this application. */
function findAppSections(config: Section): Section[] {
  const sites = config.get("sites");
  const named = sites instanceof Section ? [...sites.members.values()] : [];
  return [config, ...named].filter(
    (site): site is Section => site instanceof Section && site.get("app") !== undefined,
  );
}

interface Carrying {
  value: unknown;
  config: Section;
  /** The site of the application. */
  target: Section;
  report: Report;
  line: Line;
  hasNginx: boolean;
  /** The value depends on the number of CPUs. */
  isComputed: boolean;
  values: Readonly<Record<string, unknown>>;
}

/** Settings that have a line in the new config. */
export const CARRIED: Readonly<Record<string, (carrying: Carrying) => void>> = {
  bind: carryBind,
  workers: (carrying) => setCount("workers", carrying.config, carrying),
  threads: (carrying) => setCount("threads", carrying.target, { ...carrying, least: 2 }),
  timeout: ({ value, config, report, line }) => {
    const seconds = toNumber(value);
    if (seconds === 0) {
      config.set("requestTimeout", "24h");
      report.changed(line, "a request may take 24 h at most");
    } else if (seconds !== null && seconds !== 60) {
      config.set("requestTimeout", `${Math.min(seconds, DAY_SECONDS)}s`);
    }
  },
  graceful_timeout: ({ value, config }) => {
    const seconds = toNumber(value);
    if (seconds !== null && seconds > 0 && seconds !== 30) {
      config.set("drainGrace", `${Math.min(seconds, HOUR_SECONDS)}s`);
    }
  },
  max_requests: (carrying) => setCount("maxRequestsPerWorker", carrying.config, carrying),
  max_requests_jitter: (carrying) => setCount("maxRequestsJitter", carrying.config, carrying),
  limit_request_line: ({ value, config }) => {
    const size = toNumber(value);
    if (size !== null && size > 8190) {
      config.set("urlLimit", `${Math.min(Math.ceil(size / 1024), 64)}kb`);
    }
  },
  limit_request_fields: ({ value, config }) => {
    const count = toNumber(value);
    if (count !== null && count > 0 && count < 98) config.set("headerCountLimit", count);
  },
  chdir: ({ value, target }) => setWord(target, "appDir", value),
  pidfile: ({ value, config }) => {
    if (config.get("pidFile") === undefined) setWord(config, "pidFile", value);
  },
  accesslog: ({ value, config, hasNginx }) => {
    if (hasNginx || typeof value !== "string" || value === "") return;
    config.set("accessLog", value === "-" ? true : value);
  },
  errorlog: ({ value, config, hasNginx }) => {
    if (!hasNginx && value !== "-") setWord(config, "logFile", value);
  },
  access_log_format: ({ value, config, report, line, hasNginx }) => {
    if (hasNginx) return;
    if (value === COMBINED) config.set("accessLogFormat", "combined");
    else report.lost(line, "write `accessLogFormat` with Nginx's variables");
  },
  loglevel: ({ value, config }) => {
    const level = typeof value === "string" ? value.toLowerCase() : "";
    const known = { debug: "debug", warning: "warn", error: "error", critical: "fatal" };
    if (Object.hasOwn(known, level)) config.set("logLevel", known[level as keyof typeof known]);
  },
  worker_class: carryWorkerClass,
  forwarded_allow_ips: ({ value, config, report, line, hasNginx }) => {
    if (hasNginx || typeof value !== "string") return;
    const reason =
      "name the proxies in `trustedProxies`: otherwise every client can forge its address";
    if (value === "*") report.lost(line, reason);
    else if (value !== "" && !/^127\.0\.0\.1(?:,::1)?$/.test(value)) {
      config.set("trustedProxies", splitList(value));
    }
  },
  certfile: ({ value, values, report, line, hasNginx }) => {
    const key = values["keyfile"];
    if (hasNginx || typeof value !== "string" || value === "") return;
    report.todo(
      line,
      `copy it: cp ${value} certs/site.crt && cp ${typeof key === "string" ? key : value} certs/site.key`,
    );
  },
  keyfile: () => {},
  wsgi_app: () => {},
};

const DAY_SECONDS = 86_400;
const HOUR_SECONDS = 3_600;

/** Gunicorn's own format, which is that of Nginx. */
const COMBINED = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"';

function carryBind({ value, config, report, line, hasNginx, values }: Carrying): void {
  if (hasNginx) return;
  const [first = "", ...others] = bindsOf({ values: { bind: value } });
  const [, host = "", port] = /^(?:(.*):)?(\d{1,5})$/.exec(first) ?? [];
  if (host === "None" || first === "") {
    report.todo(line, "set `http` and `host`: the file reads them from variables that are not set");
    return;
  }
  if (port === undefined) report.lost(line, "this server listens on ports");
  else {
    const hasTls = typeof values["certfile"] === "string";
    config.set("http", hasTls ? false : Number(port));
    config.set("https", hasTls ? Number(port) : false);
    if (!/^(?:|0\.0\.0\.0|\[::\]|\*)$/.test(host))
      config.set("host", host.replaceAll(/[[\]]/g, ""));
  }
  if (others.length > 0) report.lost(line, "there is one address");
}

function carryWorkerClass({ value, target, report, line }: Carrying): void {
  const name = typeof value === "string" ? value : "";
  if (/uvicorn|^asgi$/i.test(name)) target.set("appKind", "asgi");
  else if (!["sync", "gthread", ""].includes(name)) {
    report.changed(line, "workers are threads (`threads`), or ASGI: there are no green threads");
  }
}

function setCount(
  key: string,
  section: Section,
  { value, report, line, isComputed, least = 1 }: Carrying & { least?: number },
): void {
  const count = toNumber(value);
  if (count === null || !Number.isInteger(count) || count < least) return;
  section.set(key, count);
  if (isComputed)
    report.changed(line, "this is the number for this machine: without it, CPUs decide");
}

/** Gunicorn takes numbers as texts, too: they come from variables of the environment. */
function toNumber(value: unknown): number | null {
  if (typeof value === "string" && /^\s*\d{1,9}\s*$/.test(value)) return Number(value);
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

function splitList(text: string): string[] {
  return text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

function setWord(section: Section, key: string, value: unknown): void {
  if (typeof value === "string" && value !== "") section.set(key, value);
}
