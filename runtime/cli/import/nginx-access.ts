import type { Context } from "./context.ts";
import { hasVariables, toNginxFile, toRate } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";
import { findAll, findLocation, findOne, hasOwn, type Scope, valueOf } from "./scope.ts";
import { Section, type Value } from "./section.ts";

/** Names that a zone of a limit counts by. */
export interface LimitZones {
  readonly rates: ReadonlyMap<string, { key: string; rate: string }>;
  readonly connections: ReadonlyMap<string, string>;
}

/** Reads `limit_req_zone` and `limit_conn_zone`. */
export function readZones(directives: readonly Directive[]): LimitZones {
  const rates = new Map<string, { key: string; rate: string }>();
  const connections = new Map<string, string>();
  for (const { name, args } of directives) {
    if (name !== "limit_req_zone" && name !== "limit_conn_zone") continue;
    const [key = ""] = args;
    const zone = /^zone=([^:]+)/.exec(args.find((arg) => arg.startsWith("zone=")) ?? "")?.[1];
    const rate = args.find((arg) => arg.startsWith("rate="))?.slice(5) ?? "";
    if (zone === undefined) continue;
    if (name === "limit_req_zone") rates.set(zone, { key, rate });
    else connections.set(zone, key);
  }
  return { rates, connections };
}

/** All addresses: a rule that denies them keeps every client out. */
const EVERYONE = ["0.0.0.0/0", "::/0"];

/** Facts of the whole config that access rules refer to. */
type AccessContext = Pick<Context, "report" | "groups" | "replaced" | "zones">;

/** Adds the access rules that hold in a block to its rule. */
export function addAccess(scope: Scope, context: AccessContext): void {
  const { report, zones } = context;
  addAddresses(scope, report);
  addUsers(scope, report);
  addService(scope, context);
  if (hasOwn(scope, "limit_req")) addRateLimits(scope, { report, zones });
  if (hasOwn(scope, "limit_conn")) addConcurrencyLimit(scope, { report, zones });
}

/** Switches an access rule off for the paths of a location, unless the pattern takes more paths than its expression. */
export function switchOffAccess(
  rule: Section,
  key: "basicAuth" | "forwardAuth",
  { match, line, report }: { match: Scope["match"]; line: Directive; report: Report },
): void {
  if (match?.paths?.some(({ isWider }) => isWider) !== true) rule.set(key, "off");
  else report.lost(line, `\`${key}\` stays on: the pattern takes more paths than the expression`);
}

function addAddresses(scope: Scope, report: Report): void {
  const own = scope.directives.filter(({ name }) => name === "allow" || name === "deny");
  const [first] = own;
  if (first === undefined) return;
  const allowed: string[] = [];
  const denied: string[] = [];
  // The first line that names an address decides.
  for (const directive of own) {
    const [range = ""] = directive.args;
    if (range === "unix:") continue;
    if (range !== "all") (directive.name === "allow" ? allowed : denied).push(range);
    else if (directive.name === "deny" && allowed.length === 0) scope.rule.set("deny", EVERYONE);
    else if (directive.name === "deny") scope.rule.set("allow", allowed);
    if (range === "all") break;
  }
  const isOpen = scope.rule.get("allow") === undefined && scope.rule.get("deny") === undefined;
  if (isOpen && denied.length > 0) scope.rule.set("deny", denied);
  else if (!isOpen && denied.length > 0) {
    report.changed(first, "`deny` wins over `allow`: check addresses that are in both");
    scope.rule.set("deny", denied);
  }
  const admits = own.some(({ name }) => name === "allow");
  if (admits && scope.parent !== null && hasAddresses(scope.parent)) {
    report.lost(
      first,
      "a rule for a part of the paths cannot admit clients that a rule for all of them refuses: every list must admit them",
    );
  }
}

function hasAddresses(scope: Scope): boolean {
  return findAll(scope, "deny").length > 0;
}

function addUsers(scope: Scope, report: Report): void {
  const line = scope.directives.findLast(
    ({ name }) => name === "auth_basic" || name === "auth_basic_user_file",
  );
  const realm = valueOf(scope, "auth_basic");
  if (line === undefined || realm === null) return;
  const file = valueOf(scope, "auth_basic_user_file");
  if (realm === "off") {
    // Nothing to switch off.
    if (scope.parent !== null && findOne(scope.parent, "auth_basic") !== null)
      switchOffAccess(scope.rule, "basicAuth", { match: scope.match, line, report });
  } else if (file === null) {
    report.lost(line, "there is no file with users: set `basicAuth` by hand");
  } else if (hasVariables(file)) {
    scope.rule.set("deny", EVERYONE);
    report.lost(line, "the file of users has variables: set `basicAuth` in place of this `deny`");
  } else
    scope.rule.set("basicAuth", new Section({ file: toNginxFile(file), realm: toRealm(realm) }));
}

function toRealm(text: string): string {
  const realm = text.replaceAll(/[^ -~]|["\\]/g, "").trim();
  return realm === "" ? "Restricted" : realm;
}

/** `auth_request` becomes `forwardAuth`. */
function addService(scope: Scope, context: AccessContext): void {
  const { report, groups, replaced } = context;
  const directive = scope.directives.findLast(({ name }) => name === "auth_request");
  if (directive === undefined) return;
  const [path = ""] = directive.args;
  if (path === "off") {
    switchOffAccess(scope.rule, "forwardAuth", { match: scope.match, line: directive, report });
    return;
  }
  const service = findLocation(scope, path);
  const url = service?.block?.find(({ name }) => name === "proxy_pass")?.args[0];
  const host = /^https?:\/\/([^/]*)/.exec(url ?? "")?.[1] ?? "";
  if (url !== undefined && (hasVariables(url) || url.startsWith("http://unix:"))) {
    scope.rule.set("deny", EVERYONE);
    report.lost(
      directive,
      "`forwardAuth` needs the URL of the service, without variables: set it in place of this `deny`",
    );
    return;
  }
  if (groups.has(host)) {
    scope.rule.set("deny", EVERYONE);
    report.lost(
      directive,
      "`forwardAuth` asks one URL, no group of upstreams: set it in place of this `deny`",
    );
    return;
  }
  if (url === undefined && replaced === null) {
    report.lost(
      directive,
      "`forwardAuth` asks a handler of this path, or set the URL of a service",
    );
  }
  // Without a path of its own, the service gets that of the location.
  const auth = new Section({
    url: url === `http://${host}` || url === `https://${host}` ? `${url}${path}` : (url ?? path),
  });
  const copied = findAll(scope, "auth_request_set").flatMap(({ args }) => {
    const [variable = "", value = ""] = args;
    const field = /^\$upstream_http_(\w+)$/.exec(value)?.[1]?.replaceAll("_", "-");
    return field === undefined ? [] : [{ variable, field }];
  });
  const toRequest = copied.filter(({ variable }) =>
    findAll(scope, "proxy_set_header").some(({ args }) => args[1] === variable),
  );
  const toReply = copied.filter(({ variable }) =>
    findAll(scope, "add_header").some(({ args }) => args[1] === variable),
  );
  if (toRequest.length > 0)
    auth.set(
      "copy",
      toRequest.map(({ field }) => field),
    );
  if (toReply.length > 0)
    auth.set(
      "copyToReply",
      toReply.map(({ field }) => field),
    );
  scope.rule.set("forwardAuth", auth);
}

function addRateLimits(
  scope: Scope,
  { report, zones }: { report: Report; zones: LimitZones },
): void {
  const limits = scope.directives.filter(({ name }) => name === "limit_req");
  for (const [index, directive] of limits.entries()) {
    const options = new Map(
      directive.args.map((arg): [string, string] => {
        const [name = "", value = ""] = arg.split("=");
        return [name, value];
      }),
    );
    const zone = zones.rates.get(options.get("zone") ?? "");
    const key = zone === undefined ? null : toLimitKey(zone.key);
    const rate = zone === undefined ? null : toRate(zone.rate);
    if (zone === undefined || key === null || rate === null) {
      report.lost(
        directive,
        "its zone is not known, or counts by a variable that `rateLimit` has not",
      );
    } else if (index > 0) {
      report.lost(directive, "a rule has one `rateLimit`: write a further rule");
    } else {
      // Nginx admits one request and a burst of others.
      const limit = new Section({ rate, burst: Number(options.get("burst") ?? 0) + 1 });
      if (key !== "address") limit.set("key", key);
      if (valueOf(scope, "limit_req_dry_run") === "on") limit.set("dryRun", true);
      scope.rule.set("rateLimit", limit);
      if (options.has("burst") && !options.has("nodelay")) {
        report.changed(directive, "requests of a burst are not delayed");
      }
    }
  }
}

function addConcurrencyLimit(
  scope: Scope,
  { report, zones }: { report: Report; zones: LimitZones },
): void {
  const limits = scope.directives.filter(({ name }) => name === "limit_conn");
  for (const [index, directive] of limits.entries()) {
    const [zone = "", most = ""] = directive.args;
    const variable = zones.connections.get(zone);
    const key = variable === undefined ? null : toLimitKey(variable);
    if (key === null || !/^[1-9]\d*$/.test(most)) {
      report.lost(
        directive,
        "its zone is not known, or counts by a variable that `concurrencyLimit` has not",
      );
    } else if (valueOf(scope, "limit_conn_dry_run") === "on") {
      report.lost(directive, "`concurrencyLimit` has no dry run");
    } else if (index > 0)
      report.lost(directive, "a rule has one `concurrencyLimit`: write a further rule");
    else {
      const limit = new Section({ most: Number(most) });
      if (key !== "address") limit.set("key", key);
      scope.rule.set("concurrencyLimit", key === "address" ? Number(most) : limit);
    }
  }
}

function toLimitKey(variable: string): Value | null {
  if (
    /^\$(?:binary_remote_addr|remote_addr|http_x_forwarded_for|http_cf_connecting_ip|http_x_real_ip)$/.test(
      variable,
    )
  ) {
    return "address";
  }
  if (/^\$(?:server_name|host|http_host)$/.test(variable)) return "site";
  const [, kind, name] = /^\$(http|cookie)_(\w+)$/.exec(variable) ?? [];
  if (name === undefined) return null;
  return kind === "http"
    ? new Section({ header: name.replaceAll("_", "-") })
    : new Section({ cookie: name });
}
