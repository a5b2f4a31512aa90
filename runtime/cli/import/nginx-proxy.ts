import { hasVariables, toTime } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";
import { findAll, findOne, type Scope, valueOf } from "./scope.ts";
import { Section, type Value } from "./section.ts";

/** Fields of requests that a proxy of ours sets by itself, in lower case. */
const SET_ANYWAY =
  /^(?:host|connection|upgrade|accept-encoding|via|forwarded|x-real-ip|x-request-id|x-scheme|x-client-ip|x-original-uri|x-url-scheme|x-nginx-proxy|x-forwarded-[a-z]+|remote-host|remote-addr|client-ip)$/;

/** Returns the value of `proxy` that takes the place of `proxy_pass`; `null`: none does. */
export function toProxy(
  directive: Directive,
  scope: Scope,
  { report, groups }: { report: Report; groups: ReadonlySet<string> },
): Value | null {
  const [url = ""] = directive.args;
  const parsed = parseUpstream(url, groups);
  if (parsed === null) {
    report.lost(
      directive,
      hasVariables(url)
        ? "the address of an upstream has no variables: write a rule with `proxy` for each case"
        : "this is no address of an upstream",
    );
    return null;
  }
  const proxy = new Section({ to: parsed.to });
  addPaths(proxy, parsed.path, scope);
  addFields(proxy, scope, report);
  for (const [name, key] of [
    ["proxy_connect_timeout", "connectTimeout"],
    ["proxy_read_timeout", "firstByteTimeout"],
    ["proxy_read_timeout", "idleTimeout"],
  ] as const) {
    const time = toTime(valueOf(scope, name) ?? "");
    // 60 s is the default of both programs, but for connecting.
    if (time !== null && !(time === "1m" && key !== "connectTimeout"))
      proxy.set(key, capTime(time));
  }
  const tries = valueOf(scope, "proxy_next_upstream_tries");
  if (tries !== null && /^[1-9]\d?$/.test(tries)) proxy.set("retries", Number(tries) - 1);
  if (valueOf(scope, "proxy_next_upstream") === "off") proxy.set("retries", 0);
  addAddresses(proxy, scope, report);
  if (findAll(scope, "proxy_pass_header").some(({ args }) => args[0]?.toLowerCase() === "server")) {
    proxy.set("keepServer", true);
  }
  if (parsed.to.startsWith("https:") && valueOf(scope, "proxy_ssl_verify") !== "on") {
    report.changed(
      directive,
      "Nginx accepts any certificate of an upstream here; this server checks it (`tls` of a group in `upstreams` changes that)",
    );
  }
  return proxy.size === 1 ? parsed.to : proxy;
}

/** Longest time-out that a proxy takes. */
const MOST_HOURS = 24;

function capTime(time: string): string {
  const [, count, unit] = /^(\d+)(\w+)$/.exec(time) ?? [];
  return unit === "h" && Number(count) > MOST_HOURS ? `${MOST_HOURS}h` : time;
}

function parseUpstream(
  url: string,
  groups: ReadonlySet<string>,
): { to: string; path: string | null } | null {
  const [, socket, socketPath] = /^http:\/\/unix:([^:$]+?)(?::(\/[^$]*))?$/.exec(url) ?? [];
  if (socket !== undefined)
    return { to: `unix:${socket.replace(/:$/, "")}`, path: socketPath ?? null };
  const [, origin, scheme = "", host = "", path] =
    /^((https?):\/\/([^/$]+))(\/[^$]*)?$/.exec(url) ?? [];
  if (origin === undefined) return null;
  return { to: groups.has(host) && scheme === "http" ? host : origin, path: path ?? null };
}

/** `proxy_pass` with a path replaces the prefix of the location by it. */
function addPaths(proxy: Section, path: string | null, { match }: Scope): void {
  if (path === null) return;
  const prefix = (match?.prefix ?? "").replace(/\/$/, "");
  const added = path.replace(/\/$/, "");
  if (prefix === added) return;
  if (prefix !== "") proxy.set("stripPrefix", prefix);
  if (added !== "") proxy.set("addPrefix", added);
}

function addFields(proxy: Section, scope: Scope, report: Report): void {
  const set = new Section();
  const removed: string[] = [];
  for (const directive of findAll(scope, "proxy_set_header")) {
    const [name = "", value = ""] = directive.args;
    const lower = name.toLowerCase();
    if (lower === "host") addHost(proxy, directive, report);
    else if (SET_ANYWAY.test(lower)) continue;
    else if (value === "") removed.push(lower);
    // The field of the client itself.
    else if (value === `$http_${lower.replaceAll("-", "_")}`) continue;
    else if (hasVariables(value)) {
      report.lost(
        directive,
        "a field of a rule has no variables: the upstream gets that of the client, if there is one",
      );
    } else set.set(lower, value);
  }
  if (set.size > 0) proxy.set("setRequestFields", set);
  if (removed.length > 0) proxy.set("removeRequestFields", removed);
}

function addHost(proxy: Section, directive: Directive, report: Report): void {
  const value = directive.args[1] ?? "";
  if (/^\$(?:host|http_host|server_name)(?::\$server_port)?$/.test(value)) return;
  if (value === "$proxy_host" || value === "$proxy_host:$proxy_port") proxy.set("host", "upstream");
  else if (hasVariables(value))
    report.lost(directive, "`host` has no variables: the upstream gets that of the client");
  else proxy.set("host", value);
}

function addAddresses(proxy: Section, scope: Scope, report: Report): void {
  const redirect = findOne(scope, "proxy_redirect");
  if (redirect !== null) {
    const [from = "", to = ""] = redirect.args;
    if (from === "off") proxy.set("rewriteLocation", false);
    else if (from !== "default" && !/[$~]/.test(from + to)) {
      proxy.set("rewriteLocation", new Section({ [from]: to }));
    } else if (from !== "default") {
      report.changed(
        redirect,
        "addresses of the upstream itself become paths; expressions and variables are not known",
      );
    }
  }
  for (const [name, key] of [
    ["proxy_cookie_domain", "cookieDomain"],
    ["proxy_cookie_path", "cookiePath"],
  ] as const) {
    for (const directive of findAll(scope, name)) {
      const [from = "", to = ""] = directive.args;
      if (from === "off") continue;
      if (/[$~]/.test(from + to))
        report.lost(directive, "`cookieDomain` and `cookiePath` have no variables and expressions");
      else proxy.child(key).set(from.replace(/^\./, ""), to);
    }
  }
}

/** Returns the entry of `upstreams` that takes the place of an `upstream` block. */
export function toUpstreamGroup(block: Directive, report: Report): Value {
  const group = new Section();
  const servers: Value[] = [];
  let isPlain = true;
  for (const directive of block.block ?? []) {
    const { name, args } = directive;
    switch (name) {
      case "server": {
        const server = toUpstreamServer(directive, group, report);
        if (server === null) break;
        servers.push(server.size === 1 ? (server.get("url") ?? "") : server);
        break;
      }
      case "least_conn":
      case "keepalive":
      case "keepalive_timeout":
      case "keepalive_requests":
      case "keepalive_time":
      case "zone":
      case "random":
      case "least_time":
      case "resolver":
        break;
      case "ip_hash":
        group.set("balance", new Section({ hash: "address" }));
        isPlain = false;
        break;
      case "hash": {
        const key = toHashKey(args[0] ?? "");
        if (key === null)
          report.lost(directive, "a hash is one of the address, the path, a field or a cookie");
        else group.set("balance", new Section({ hash: key }));
        isPlain &&= key === null;
        break;
      }
      case "sticky":
        group.set("sticky", args[1] ?? "server");
        isPlain = false;
        break;
      default:
        report.lost(directive, "a group of upstreams has nothing of this kind");
    }
  }
  if (group.size === 0 && isPlain) return servers.length === 1 ? (servers[0] ?? "") : servers;
  const whole = new Section({ servers });
  for (const [key, value] of group.members) whole.set(key, value);
  return whole;
}

function toUpstreamServer(directive: Directive, group: Section, report: Report): Section | null {
  const [address = "", ...options] = directive.args;
  if (options.includes("down")) return null;
  const server = new Section({
    url: address.startsWith("unix:") ? address.replace(/:$/, "") : `http://${address}`,
  });
  for (const option of options) {
    const [name = "", value = ""] = option.split("=");
    const count = Number(value);
    if (name === "weight" && count !== 1) server.set("weight", count);
    else if (name === "backup") server.set("backup", true);
    else if (name === "max_conns" && count > 0) server.set("maxConnections", count);
    else if (name === "max_fails") {
      if (count === 0) group.set("health", "off");
      else if (group.get("health") !== "off") group.child("health").set("failures", count);
    } else if (name === "fail_timeout") {
      const time = toTime(value);
      // Nginx counts nothing with `fail_timeout=0`.
      if (time !== null && time !== "0s" && group.get("health") !== "off")
        group.child("health").set("window", time);
    } else if (name === "slow_start") {
      const time = toTime(value);
      if (time !== null && group.get("health") !== "off")
        group.child("health").set("slowStart", time);
    } else if (!["weight", "resolve", "max_conns"].includes(name)) {
      report.lost(directive, `a server of a group has no "${name}"`);
    }
  }
  return server;
}

function toHashKey(text: string): Value | null {
  if (/^\$(?:binary_remote_addr|remote_addr)$/.test(text)) return "address";
  if (/^\$(?:request_uri|uri)$/.test(text)) return "path";
  const [, kind, name] = /^\$(http|cookie)_(\w+)$/.exec(text) ?? [];
  if (name === undefined) return null;
  return kind === "http"
    ? new Section({ header: name.replaceAll("_", "-") })
    : new Section({ cookie: name });
}
