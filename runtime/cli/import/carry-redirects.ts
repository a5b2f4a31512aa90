import type { Context } from "./context.ts";
import { matchExpression } from "./nginx-expressions.ts";
import { rankWithin } from "./nginx-patterns.ts";
import { type HostRedirect, toHostRedirect, toRewriteTarget, toTarget } from "./nginx-redirects.ts";
import { hasVariables } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";
import { hasWithin, type Scope, valueOf } from "./scope.ts";
import { Section } from "./section.ts";
import type { SiteDraft } from "./site-draft.ts";

/** `return` becomes `redirect` or `respond`. */
export function carryReturn(directive: Directive, scope: Scope, context: Context): void {
  const { report } = context;
  const [first = "", second] = directive.args;
  const hasStatus = /^\d{3}$/.test(first);
  const status = hasStatus ? Number(first) : 302;
  const text = hasStatus ? second : first;
  if (!hasStatus || /^30[12378]$/.test(first)) {
    addRedirect(scope, { directive, url: text ?? "", status, report });
    return;
  }
  if (text !== undefined && hasVariables(text)) {
    report.lost(directive, "a fixed answer has no variables: write a handler");
    return;
  }
  if (status === 444) {
    report.changed(directive, "the client gets 403 instead of a closed connection");
  } else if (status < 200 || status > 599) {
    report.lost(directive, "this is no status of an answer");
    return;
  }
  const answer = new Section({ status: status === 444 ? 403 : status });
  if (text !== undefined && text !== "") {
    answer.set("body", text);
    const type = valueOf(scope, "default_type") ?? "text/plain";
    answer.set("fields", new Section({ "content-type": type }));
  }
  scope.rule.set("respond", answer);
}

function addRedirect(
  { rule, match }: Scope,
  {
    directive,
    url,
    status,
    report,
  }: { directive: Directive; url: string; status: number; report: Report },
): void {
  const paths = match?.paths ?? [];
  const target = toTarget(url, paths[0] ?? null);
  const hasValues = target !== null && /\/:/.test(target.to.replace(/^https?:\/\/[^/]*/, ""));
  if (target === null || (paths.length > 1 && hasValues)) {
    report.lost(directive, "a redirect of a rule has no variable of this kind");
    return;
  }
  if (target.path !== null) {
    const before = rule.get("path");
    if (before !== undefined && before !== target.path) {
      report.changed(directive, `the redirect is for ${target.path} only`);
    }
    rule.set("path", target.path);
  }
  rule.set("redirect", new Section({ to: target.to, status }));
}

/** `rewrite` becomes `redirect` or `rewrite` of a rule of its own. */
export function carryRewrite(directive: Directive, scope: Scope, { report }: Context): void {
  const { site, match } = scope;
  const [expression = "", target = "", flag = ""] = directive.args;
  if (site === null) return;
  const status = flag === "permanent" ? 301 : 302;
  const isRedirect = /^(?:permanent|redirect)$/.test(flag) || /^(?:https?|\$scheme):/.test(target);
  const matches = matchExpression(expression);
  const isAll = matches?.[0]?.path === "/**" || expression === "^";
  const redirect = isAll && isRedirect ? toHostRedirect(target, site.names) : null;
  if (redirect !== null && applyHostRedirect(redirect, directive, { site, report })) return;
  const known = matches?.map((one) => ({ one, to: toRewriteTarget(target, one) })) ?? [];
  if (known.length === 0 || known.some(({ to }) => to === null)) {
    report.lost(
      directive,
      "no pattern of paths says the same: write a handler, or decide in _middleware.ts",
    );
    return;
  }
  if (known.some(({ one }) => one.isWider)) report.changed(directive, WIDER);
  if (!isRedirect && flag !== "break" && hasWithin(scope.directives, ["location"])) {
    report.changed(directive, "other rules, such as `proxy`, still see the path of the client");
  }
  for (const { one, to } of known) {
    if (to === null) continue;
    const rule = new Section({ path: one.path });
    if (isRedirect) rule.set("redirect", new Section({ to, status }));
    else rule.set("rewrite", to);
    site.add({ rule, rank: match === null ? [-1] : rankWithin(match.rank) });
  }
}

/** Reason of a remark about a pattern. */
export const WIDER = "a pattern takes any segment, where the expression asks for some characters";

/** Turns a redirect of a site into settings. Returns whether it could. */
export function applyHostRedirect(
  { scheme, host }: HostRedirect,
  line: Directive,
  { site, report }: { site: SiteDraft; report: Report },
): boolean {
  if (scheme === "http") {
    report.lost(line, "clients with HTTPS stay there");
    return true;
  }
  if (host !== null && !site.names.includes(host)) return false;
  if (scheme === "https") site.redirectToHttps(line);
  if (host !== null && site.names.length > 1) site.section.set("canonicalHost", host);
  return true;
}
