import type { Context } from "./context.ts";
import { hasVariables, toSeconds } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import { hasOwn, hasWithin, type Scope } from "./scope.ts";

/** Fields that this server sets or leaves out by itself. */
const OWN_FIELDS =
  /^(?:connection|transfer-encoding|content-length|date|keep-alive|upgrade|trailer|te)$/;

/** `add_header` becomes `setFields`, or `cacheControl` of files. */
export function carryHeader(directive: Directive, scope: Scope, { report }: Context): void {
  const [name = "", value = ""] = directive.args;
  const lower = name.toLowerCase();
  const problem = findProblem(lower, value);
  if (value === "$upstream_cache_status" || (lower === "x-cache-status" && hasVariables(value))) {
    report.changed(directive, "answers of the cache have the field Cache-Status");
  } else if (problem !== null) report.lost(directive, problem);
  else if (value === "") return;
  else if (lower !== "cache-control") {
    scope.rule.child("setFields").set(lower, value.replaceAll(/\s+/g, " ").trim());
  } else if (!hasOwn(scope, "expires")) setCacheControl(scope, value.trim());
}

/** Returns the reason why no rule has such a field; `null`: a rule has it. */
function findProblem(name: string, value: string): string | null {
  if (name === "alt-svc") return "there is no HTTP/3";
  if (OWN_FIELDS.test(name)) return "the server writes this field itself";
  if (!/^[\w!#%&'*+.^`|~-]+$/.test(name)) return "this is no name of a field";
  if (value.startsWith("$upstream_http_") || value === "$http_origin") {
    return "fields have no variables: see `cors`, and `copyToReply` of `forwardAuth`";
  }
  return hasVariables(value) ? "fields have no variables: set it in _middleware.ts" : null;
}

/** `expires` becomes `cacheControl` of files, or a field. */
export function carryExpires(directive: Directive, scope: Scope, { report }: Context): void {
  const [text = "", ...rest] = directive.args;
  if (text === "off") return;
  const value = rest.length > 0 ? null : toCacheControl(text, findOwnControl(scope));
  if (value === null) report.lost(directive, "write a value of `cacheControl`");
  else setCacheControl(scope, value);
}

/** Returns the field `Cache-Control` that the same block adds; `null`: it adds none. */
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
  if (control !== null && /no-(?:cache|store)|max-age/.test(control)) return control;
  const words = (control ?? "").split(/\s*,\s*/).filter((word) => word !== "");
  return [`max-age=${seconds}`, ...words].join(", ");
}

function setCacheControl(scope: Scope, value: string): void {
  const { site, match } = scope;
  const patterns = match?.paths?.map(({ path }) => toFileGlob(path)) ?? ["/**"];
  if (
    site === null ||
    scope.level === "http" ||
    site.hasControlOfProxies ||
    patterns.includes(null) ||
    !DIRECTIVES.test(value)
  ) {
    scope.rule.child("setFields").set("cache-control", value);
    return;
  }
  const rank = match?.rank ?? [];
  for (const pattern of patterns) if (pattern !== null) site.addCacheControl(pattern, value, rank);
}

/** Values that `cacheControl` takes. A field may have any. */
const DIRECTIVES = /^[a-z][\w-]*(?:=[\w-]+)?(?:, ?[a-z][\w-]*(?:=[\w-]+)?)*$/i;

/**
 * Tells whether a block sets `Cache-Control` for answers that are no files. A rule for these then also overrules
 * `cacheControl`, so all of the site's values are in rules.
 */
export function setsControlOfProxies(directives: readonly Directive[]): boolean {
  const passes = directives.some(({ name }) => ANSWERS.has(name));
  if (passes && directives.some(setsControl)) return true;
  const isOuter = directives.some(({ name }) => name === "location");
  if (isOuter && directives.some(setsControl) && hasWithin(directives, [...ANSWERS])) return true;
  return directives.some(({ block }) => block !== null && setsControlOfProxies(block));
}

const ANSWERS: ReadonlySet<string> = new Set([
  "proxy_pass",
  "return",
  "uwsgi_pass",
  "fastcgi_pass",
]);

function setsControl({ name, args }: Directive): boolean {
  return name === "expires" || (name === "add_header" && /^cache-control$/i.test(args[0] ?? ""));
}

/** Returns the pattern of files for a pattern of paths; `null`: there is none. */
function toFileGlob(path: string): string | null {
  if (path.startsWith("/**/*.")) return path.slice(4);
  return path.includes(":") ? null : path;
}
