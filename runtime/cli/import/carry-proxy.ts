import type { Carry, Context } from "./context.ts";
import { addFields, toProxy } from "./nginx-proxy.ts";
import { toTime } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import { findAll, findOne, type Scope } from "./scope.ts";
import { Section } from "./section.ts";

/** Stands for the application until its name is known. */
export const APP = "\u0000app";

/** `proxy_pass` becomes `proxy` of a rule or of the site, or the application takes its place. */
export const carryPass: Carry = (directive, scope, context) =>
  carryProxy(directive, scope, { context, isAfterFiles: false });

/** As `carryPass`. With `isAfterFiles`, files of these paths come first. */
export function carryProxy(
  directive: Directive,
  scope: Scope,
  { context, isAfterFiles }: { context: Context; isAfterFiles: boolean },
): void {
  const { site, match, rule } = scope;
  if (site === null) return;
  if (context.replaced?.(directive.args[0] ?? "") === true) {
    site.section.set("app", APP);
    addFields(rule, scope, context.report);
    return;
  }
  const proxy = toProxy(directive, scope, context);
  if (proxy === null) return;
  const isWhole = match === null || match.paths === null;
  if (isWhole) {
    const hasFiles = site.publicFolder !== null && site.section.get("public") !== undefined;
    if (hasFiles && !isAfterFiles && findOne(scope, "try_files") === null) {
      context.report.changed(directive, "files of the public folder come before the proxy");
    }
    site.section.set("proxy", proxy);
  } else {
    rule.set("proxy", proxy);
    if (isAfterFiles) {
      context.report.changed(directive, "a proxy for a part of the paths comes before files");
    }
  }
}

/** Programs behind FastCGI and uwsgi. */
export const carryGateway: Carry = (directive, scope, { report }) => {
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
  const hasPath = scope.level === "location" && scope.rule.get("path") !== undefined;
  if (hasPath && scope.rule.get("respond") === undefined) {
    scope.rule.set("respond", new Section({ status: 501 }));
  }
  scope.site?.refuseScripts();
};

/** `proxy_cache` becomes `cache`. */
export const carryCache: Carry = (directive, scope) => {
  const { level, rule, site, top, parent } = scope;
  const target = level === "location" ? rule : (site?.section ?? top);
  if (directive.args[0] === "off") {
    if (parent !== null && findOne(parent, "proxy_cache") !== null) target.set("cache", "off");
    return;
  }
  const cache = new Section();
  for (const { args } of findAll(scope, "proxy_cache_valid")) {
    const time = toTime(args.at(-1) ?? "", MOST_AGE_SECONDS);
    const isGood = args.length === 1 || args.includes("200") || args.includes("any");
    if (time !== null && isGood && cache.get("maxAge") === undefined) cache.set("maxAge", time);
  }
  if ((findOne(scope, "proxy_cache_use_stale")?.args ?? []).includes("error")) {
    cache.set("stale", "1h");
  }
  target.set("cache", cache.size === 0 ? "on" : cache);
};

/** Longest age that `cache` takes. */
const MOST_AGE_SECONDS = 365 * 86_400;
