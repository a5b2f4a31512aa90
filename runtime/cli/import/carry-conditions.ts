import http from "node:http";
import { applyHostRedirect } from "./carry-redirects.ts";
import type { Carry, Context } from "./context.ts";
import { rankWithin } from "./nginx-patterns.ts";
import { toHostRedirect } from "./nginx-redirects.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Scope } from "./scope.ts";
import { Section, type Value } from "./section.ts";

/** `if` becomes conditions of a rule. `carry` carries over the directives of its block. */
export function carryIf(
  directive: Directive,
  scope: Scope,
  { context, carry }: { context: Context; carry: Carry },
): void {
  const { report } = context;
  const { site, match } = scope;
  const condition = directive.args
    .join(" ")
    .replace(/^\(\s*/, "")
    .replace(/\s*\)$/, "");
  const block = directive.block ?? [];
  if (site === null || block.length === 0) return;
  if (/^!?-[fde] \$(?:request_filename|document_root\S*|uri)$/.test(condition)) {
    report.changed(directive, "files always come first");
    return;
  }
  if (redirectsSite(condition, block, { scope, context })) return;
  const when = toCondition(condition);
  if (when === null || block.some(({ name }) => !IN_CONDITIONS.has(name))) {
    report.lost(directive, "no condition of a rule says the same: decide in _middleware.ts");
    return;
  }
  if (condition.startsWith("$request_method !")) {
    report.changed(
      directive,
      "the rule names all other methods that Node.js knows: further ones pass",
    );
  }
  const path = scope.rule.get("path");
  const rule = new Section({ ...(path === undefined ? {} : { path }), ...when });
  const conditions = rule.size;
  const rank = match === null ? [-1] : rankWithin(match.rank);
  const inner: Scope = {
    ...scope,
    level: "location",
    parent: scope,
    directives: block,
    rule,
    match: { paths: match?.paths ?? [], rank, prefix: null, isExact: false },
  };
  report.into(rule, () => {
    for (const one of block) carry(one, inner, context);
  });
  if (rule.size > conditions || rule.notes.length > 0) site.add({ rule, rank });
}

const IN_CONDITIONS: ReadonlySet<string> = new Set([
  "return",
  "access_log",
  "add_header",
  "break",
  "proxy_pass",
]);

/** Tells whether a condition only sends clients to HTTPS or to the one name of the site, which settings then do. */
function redirectsSite(
  condition: string,
  block: readonly Directive[],
  { scope: { site, top }, context: { report } }: { scope: Scope; context: Context },
): boolean {
  const [first] = block;
  const url = first?.args.find((arg) => arg.includes("://"));
  if (first === undefined || url === undefined || site === null) return false;
  const redirect = toHostRedirect(url, site.names);
  if (redirect === null) return false;
  if (IS_HTTPS.test(condition) && redirect.scheme === "https") {
    const isForwarded = condition.startsWith("$http_x_");
    if (isForwarded && top.list("trustedProxies").length === 0) {
      report.todo(first, "name the proxy that ends TLS in `trustedProxies`");
    }
    return applyHostRedirect(redirect, first, { site, report });
  }
  if (!IS_HOST.test(condition)) return false;
  const isOther = /^\$\w+ !/.test(condition) || site.names.length <= 2;
  // Certbot asks for each name of the server.
  const isSame = redirect.host === null && redirect.scheme === "https";
  return (isOther || isSame) && applyHostRedirect(redirect, first, { site, report });
}

const IS_HTTPS =
  /^\$(?:scheme|https|http_x_forwarded_proto) (?:!?=|!~\*?) ?"?(?:http|https|on)?"?$/;
const IS_HOST = /^\$(?:host|http_host) !?(?:=|~\*?) /;

/** Methods that a rule names in place of "all others": Node.js knows these. */
const METHODS = http.METHODS;

/** Forms of conditions, and the conditions of a rule. */
const FORMS: readonly [RegExp, (first: string, second: string) => Record<string, Value> | null][] =
  [
    [/^\$request_method = ?([A-Z]+)$/, (method) => ({ method })],
    [/^\$request_method ~\*? ?\^?\(?([A-Z|]+)\)?\$?$/, (list) => ({ method: list.split("|") })],
    [/^\$request_method !~\*? ?\^?\(?([A-Z|]+)\)?\$?$/, (list) => otherMethods(list.split("|"))],
    [/^\$request_method != ?([A-Z]+)$/, (method) => otherMethods([method])],
    [/^\$(?:host|http_host) = ?([\w.-]+)$/, (host) => ({ host: host.toLowerCase() })],
    [/^\$scheme = ?(https?)$/, (scheme) => ({ scheme })],
    [/^\$remote_addr = ?([\da-f.:]+)$/i, (address) => ({ address })],
    [/^\$uri = ?(\/[\w./-]*)$/, (path) => ({ path })],
    [/^\$http_(\w+)(?: = ?([^$*]*))?$/, (name, value) => ({ header: toMember(name, value) })],
    [/^\$arg_(\w+)(?: = ?([^$*]*))?$/, (name, value) => ({ query: toMember(name, value, true) })],
    [
      /^\$http_(\w+) ~ ?(\^?[\w ./-]+\$?)$/,
      (name, text) => ({ header: new Section({ [toFieldName(name)]: toWildcards(text) }) }),
    ],
  ];

/** Returns the conditions of a rule that say the same as one of Nginx; `null`: none does. */
export function toCondition(condition: string): Record<string, Value> | null {
  const plain = condition.replaceAll(/["']/g, "").replace(/ = $/, " =");
  for (const [expression, toConditions] of FORMS) {
    const found = expression.exec(plain);
    if (found === null) continue;
    const isPresence = !plain.includes(" ");
    return toConditions(found[1] ?? "", isPresence ? PRESENT : (found[2] ?? ""));
  }
  return null;
}

/** Stands for a condition without a value: `if ($http_cookie)`. */
const PRESENT = "\u0000";

function toMember(name: string, value: string, isQuery = false): Section {
  const key = isQuery ? name : toFieldName(name);
  return new Section({ [key]: value === PRESENT ? true : value === "" ? false : value });
}

function toFieldName(name: string): string {
  return name.replaceAll("_", "-");
}

function toWildcards(text: string): string {
  const start = text.startsWith("^") ? "" : "*";
  const end = text.endsWith("$") ? "" : "*";
  return `${start}${text.replace(/^\^/, "").replace(/\$$/, "")}${end}`;
}

function otherMethods(allowed: readonly string[]): Record<string, Value> | null {
  const others = METHODS.filter((method) => !allowed.includes(method));
  return others.length === METHODS.length ? null : { method: others };
}
