import { SETTINGS } from "../../config/settings.ts";
import type { Carry, Context } from "./context.ts";
import { hasVariables, toSize, toTime } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import { type Scope, valueOf } from "./scope.ts";

/** In Nginx, 0 means any size. */
const UNLIMITED = "1024gb";

/** Directives that become settings of the server or of a site. */
export const SERVER_SETTINGS: Readonly<Record<string, Carry>> = {
  pid: ({ args }, { top }) => {
    const [file = ""] = args;
    if (file !== "" && !hasVariables(file)) top.set("pidFile", file);
  },
  gzip: (directive, { top, level }, { report }) => {
    if (directive.args[0] !== "off") return;
    if (level === "http") top.set("compression", false);
    else report.changed(directive, "`compression` is one setting of the whole server");
  },
  charset: (directive, _, { report }) => {
    const name = directive.args[0]?.toLowerCase() ?? "";
    if (!/^(?:utf-?8|off)$/.test(name)) report.changed(directive, "text files are sent as UTF-8");
  },
  etag: (directive, _, { report }) => {
    if (directive.args[0] === "off") report.changed(directive, "files have an entity tag");
  },
  map: (directive, _, { report }) => {
    // A map of this kind only serves WebSockets.
    if (directive.args[0] === "$http_upgrade") return;
    report.lost(directive, "write a rule for each case, or decide in _middleware.ts");
  },
  satisfy: (directive, _, { report }) => {
    if (directive.args[0] !== "any") return;
    report.changed(directive, "allow, deny, basicAuth and forwardAuth must all admit a request");
  },
  break: (directive, { directives }, { report }) => {
    const later = directives.slice(directives.indexOf(directive) + 1);
    if (later.some(({ name }) => /^(?:if|rewrite|return|set)$/.test(name))) {
      report.lost(directive, "rules have no end of this kind");
    }
  },
  proxy_cache_bypass: reportBypass,
  proxy_no_cache: reportBypass,
  client_max_body_size: (directive, scope, context) => {
    const size = toSize(directive.args[0] ?? "");
    setSetting("bodyLimit", size === "0b" ? UNLIMITED : size, { directive, scope, context });
  },
  client_body_buffer_size: (directive, scope, context) => {
    if (scope.level === "http") {
      setSetting("bodyBuffer", toSize(directive.args[0] ?? ""), { directive, scope, context });
    }
  },
  client_body_timeout: (directive, scope, context) =>
    setSetting("bodyTimeout", toTime(directive.args[0] ?? ""), { directive, scope, context }),
  send_timeout: (directive, scope, context) =>
    setSetting("sendTimeout", toTime(directive.args[0] ?? ""), { directive, scope, context }),
  large_client_header_buffers: ({ args }, { top }) => {
    const count = Number(args[0]);
    const size = Number(/^(\d{1,6})k$/i.exec(args[1] ?? "")?.[1] ?? 0);
    // The defaults are as large as those of Nginx.
    if (!(count > 0) || count * size <= 32) return;
    top.set("headerLimit", `${Math.min(count * size, 1024)}kb`);
    if (size > 8) top.set("urlLimit", `${Math.min(size, 64)}kb`);
  },
  set_real_ip_from: (directive, { top }, { report }) => {
    const [range = ""] = directive.args;
    const known = top.list("trustedProxies");
    if (range === "unix:" || hasVariables(range)) return;
    if (!/^[\da-f:.]+(?:\/\d{1,3})?$/i.test(range)) {
      report.lost(directive, "`trustedProxies` has addresses, no names");
    } else if (!known.includes(range)) top.set("trustedProxies", [...known, range]);
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
    if (args.length > 0 && args.every((name) => name === "TLSv1.3")) {
      top.set("tlsMinVersion", "1.3");
    }
  },
  autoindex: (directive, { site, level, match }, { report }) => {
    if (directive.args[0] !== "on") return;
    site?.section.set("listing", true);
    if (level === "location" && match?.paths !== null) {
      report.changed(directive, "`listing` holds for all folders of a site");
    }
  },
  http2: (directive, scope, { report }) => {
    if (directive.args[0] === "on") carryHttp2(directive, scope, { report });
  },
};

function reportBypass(directive: Directive, scope: Scope, { report }: Context): void {
  const isCached = !/^(?:off)?$/.test(valueOf(scope, "proxy_cache") ?? "");
  if (isCached) report.lost(directive, 'use a rule with cache: "off" for these requests');
}

/** Turns HTTP/2 on, or reports the line that asks for it. */
export function carryHttp2(
  line: Directive,
  { top }: Pick<Scope, "top">,
  { report }: Pick<Context, "report">,
): void {
  if ("http2" in SETTINGS) top.set("http2", true);
  else report.lostOnce(line, "there is no HTTP/2: clients use HTTP/1.1");
}

/** Sets a setting where it belongs: at the top, at a site, or in the rule of a location. */
function setSetting(
  name: "bodyLimit" | "bodyBuffer" | "bodyTimeout" | "sendTimeout",
  value: string | null,
  { directive, scope, context }: { directive: Directive; scope: Scope; context: Context },
): void {
  if (value === null) context.report.lost(directive, "its value is not known");
  else if (scope.level === "http" || scope.site === null) scope.top.set(name, value);
  else if (scope.level === "server") scope.site.section.set(name, value);
  else scope.rule.set(name, value);
}
