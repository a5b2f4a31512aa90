import { toTime } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";
import { Section, type Value } from "./section.ts";

/** Returns the name of the group that takes the place of an `upstream` block. */
export function toGroupName(name: string): string {
  return name
    .replaceAll(/[^\w.-]/g, "-")
    .replace(/^[.-]/, "u")
    .slice(0, 64);
}

/** Tells whether a group has a server whose address is known. */
export function hasServer(block: Directive): boolean {
  return (block.block ?? []).some(
    ({ name, args }) =>
      name === "server" && !args.includes("down") && toUrl(args[0] ?? "") !== null,
  );
}

function toUrl(address: string): string | null {
  const url = address.startsWith("unix:") ? address.replace(/:$/, "") : `http://${address}`;
  const isKnown = /^(?:unix:\/[^$\s]+|http:\/\/(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?)$/i.test(
    url,
  );
  return isKnown ? url : null;
}

/** Returns the entry of `upstreams` that takes the place of an `upstream` block. */
export function toUpstreamGroup(block: Directive, report: Report): Value {
  const group = new Section();
  const servers: Value[] = [];
  for (const directive of block.block ?? []) {
    if (directive.name === "server") {
      const server = toUpstreamServer(directive, group, report);
      if (server !== null) servers.push(server.size === 1 ? (server.get("url") ?? "") : server);
    } else addToGroup(group, directive, report);
  }
  if (group.size === 0) return servers.length === 1 ? (servers[0] ?? "") : servers;
  const whole = new Section({ servers });
  for (const [key, value] of group.members) whole.set(key, value);
  return whole;
}

/** Directives of a group that this server needs no setting for. */
const NO_SETTING: ReadonlySet<string> = new Set(
  "least_conn keepalive keepalive_timeout keepalive_requests keepalive_time zone random least_time resolver resolver_timeout queue".split(
    " ",
  ),
);

function addToGroup(group: Section, directive: Directive, report: Report): void {
  const { name, args } = directive;
  if (NO_SETTING.has(name)) return;
  if (name === "ip_hash") group.set("balance", new Section({ hash: "address" }));
  else if (name === "hash") {
    const key = toHashKey(args[0] ?? "");
    if (key !== null) group.set("balance", new Section({ hash: key }));
    else report.lost(directive, "a hash is one of the address, the path, a field or a cookie");
  } else if (name === "sticky") {
    const [kind, cookie = "server"] = args;
    if (kind !== "cookie") report.lost(directive, "`sticky` has a cookie that this server sets");
    else group.set("sticky", cookie);
  } else report.lost(directive, "a group of upstreams has nothing of this kind");
}

function toUpstreamServer(directive: Directive, group: Section, report: Report): Section | null {
  const [address = "", ...options] = directive.args;
  if (options.includes("down")) return null;
  const url = toUrl(address);
  if (url === null) {
    report.lost(directive, "this is no address of an upstream");
    return null;
  }
  const server = new Section({ url });
  for (const option of options) {
    const [name = "", value = ""] = option.split("=");
    if (!addOption(server, group, { name, value })) {
      report.lost(directive, `a server of a group has no "${name}"`);
    }
  }
  return server;
}

/** Adds an option of a server. Returns whether it is known. */
function addOption(
  server: Section,
  group: Section,
  { name, value }: { name: string; value: string },
): boolean {
  const count = /^\d{1,6}$/.test(value) ? Number(value) : 0;
  const isWatched = group.get("health") !== "off";
  const time = toTime(value, 3_600);
  switch (name) {
    case "weight":
      if (count > 1) server.set("weight", count);
      return true;
    case "backup":
      server.set("backup", true);
      return true;
    case "max_conns":
      if (count > 0) server.set("maxConnections", count);
      return true;
    case "max_fails":
      if (count === 0) group.set("health", "off");
      else if (isWatched) group.child("health").set("failures", count);
      return true;
    case "fail_timeout":
      // Nginx counts nothing with `fail_timeout=0`.
      if (time !== null && time !== "0s" && isWatched) group.child("health").set("window", time);
      else if (time === "0s") group.set("health", "off");
      return true;
    case "slow_start":
      if (time !== null && isWatched) group.child("health").set("slowStart", time);
      return true;
    default:
      // Names are always resolved again.
      return name === "resolve";
  }
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
