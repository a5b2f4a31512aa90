import { toHostName } from "../../config/host-name.ts";
import { treatmentOf } from "../../proxy/request-fields.ts";
import { hasVariables, toTime } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Context } from "./context.ts";
import type { Report } from "./report.ts";
import { findAll, findOne, type Scope, valueOf } from "./scope.ts";
import { Section, type Value } from "./section.ts";

/** Returns the value of `proxy` that takes the place of `proxy_pass`; `null`: none does. */
export function toProxy(
  directive: Directive,
  scope: Scope,
  { report, groups, usedGroups }: Context,
): Value | null {
  const [url = ""] = directive.args;
  const parsed = parseUpstream(url, groups);
  if (parsed?.to === null) {
    report.lost(directive, "its group of upstreams has no server");
    return null;
  }
  if (parsed === null) {
    report.lost(
      directive,
      hasVariables(url)
        ? "the address of an upstream has no variables: write a rule with `proxy` for each case"
        : "this is no address of an upstream",
    );
    return null;
  }
  const paths = findPaths(parsed.path, scope);
  if (paths === null) {
    report.lost(directive, "no setting of `proxy` changes the path in this way");
    return null;
  }
  if (parsed.isGroup) usedGroups.add(parsed.to);
  const proxy = new Section({ to: parsed.to });
  if (scope.match?.isExact === true && paths.add !== paths.strip) {
    scope.rule.set("rewrite", paths.add === "" ? "/" : paths.add);
  } else {
    if (paths.strip !== "") proxy.set("stripPrefix", paths.strip);
    if (paths.add !== "") proxy.set("addPrefix", paths.add);
  }
  if (!paths.isEven)
    report.changed(
      directive,
      "the path for the upstream has one slash, where Nginx makes two or none",
    );
  // Without a line for it, Nginx sends the name of the upstream.
  const hosts = findAll(scope, "proxy_set_header").filter(({ args: [name = ""] }) =>
    /^host$/i.test(name),
  );
  const own = parsed.isGroup ? parsed.name : parsed.isSocket ? "localhost" : "upstream";
  if (hosts.length === 0) proxy.set("host", toHostName(own) === null ? "upstream" : own);
  for (const line of hosts) addHost(proxy, line, report);
  addFields(proxy, scope, report);
  for (const [name, key] of [
    ["proxy_connect_timeout", "connectTimeout"],
    ["proxy_read_timeout", "firstByteTimeout"],
    ["proxy_read_timeout", "idleTimeout"],
  ] as const) {
    const isConnect = key === "connectTimeout";
    const time = toTime(valueOf(scope, name) ?? "", isConnect ? 3_600 : undefined);
    // 60 s is the default of both programs, but for connecting.
    if (time !== null && time !== "0s" && (isConnect || time !== "1m")) proxy.set(key, time);
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

interface ParsedUpstream {
  /** `to` of a proxy. */
  to: string;
  /** The path that replaces that of the location; `null`: none does. */
  path: string | null;
  isGroup: boolean;
  isSocket: boolean;
  /** Name of the group, as Nginx has it. */
  name: string;
}

function parseUpstream(
  url: string,
  groups: Context["groups"],
): ParsedUpstream | { to: null } | null {
  if (url.includes("$")) return null;
  const [, socket, socketPath] = /^http:\/\/unix:(\/[^:\s]+):?(\/.*)?$/.exec(url) ?? [];
  if (socket !== undefined) {
    const to = `unix:${socket}`;
    return { to, path: socketPath ?? null, isGroup: false, isSocket: true, name: "" };
  }
  const [, origin, scheme, host = "", path = null] =
    /^((https?):\/\/(\[[\da-f:.]+\](?::\d{1,5})?|[\w.-]+(?::\d{1,5})?))(\/.*)?$/i.exec(url) ?? [];
  if (origin === undefined) return null;
  const group = scheme === "http" ? groups.get(host) : undefined;
  if (group === null) return { to: null };
  const isGroup = group !== undefined;
  return { to: group ?? origin, path, isGroup, isSocket: false, name: host };
}

/** A path that `stripPrefix` and `addPrefix` take. */
const PLAIN_PATH = /^(?:\/[\w.~-]+)*$/;

/**
 * `proxy_pass` with a path replaces the prefix of the location by it.
 *
 * @returns `null`: no setting does.
 */
function findPaths(
  path: string | null,
  { match }: Scope,
): { strip: string; add: string; isEven: boolean } | null {
  if (path === null) return { strip: "", add: "", isEven: true };
  if (match !== null && match.prefix === null) return null;
  const written = match?.prefix ?? "/";
  const [strip, add] = [written.replace(/\/$/, ""), path.replace(/\/$/, "")];
  if (!PLAIN_PATH.test(strip) || !PLAIN_PATH.test(add)) return null;
  const isEven = written.endsWith("/") === path.endsWith("/") || match?.isExact === true;
  return strip === add ? { strip: "", add: "", isEven } : { strip, add, isEven };
}

/** Adds `setRequestFields` and `removeRequestFields` to a proxy, or to a rule for an application. */
export function addFields(target: Section, scope: Scope, report: Report): void {
  const set = new Section();
  const removed: string[] = [];
  for (const directive of findAll(scope, "proxy_set_header")) {
    const [name = "", value = ""] = directive.args;
    const lower = name.toLowerCase();
    const treatment = treatmentOf(lower);
    if (treatment === "host") continue;
    if (lower === "upgrade" && value !== "" && scope.top.get("http2") === true) {
      report.lostOnce(
        directive,
        "the engine that speaks HTTP/2 passes no WebSockets on: without `http2`, they are passed on",
      );
    } else if (treatment === "drop" || treatment === "via") continue;
    else if (value === "") removed.push(lower);
    else if (treatment !== undefined) continue;
    // The field of the client itself, or of a service that was asked about the client.
    else if (value === `$http_${lower.replaceAll("-", "_")}`) continue;
    else if (isCopied(lower, value, scope)) continue;
    else if (hasVariables(value)) {
      // The upstream may trust it, so the value of the client must not reach it.
      removed.push(lower);
      report.lost(directive, "a field of a rule has no variables: the upstream gets no such field");
    } else set.set(lower, value);
  }
  if (set.size > 0) target.set("setRequestFields", set);
  if (removed.length > 0) target.set("removeRequestFields", removed);
}

/** Tells whether `copy` of `forwardAuth` sets the field to this variable. */
function isCopied(name: string, value: string, scope: Scope): boolean {
  const service = valueOf(scope, "auth_request");
  if (service === null || service === "off") return false;
  return findAll(scope, "auth_request_set").some(
    ({ args: [variable, from] }) =>
      variable === value && from === `$upstream_http_${name.replaceAll("-", "_")}`,
  );
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
