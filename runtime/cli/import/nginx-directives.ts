import { LOST, NOT_NEEDED } from "./nginx-known.ts";
import { matchExpression } from "./nginx-patterns.ts";
import { toProxy } from "./nginx-proxy.ts";
import { toHostRedirect, toRewriteTarget, toTarget } from "./nginx-redirects.ts";
import { hasVariables, toSeconds, toSize, toTime } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";
import { findAll, findOne, hasOwn, type Scope, valueOf } from "./scope.ts";
import { Section, type Value } from "./section.ts";
import { SETTINGS } from "../../config/settings.ts";
import { FORMATS, type LogFormats } from "./nginx-logs.ts";

/** Facts of the whole config that directives refer to. */
export interface Context {
  readonly report: Report;
  /** Names of `upstream` blocks. */
  readonly groups: ReadonlySet<string>;
  readonly formats: LogFormats;
  /** The application that takes the place of an upstream; `null`: none does. */
  readonly replaced: ((url: string) => boolean) | null;
}

type Carry = (directive: Directive, scope: Scope, context: Context) => void;

/** Directives that change the new config by themselves. All others are in `nginx-known.ts`. */
export const CARRIED: Readonly<Record<string, Carry>> = {
  pid: (directive, { top }) => setText(top, "pidFile", directive),
  error_log: carryErrorLog,
  access_log: carryAccessLog,
  gzip: ({ args }, { top, level }) => {
    if (level === "http" && args[0] === "off") top.set("compression", false);
  },
  client_max_body_size: (directive, scope, context) => {
    const size = directive.args[0] === "0" ? UNLIMITED : toSize(directive.args[0] ?? "");
    setSetting("bodyLimit", size, { directive, scope, context });
  },
  client_body_buffer_size: (directive, scope, context) => {
    if (scope.level !== "http") return;
    setSetting("bodyBuffer", toSize(directive.args[0] ?? ""), { directive, scope, context });
  },
  client_body_timeout: (directive, scope, context) =>
    setSetting("bodyTimeout", toTime(directive.args[0] ?? ""), { directive, scope, context }),
  send_timeout: (directive, scope, context) =>
    setSetting("sendTimeout", toTime(directive.args[0] ?? ""), { directive, scope, context }),
  large_client_header_buffers: ({ args }, { top }) => {
    const count = Number(args[0]);
    const size = /^(\d+)k$/i.exec(args[1] ?? "")?.[1];
    // The defaults are larger than 16 KiB for all fields together.
    if (size === undefined || !(count > 0) || count * Number(size) <= 32) return;
    top.set("headerLimit", `${Math.min(count * Number(size), 1024)}kb`);
    if (Number(size) > 8) top.set("urlLimit", `${Math.min(Number(size), 64)}kb`);
  },
  set_real_ip_from: ({ args }, { top }) => {
    const [range = ""] = args;
    const before = top.get("trustedProxies");
    const known = Array.isArray(before) ? before : [];
    if (range !== "unix:" && !known.includes(range)) top.set("trustedProxies", [...known, range]);
  },
  real_ip_header: (directive, _, { report }) => {
    const name = directive.args[0]?.toLowerCase() ?? "";
    if (name === "x-forwarded-for") return;
    report.lost(
      directive,
      name === "proxy_protocol"
        ? "the PROXY protocol is not supported"
        : "`trustedProxies` reads X-Forwarded-For or Forwarded",
    );
  },
  ssl_protocols: ({ args }, { top }) => {
    if (args.length > 0 && args.every((name) => name === "TLSv1.3"))
      top.set("tlsMinVersion", "1.3");
  },
  root: carryFolder,
  alias: carryFolder,
  autoindex: (directive, scope, { report }) => {
    if (directive.args[0] !== "on") return;
    scope.site?.section.set("listing", true);
    if (scope.level === "location" && scope.match?.paths !== null) {
      report.changed(directive, "`listing` holds for all folders of a site");
    }
  },
  try_files: carryTryFiles,
  error_page: carryErrorPage,
  add_header: carryHeader,
  more_clear_headers: ({ args }, { rule }) => {
    rule.set("removeFields", [...asList(rule.get("removeFields")), ...args]);
  },
  expires: carryExpires,
  proxy_hide_header: ({ args }, { rule }) => {
    rule.set("removeFields", [...asList(rule.get("removeFields")), args[0] ?? ""]);
  },
  proxy_pass: carryProxy,
  uwsgi_pass: carryGateway,
  fastcgi_pass: carryGateway,
  proxy_cache: carryCache,
  return: carryReturn,
  rewrite: carryRewrite,
  if: carryIf,
  http2: carryHttp2,
};

/** In Nginx, 0 means any size. */
const UNLIMITED = "1024gb";

/** Carries one directive over, or reports that it cannot. */
export function carry(directive: Directive, scope: Scope, context: Context): void {
  const { name } = directive;
  const own = CARRIED[name];
  if (own !== undefined) own(directive, scope, context);
  else if (LOST[name] !== undefined) context.report.lost(directive, LOST[name]);
  else if (!NOT_NEEDED.has(name) && !HANDLED_ELSEWHERE.has(name)) {
    context.report.lost(directive, "this directive is not known");
  }
}

/** Directives that `nginx-access.ts` and the conversion of servers read. */
const HANDLED_ELSEWHERE: ReadonlySet<string> = new Set([
  ..."allow deny auth_basic auth_request limit_req limit_conn limit_req_dry_run http ssl_certificate".split(
    " ",
  ),
]);

function setText(section: Section, key: string, { args }: Directive): void {
  const [text = ""] = args;
  if (text !== "" && !hasVariables(text)) section.set(key, text);
}

/** Sets a setting where it belongs: at the top, at a site, or in the rule of a location. */
function setSetting(
  name: "bodyLimit" | "bodyBuffer" | "bodyTimeout" | "sendTimeout",
  value: Value | null,
  { directive, scope, context }: { directive: Directive; scope: Scope; context: Context },
): void {
  if (value === null) context.report.lost(directive, "its value is not known");
  else if (scope.level === "http" || scope.site === null) scope.top.set(name, value);
  else if (scope.level === "server") scope.site.section.set(name, value);
  else scope.rule.set(name, value);
}

const LOG_LEVELS: Readonly<Record<string, string>> = {
  debug: "debug",
  info: "info",
  notice: "info",
  warn: "warn",
  error: "error",
  crit: "fatal",
  alert: "fatal",
  emerg: "fatal",
};

function carryErrorLog(directive: Directive, { top, level }: Scope, { report }: Context): void {
  const [file = "", severity = "error"] = directive.args;
  if (file === "off") return;
  if (top.get("logFile") !== undefined && level !== "http") return;
  if (file.startsWith("syslog:"))
    report.lost(directive, "systemd passes standard error on to syslog");
  else if (!/^(?:stderr|\/dev\/(?:stderr|stdout|null))$/.test(file) && !hasVariables(file)) {
    top.set("logFile", toLogFile(file));
  }
  const name = LOG_LEVELS[severity];
  // Our lines about the state of the server have the level `info`: an operator wants them.
  if (name === "debug") top.set("logLevel", name);
}

/** Folders of logs are relative to `/etc/nginx` or to the folder of the program, which no user means. */
function toLogFile(file: string): string {
  return file.startsWith("/") ? file : `/var/log/nginx/${file.replace(/^logs\//, "")}`;
}

function carryAccessLog(directive: Directive, scope: Scope, { report, formats }: Context): void {
  const [file = "", format = "combined", ...options] = directive.args;
  if (scope.level === "location") {
    if (file === "off") scope.rule.set("accessLog", false);
    else
      report.changed(
        directive,
        "a rule decides whether there is a line; its file is that of the site",
      );
    return;
  }
  const target = scope.site?.section ?? scope.top;
  if (file === "off") {
    target.set("accessLog", false);
    return;
  }
  if (file.startsWith("syslog:") || hasVariables(file)) {
    report.lost(directive, "`accessLog` is a file, or on: then the lines go to the log");
    return;
  }
  if (target.get("accessLog") !== undefined) {
    report.lost(directive, "there is one access log");
    return;
  }
  if (!/^\/dev\/(?:stdout|stderr)$/.test(file)) target.set("accessLog", toLogFile(file));
  const known = format === "combined" ? "combined" : formats.get(format);
  if (format.includes("=")) target.set("accessLogFormat", "combined");
  else if (known === undefined || known === null) {
    report.changed(
      directive,
      `its format has variables that \`accessLogFormat\` has not: lines are "combined"`,
    );
    target.set("accessLogFormat", "combined");
  } else target.set("accessLogFormat", known === FORMATS.combined ? "combined" : known);
  const condition = [format, ...options].find((option) => option.startsWith("if="));
  if (condition !== undefined)
    report.lost(directive, "conditions are `accessLogStatus` and `accessLogSkip`");
}

function carryFolder(directive: Directive, scope: Scope, { report }: Context): void {
  const { site, match, level } = scope;
  const [folder = ""] = directive.args;
  if (site === null) return;
  if (hasVariables(folder)) {
    report.lost(directive, "a folder has no variables: write a site for each case");
    return;
  }
  const absolute = toFolder(folder);
  if (level === "server" || (match !== null && match.paths === null)) {
    if (site.section.get("public") === undefined) site.section.set("public", absolute);
    else if (site.section.get("public") !== absolute)
      report.lost(directive, "a site has one folder of files");
    return;
  }
  if (level !== "location" || match === null) return;
  const { prefix } = match;
  if (prefix === null) {
    if (absolute !== site.section.get("public")) {
      report.lost(directive, "a site has one folder of files: link the files into it");
    }
    return;
  }
  const path = prefix.replace(/\/$/, "");
  const target = directive.name === "alias" ? absolute : `${absolute}${path}`;
  const own = scope.parent === null ? null : valueOf(scope.parent, "root");
  if (own !== null && `${toFolder(own)}${path}` === target) return;
  site.links.push(path);
  const root = own === null ? "public" : toFolder(own);
  if (own === null) site.section.set("public", "public");
  site.section.set("publicLinks", "follow");
  const parent = path.slice(0, path.lastIndexOf("/"));
  report.todo(
    directive,
    `link it into the public folder: mkdir -p ${root}${parent} && ln -s ${target} ${root}${path}`,
  );
}

/** A relative folder is below the folder of Debian's Nginx. */
function toFolder(folder: string): string {
  const absolute = folder.startsWith("/") ? folder : `/usr/share/nginx/${folder}`;
  return absolute.length > 1 ? absolute.replace(/\/$/, "") : absolute;
}

function carryTryFiles(directive: Directive, scope: Scope, context: Context): void {
  const { site, match, level } = scope;
  const last = directive.args.at(-1) ?? "";
  if (site === null || last.startsWith("=")) return;
  const isWhole = level === "server" || match?.paths === null;
  if (last.startsWith("@")) {
    const named = findNamed(scope, last);
    const pass = named?.block?.find(({ name }) => name === "proxy_pass");
    if (named == null || named.block === null || pass === undefined) {
      context.report.lost(
        directive,
        `${last} is no proxy: files come before handlers, and \`_404\` or a rule answers the rest`,
      );
      return;
    }
    const inner: Scope = {
      ...scope,
      parent: scope,
      directives: named.block,
      match: isWhole ? null : match,
    };
    carryProxy(pass, inner, context, { isAfterFiles: true });
    return;
  }
  const page = last.replace(/[?$].*$/, "");
  if (/\.html?$/.test(page) && isWhole) {
    if (page === "/404.html") return;
    site.section.set("spa", page === "/index.html" ? true : page.slice(1));
  } else if (/\.html?$/.test(page)) {
    context.report.changed(directive, "`spa` holds for all paths of a site");
    site.section.set("spa", page === "/index.html" ? true : page.slice(1));
  } else if (page.endsWith(".php")) {
    context.report.lost(directive, "this server runs no PHP: pass these paths on with `proxy`");
  } else if (last.startsWith("/") && !last.includes("$")) {
    context.report.lost(directive, "write a handler for these paths, or `_404`");
  }
}

function findNamed(scope: Scope, name: string): Directive | null {
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    const found = at.directives.find((one) => one.name === "location" && one.args.at(-1) === name);
    if (found !== undefined) return found;
  }
  return null;
}

function carryErrorPage(directive: Directive, scope: Scope, { report }: Context): void {
  const { args } = directive;
  const page = args.at(-1) ?? "";
  const statuses = args.slice(0, -1).filter((arg) => !arg.startsWith("="));
  const change = args.find((arg) => arg.startsWith("="));
  if (page.startsWith("@") || hasVariables(page)) {
    report.lost(
      directive,
      "an error page is a file of the public folder, or a path that a handler answers",
    );
    return;
  }
  if (!page.startsWith("/")) {
    report.lost(directive, "an error page is no redirect");
    return;
  }
  if (change !== undefined) report.changed(directive, "the status of the error stays");
  for (const status of statuses) {
    if (/^[45]\d\d$/.test(status) && status !== "497")
      scope.rule.child("errorPages").set(status, page);
    else report.lost(directive, `${status} is no status of an error page`);
  }
}

/** Fields that this server sets or leaves out by itself. */
const OWN_FIELDS =
  /^(?:connection|transfer-encoding|content-length|date|keep-alive|upgrade|trailer|te)$/;

function carryHeader(directive: Directive, scope: Scope, { report }: Context): void {
  const [name = "", value = ""] = directive.args;
  const lower = name.toLowerCase();
  if (lower === "cache-control" && hasOwn(scope, "expires")) return;
  if (lower === "x-cache-status" || value === "$upstream_cache_status") {
    report.changed(directive, "answers of the cache have the field Cache-Status");
  } else if (lower === "alt-svc") report.lost(directive, "there is no HTTP/3");
  else if (OWN_FIELDS.test(lower)) report.lost(directive, "the server writes this field itself");
  else if (/^\$upstream_http_/.test(value) || value === "$http_origin") {
    report.lost(
      directive,
      "fields have no variables: see `cors` and `copyToReply` of `forwardAuth`",
    );
  } else if (hasVariables(value))
    report.lost(directive, "fields have no variables: set it in _middleware.ts");
  else if (value === "") return;
  else if (lower === "cache-control" && isAboutFiles(scope)) setCacheControl(scope, value);
  else scope.rule.child("setFields").set(lower, value.replaceAll(/\s+/g, " ").trim());
}

/** Tells whether files answer here: neither a proxy nor a fixed answer does. */
function isAboutFiles(scope: Scope): boolean {
  return (
    scope.level === "location" &&
    !["proxy_pass", "return", "uwsgi_pass", "fastcgi_pass"].some((name) => hasOwn(scope, name))
  );
}

function carryExpires(directive: Directive, scope: Scope, { report }: Context): void {
  const [text = "", ...rest] = directive.args;
  if (text === "off") return;
  const control = findOwnControl(scope);
  const value = toCacheControl(text, control);
  if (value === null || rest.length > 0) {
    report.lost(directive, "write a value of `cacheControl`");
  } else if (isAboutFiles(scope)) setCacheControl(scope, value);
  else scope.rule.child("setFields").set("cache-control", value);
}

/** The field `Cache-Control` that the same block adds. */
function findOwnControl(scope: Scope): string | null {
  const own = scope.directives.find(
    ({ name, args }) => name === "add_header" && args[0]?.toLowerCase() === "cache-control",
  );
  const value = own?.args[1] ?? null;
  return value === null || hasVariables(value) ? null : value;
}

function toCacheControl(expires: string, control: string | null): string | null {
  if (expires === "epoch" || /^-\d/.test(expires)) return control ?? "no-cache";
  const seconds = expires === "max" ? 315_360_000 : toSeconds(expires);
  if (seconds === null) return null;
  if (control?.includes("immutable") === true) return "immutable";
  if (control !== null && /no-(?:cache|store)|max-age/.test(control)) return control;
  const scopeWord = control !== null && /\bprivate\b/.test(control) ? "private" : "public";
  return `${scopeWord}, max-age=${seconds}${control?.includes("must-revalidate") === true ? ", must-revalidate" : ""}`;
}

function setCacheControl(scope: Scope, value: string): void {
  const { site, match } = scope;
  if (site === null) return;
  const patterns =
    match === null || match.paths === null
      ? ["/**"]
      : match.paths.map(({ path }) => toFileGlob(path));
  if (patterns.every((pattern) => pattern !== null)) {
    for (const pattern of patterns) site.section.child("cacheControl").set(pattern, value);
  } else scope.rule.child("setFields").set("cache-control", value);
}

/** Returns the pattern of files for a pattern of paths; `null`: there is none. */
function toFileGlob(path: string): string | null {
  if (path.startsWith("/**/*.")) return path.slice(4);
  return path.includes(":") ? null : path;
}

function carryProxy(
  directive: Directive,
  scope: Scope,
  context: Context,
  { isAfterFiles = false }: { isAfterFiles?: boolean } = {},
): void {
  const { site, match } = scope;
  if (site === null) return;
  const isWhole = match === null || match.paths === null;
  if (context.replaced?.(directive.args[0] ?? "") === true) {
    site.section.set("app", APP);
    return;
  }
  const proxy = toProxy(directive, scope, context);
  if (proxy === null) return;
  if (isWhole || (isAfterFiles && match.prefix === "/")) site.section.set("proxy", proxy);
  else scope.rule.set("proxy", proxy);
}

/** Stands for the application until its name is known. */
export const APP = "\u0000app";

function carryGateway(directive: Directive, scope: Scope, { report }: Context): void {
  if (directive.name === "uwsgi_pass") {
    report.todo(
      directive,
      "run the Python application in the workers of this server: set `app` to its MODULE:NAME",
    );
    return;
  }
  report.lost(
    directive,
    "this server speaks no FastCGI: run the program as an HTTP server, and use `proxy`",
  );
  // Otherwise the source of the program would be sent as a file.
  if (
    scope.level === "location" &&
    scope.rule.get("path") !== undefined &&
    scope.rule.get("respond") === undefined
  ) {
    scope.rule.set("respond", new Section({ status: 501 }));
  }
}

function carryCache(directive: Directive, scope: Scope): void {
  if (directive.args[0] === "off") {
    if (scope.parent !== null && findOne(scope.parent, "proxy_cache") !== null)
      scope.rule.set("cache", "off");
    return;
  }
  const cache = new Section();
  for (const { args } of findAll(scope, "proxy_cache_valid")) {
    const time = toTime(args.at(-1) ?? "");
    const isGood = args.length === 1 || args.includes("200") || args.includes("any");
    if (time !== null && isGood && cache.get("maxAge") === undefined) cache.set("maxAge", time);
  }
  if ((findOne(scope, "proxy_cache_use_stale")?.args ?? []).includes("error"))
    cache.set("stale", "1h");
  const value: Value = cache.size === 0 ? "on" : cache;
  if (scope.level === "location" && scope.match?.paths !== null) scope.rule.set("cache", value);
  else (scope.site?.section ?? scope.top).set("cache", value);
}

function carryReturn(directive: Directive, scope: Scope, { report }: Context): void {
  const { args } = directive;
  const [first = "", second] = args;
  const isRedirect = /^30[12378]$/.test(first);
  const status = /^\d{3}$/.test(first) ? Number(first) : 302;
  const text = /^\d{3}$/.test(first) ? second : first;
  const match = scope.match?.paths?.[0] ?? null;
  const paths = scope.match?.paths ?? null;
  if (scope.level === "if") return;
  if (isRedirect || !/^\d{3}$/.test(first)) {
    const target = toTarget(text ?? "", match);
    if (
      target === null ||
      (paths !== null && paths.length > 1 && /:/.test(target.to.replace(/^https?:/, "")))
    ) {
      report.lost(directive, "a redirect of a rule has no variable of this kind");
      return;
    }
    if (scope.rule.get("path") === undefined && target.path !== null)
      scope.rule.set("path", target.path);
    scope.rule.set("redirect", new Section({ to: target.to, status }));
    return;
  }
  if (text !== undefined && hasVariables(text)) {
    report.lost(directive, "a fixed answer has no variables: write a handler");
    return;
  }
  if (status === 444)
    report.changed(directive, "the client gets 403 instead of a closed connection");
  const answer = new Section({ status: status === 444 ? 403 : status });
  if (text !== undefined) {
    answer.set("body", text);
    const type = valueOf(scope, "default_type") ?? "text/plain";
    answer.set("fields", new Section({ "content-type": type }));
  }
  if (status < 200) report.lost(directive, "this is no status of an answer");
  else scope.rule.set("respond", answer);
}

function carryRewrite(directive: Directive, scope: Scope, { report }: Context): void {
  const { site } = scope;
  const [expression = "", target = "", flag] = directive.args;
  if (site === null || scope.level === "if") return;
  const matches = matchExpression(expression);
  const everyHost = /^\^?(?:\/?\(\.\*\)|\.\*)?\$?$/.test(expression);
  const redirect = everyHost ? toHostRedirect(target, site.names) : null;
  if (redirect !== null && (flag === "permanent" || flag === "redirect")) {
    applyHostRedirect(redirect, directive, { site, report });
    return;
  }
  const known = matches?.map((match) => ({ match, to: toRewriteTarget(target, match) })) ?? [];
  if (known.length === 0 || known.some(({ to }) => to === null)) {
    report.lost(
      directive,
      "no pattern of paths says the same: write a handler, or decide in _middleware.ts",
    );
    return;
  }
  const isRedirect = flag === "permanent" || flag === "redirect" || /^https?:/.test(target);
  for (const { match, to } of known) {
    if (to === null) continue;
    const rule = new Section({ path: match.path });
    if (isRedirect)
      rule.set("redirect", new Section({ to, status: flag === "permanent" ? 301 : 302 }));
    else rule.set("rewrite", to);
    site.add(rule, (scope.match?.rank ?? 0) - 1);
  }
}

function applyHostRedirect(
  { scheme, host }: NonNullable<ReturnType<typeof toHostRedirect>>,
  directive: Directive,
  { site, report }: { site: NonNullable<Scope["site"]>; report: Report },
): void {
  if (scheme === "https") site.section.set("httpsRedirect", true);
  if (scheme === "http") report.lost(directive, "clients with HTTPS stay there");
  if (host !== null && site.names.includes(host)) site.section.set("canonicalHost", host);
}

/** Conditions that rules have, too. */
function carryIf(directive: Directive, scope: Scope, context: Context): void {
  const { report } = context;
  const { site } = scope;
  const condition = directive.args
    .join(" ")
    .replace(/^\(\s*/, "")
    .replace(/\s*\)$/, "");
  const block = directive.block ?? [];
  const [first] = block;
  if (site === null || first === undefined) return;
  if (/^!?-[fde] \$(?:request_filename|document_root\S*|uri)$/.test(condition)) {
    report.changed(directive, "files always come first");
    return;
  }
  if (isHttpsCheck(condition) || isHostCheck(condition)) {
    const url = block
      .find(({ name }) => name === "return" || name === "rewrite")
      ?.args.find((arg) => arg.includes("://"));
    const redirect =
      url === undefined ? null : toHostRedirect(url.replace(/\/\$1$/, "$request_uri"), site.names);
    if (redirect !== null) {
      applyHostRedirect(redirect, first, { site, report });
      return;
    }
  }
  const when = toCondition(condition);
  if (when === null || block.some(({ name }) => !IN_CONDITIONS.has(name))) {
    report.lost(directive, "no condition of a rule says the same: decide in _middleware.ts");
    return;
  }
  const rule = new Section();
  for (const [key, value] of scope.rule.members) {
    if (key === "path") rule.set(key, value);
  }
  for (const [key, value] of Object.entries(when)) rule.set(key, value);
  const inner: Scope = { ...scope, parent: scope, directives: block, rule, level: "location" };
  for (const one of block) carry(one, inner, context);
  if (rule.get("redirect") !== undefined || rule.size > 1)
    site.add(rule, (scope.match?.rank ?? 0) - 1);
}

const IN_CONDITIONS: ReadonlySet<string> = new Set([
  "return",
  "access_log",
  "add_header",
  "break",
  "proxy_pass",
]);

function isHttpsCheck(condition: string): boolean {
  return /^\$(?:scheme|https|http_x_forwarded_proto) (?:!?=|!~\*?) ?"?(?:http|https|on)?"?$/.test(
    condition,
  );
}

function isHostCheck(condition: string): boolean {
  return /^\$(?:host|http_host) !?(?:=|~\*?) /.test(condition);
}

function toCondition(condition: string): Record<string, Value> | null {
  const [, method] = /^\$request_method = ?"?([A-Z]+)"?$/.exec(condition) ?? [];
  if (method !== undefined) return { method };
  const [, methods] = /^\$request_method ~\*? ?"?\^?\(?([A-Z|]+)\)?\$?"?$/.exec(condition) ?? [];
  if (methods !== undefined) return { method: methods.split("|") };
  const [, host] = /^\$(?:host|http_host) = ?"?([\w.-]+)"?$/.exec(condition) ?? [];
  if (host !== undefined) return { host: host.toLowerCase() };
  const [, field, value] = /^\$http_(\w+) = ?"?([^"$]*)"?$/.exec(condition) ?? [];
  if (field !== undefined) {
    const name = field.replaceAll("_", "-");
    return { header: new Section({ [name]: value === undefined || value === "" ? false : value }) };
  }
  const [, words] = /^\$http_user_agent ~\*? ?"?\(?([\w |.-]+)\)?"?$/.exec(condition) ?? [];
  // A value of a rule is compared by case, so only one word in its usual spelling would do.
  if (words !== undefined && !words.includes("|") && !condition.includes("~*")) {
    return { header: new Section({ "user-agent": `*${words}*` }) };
  }
  const [, parameter, text] = /^\$arg_(\w+) = ?"?([^"$]*)"?$/.exec(condition) ?? [];
  if (parameter !== undefined)
    return {
      query: new Section({ [parameter]: text === undefined || text === "" ? false : text }),
    };
  return null;
}

function carryHttp2(directive: Directive, scope: Scope, { report }: Context): void {
  if (directive.args[0] !== "on") return;
  if ("http2" in SETTINGS) scope.top.set("http2", true);
  else report.lost(directive, "there is no HTTP/2");
}

function asList(value: Value | undefined): Value[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? [...value] : [value];
}

/** Returns whether a location only refuses hidden files, as this server always does. */
export function refusesOnly(block: readonly Directive[]): boolean {
  return block.every(({ name }) =>
    ["deny", "return", "access_log", "log_not_found", "allow"].includes(name),
  );
}
