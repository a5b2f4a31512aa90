import { execFile } from "node:child_process";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { z } from "zod";
import { RuntimeError } from "../../lib/errors.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";
import type { Section } from "./section.ts";

/** The settings of a config file of Gunicorn. */
export interface GunicornSettings {
  readonly values: Readonly<Record<string, unknown>>;
  /** Line of each setting. */
  readonly lines: Readonly<Record<string, number>>;
  /** Hooks, and helpers of the file. */
  readonly functions: readonly string[];
  /** Name of the file, for places. */
  readonly file: string;
}

const settingsSchema = z.object({
  values: z.record(z.string(), z.unknown()),
  lines: z.record(z.string(), z.number()),
  functions: z.array(z.string()),
});

const TIMEOUT_MS = 30_000;

/**
 * Lets Python evaluate a config file of Gunicorn: it is a program.
 *
 * @param options.python Name or path of the interpreter.
 * @throws RuntimeError `ERR_CONFIG` with the last line of Python's message.
 */
export async function readGunicorn(
  path: string,
  { cwd, python }: { cwd: string; python: string },
): Promise<GunicornSettings> {
  const script = fileURLToPath(new URL("./dump_gunicorn.py", import.meta.url));
  const file = relative(cwd, path).startsWith("..") ? path : relative(cwd, path);
  try {
    const { stdout } = await promisify(execFile)(python, [script, path], {
      cwd,
      timeout: TIMEOUT_MS,
      maxBuffer: 4 * 1024 * 1024,
    });
    return { ...settingsSchema.parse(JSON.parse(stdout)), file };
  } catch (cause) {
    throw new RuntimeError("ERR_CONFIG", `Cannot import ${file}: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(error: unknown): string {
  // Errors of child processes have these members.
  const { code, stderr, killed } = error as { code?: unknown; stderr?: unknown; killed?: unknown };
  if (code === "ENOENT")
    return "found no Python, expected python3 (a config file of Gunicorn is a program)";
  if (killed === true) return `Python needed more than ${TIMEOUT_MS / 1000} s`;
  const last = typeof stderr === "string" ? stderr.trim().split("\n").at(-1) : "";
  return last === undefined || last === "" ? String(error) : `Python says "${last}"`;
}

/** Returns the addresses on which Gunicorn listens. */
export function bindsOf({ values }: GunicornSettings): string[] {
  const { bind = "127.0.0.1:8000" } = values;
  const all: unknown[] = Array.isArray(bind) ? bind : [bind];
  return all.flatMap((one) =>
    typeof one === "string" ? one.split(",").map((text) => text.trim()) : [],
  );
}

/** Settings without a line in the new config, and the reason. `null`: nothing is lost. */
const OTHERS: Readonly<Record<string, string | null>> = {
  backlog: null,
  keepalive: null,
  worker_connections: null,
  worker_tmp_dir: null,
  reuse_port: null,
  sendfile: null,
  preload_app: "each worker imports the application itself: the memory of modules is not shared",
  user: "start the server as this user (User= of systemd)",
  group: "start the server as this group (Group= of systemd)",
  umask: "use UMask= of systemd",
  daemon: "use systemd (docs/operations.md)",
  raw_env: "put these variables into .env",
  reload: 'use "edgicorn dev"',
  reload_extra_files: 'use "edgicorn dev"',
  pythonpath: "set PYTHONPATH",
  paste: "name a factory: module:factory()",
  tmp_upload_dir: "bodies wait in `stateDir`",
  statsd_host: '"edgicorn status --json" has the figures',
  statsd_prefix: '"edgicorn status --json" has the figures',
  logger_class: "the application may set up `logging` itself",
  logconfig: "the application may set up `logging` itself",
  logconfig_dict: "the application may set up `logging` itself",
  syslog: "systemd passes standard error on",
  syslog_addr: "systemd passes standard error on",
  capture_output: null,
  enable_stdio_inheritance: null,
  disable_redirect_access_to_syslog: null,
  proc_name: null,
  default_proc_name: null,
  limit_request_field_size: null,
  check_config: null,
  print_config: null,
  proxy_protocol: "the PROXY protocol is not supported",
  ca_certs: "certificates of clients are not supported",
  cert_reqs: "certificates of clients are not supported",
  secure_scheme_headers: "`trustedProxies` reads X-Forwarded-Proto",
  forwarder_headers: null,
  ssl_version: "see `tlsMinVersion`",
  spew: null,
};

/** Hooks of Gunicorn, by their place here. */
const HOOKS: Readonly<Record<string, string>> = {
  on_starting: "the primary runs no code of yours: use ExecStartPre= of systemd",
  on_reload: "the primary runs no code of yours",
  when_ready: "the primary runs no code of yours: use ExecStartPost= of systemd",
  on_exit: "the primary runs no code of yours: use ExecStopPost= of systemd",
  pre_exec: "the primary runs no code of yours",
  child_exit: "the primary runs no code of yours",
  nworkers_changed: "the primary runs no code of yours",
  pre_fork: "put it at the top level of a module: each worker imports it",
  post_fork: "put it at the top level of a module: each worker imports it",
  post_worker_init: "put it at the top level of a module: each worker imports it",
  worker_int: "use `atexit`, or the shutdown of the lifespan",
  worker_abort: "use `atexit`, or the shutdown of the lifespan",
  worker_exit: "use `atexit`, or the shutdown of the lifespan",
  pre_request: "use a middleware of the framework",
  post_request: "use a middleware of the framework",
};

/**
 * Adds the settings of Gunicorn to a config.
 *
 * @param options.app `MODULE:NAME` from the command line; `null`: the file may name it.
 * @param options.hasNginx The config has ports and logs already.
 */
export function addGunicorn(
  config: Section,
  settings: GunicornSettings,
  { report, app, hasNginx }: { report: Report; app: string | null; hasNginx: boolean },
): void {
  const target = findAppSection(config) ?? config;
  const { values } = settings;
  const named = app ?? (typeof values["wsgi_app"] === "string" ? values["wsgi_app"] : null);
  const about = (name: string): Directive => toDirective(name, settings);
  target.set("app", named ?? "myproject.wsgi:application");
  if (named === null) {
    report.todo(
      about("wsgi_app"),
      "set `app` to the application, as in the command line of Gunicorn: MODULE:NAME",
    );
  }
  for (const [name, value] of Object.entries(values)) {
    const carry = CARRIED[name];
    if (carry !== undefined)
      carry({ value, config, target, report, directive: about(name), hasNginx });
    else if (HOOKS[name] !== undefined) report.lost(about(name), HOOKS[name]);
    else if (name in OTHERS) {
      const reason = OTHERS[name];
      if (reason != null && value !== null && value !== false && value !== "")
        report.lost(about(name), reason);
    }
  }
}

/** The site whose upstream was this application; `null`: none was. */
function findAppSection(config: Section): Section | null {
  if (config.get("app") !== undefined) return config;
  const sites = config.members.get("sites");
  if (sites === undefined || typeof sites !== "object" || !("members" in sites)) return null;
  for (const site of sites.members.values()) {
    if (typeof site === "object" && "members" in site && site.get("app") !== undefined) return site;
  }
  return null;
}

function toDirective(name: string, { values, lines, file }: GunicornSettings): Directive {
  const value = values[name];
  const args = value === undefined || typeof value === "object" ? [] : ["=", String(value)];
  const line = lines[name];
  return { name, args, place: line === undefined ? file : `${file}:${line}`, block: null };
}

interface Carrying {
  value: unknown;
  config: Section;
  /** The site of the application. */
  target: Section;
  report: Report;
  directive: Directive;
  hasNginx: boolean;
}

const CARRIED: Readonly<Record<string, (carrying: Carrying) => void>> = {
  bind: ({ value, config, report, directive, hasNginx }) => {
    if (hasNginx) return;
    const [first = "", ...others] = bindsOf({
      values: { bind: value },
      lines: {},
      functions: [],
      file: "",
    });
    const [, host, port] = /^(?:(.*):)?(\d+)$/.exec(first) ?? [];
    if (port === undefined) report.lost(directive, "this server listens on ports");
    else {
      config.set("http", Number(port));
      config.set("https", false);
      if (host !== undefined && !/^(?:|0\.0\.0\.0|\[::\]|\*)$/.test(host))
        config.set("host", host.replaceAll(/[[\]]/g, ""));
    }
    if (others.length > 0) report.lost(directive, "there is one address");
  },
  workers: ({ value, config }) => setCount(config, "workers", value),
  threads: ({ value, target }) => setCount(target, "threads", value, 1),
  timeout: ({ value, config }) => {
    if (typeof value === "number" && value > 0 && value !== 60)
      config.set("requestTimeout", `${value}s`);
  },
  graceful_timeout: ({ value, config }) => {
    if (typeof value === "number" && value > 0 && value !== 30)
      config.set("drainGrace", `${value}s`);
  },
  max_requests: ({ value, config }) => setCount(config, "maxRequestsPerWorker", value),
  max_requests_jitter: ({ value, config }) => setCount(config, "maxRequestsJitter", value),
  limit_request_line: ({ value, config }) => {
    if (typeof value === "number" && value > 8190)
      config.set("urlLimit", `${Math.min(Math.ceil(value / 1024), 64)}kb`);
  },
  limit_request_fields: () => {},
  chdir: ({ value, target }) => setWord(target, "appDir", value),
  pidfile: ({ value, config }) => {
    if (config.get("pidFile") === undefined) setWord(config, "pidFile", value);
  },
  accesslog: ({ value, config, hasNginx }) => {
    if (hasNginx || typeof value !== "string") return;
    config.set("accessLog", value === "-" ? true : value);
  },
  errorlog: ({ value, config, hasNginx }) => {
    if (!hasNginx && typeof value === "string" && value !== "-") config.set("logFile", value);
  },
  access_log_format: ({ report, directive, hasNginx }) => {
    if (!hasNginx) report.lost(directive, "write `accessLogFormat` with Nginx's variables");
  },
  loglevel: ({ value, config }) => {
    const level = typeof value === "string" ? value.toLowerCase() : "";
    const known = { debug: "debug", warning: "warn", error: "error", critical: "fatal" }[level];
    if (known !== undefined) config.set("logLevel", known);
  },
  worker_class: ({ value, target, report, directive }) => {
    const name = typeof value === "string" ? value : "";
    if (name.includes("Uvicorn")) target.set("appKind", "asgi");
    else if (!["sync", "gthread", ""].includes(name)) {
      report.changed(
        directive,
        "workers are threads (`threads`), or ASGI: there are no green threads",
      );
    }
  },
  forwarded_allow_ips: ({ value, config, report, directive, hasNginx }) => {
    if (hasNginx || typeof value !== "string") return;
    if (value === "*")
      report.lost(
        directive,
        "name the proxies in `trustedProxies`: otherwise every client can forge its address",
      );
    else if (value !== "127.0.0.1")
      config.set(
        "trustedProxies",
        value.split(",").map((text) => text.trim()),
      );
  },
  certfile: ({ value, report, directive, hasNginx }) => {
    if (!hasNginx && typeof value === "string")
      report.todo(directive, `copy it: cp ${value} certs/site.crt, and the key as certs/site.key`);
  },
  keyfile: () => {},
  wsgi_app: () => {},
};

function setCount(section: Section, key: string, value: unknown, least = 0): void {
  if (typeof value === "number" && Number.isInteger(value) && value > least)
    section.set(key, value);
}

function setWord(section: Section, key: string, value: unknown): void {
  if (typeof value === "string" && value !== "") section.set(key, value);
}
