import { carryIf } from "./carry-conditions.ts";
import { carryExpires, carryHeader } from "./carry-fields.ts";
import { carryErrorPage, carryFolder, carryInternal, carryTryFiles } from "./carry-files.ts";
import { carryAccessLog, carryErrorLog } from "./carry-logs.ts";
import { carryCache, carryGateway, carryPass } from "./carry-proxy.ts";
import { carryReturn, carryRewrite } from "./carry-redirects.ts";
import { SERVER_SETTINGS } from "./carry-settings.ts";
import type { Carry } from "./context.ts";
import { LOST, NOT_NEEDED, READ_ELSEWHERE } from "./nginx-known.ts";

/** Directives that change the new config by themselves. All others are in `nginx-known.ts`. */
export const CARRIED: Readonly<Record<string, Carry>> = {
  ...SERVER_SETTINGS,
  access_log: carryAccessLog,
  error_log: carryErrorLog,
  root: carryFolder,
  alias: carryFolder,
  try_files: carryTryFiles,
  error_page: carryErrorPage,
  internal: carryInternal,
  add_header: carryHeader,
  expires: carryExpires,
  more_clear_headers: ({ args }, { rule }) => {
    rule.set("removeFields", [...rule.list("removeFields"), ...args]);
  },
  proxy_hide_header: ({ args }, { rule }) => {
    const [name = ""] = args;
    const known = rule.list("removeFields");
    if (!known.includes(name)) rule.set("removeFields", [...known, name]);
  },
  proxy_pass: carryPass,
  uwsgi_pass: carryGateway,
  fastcgi_pass: carryGateway,
  proxy_cache: carryCache,
  return: carryReturn,
  rewrite: carryRewrite,
  if: (directive, scope, context) => carryIf(directive, scope, { context, carry }),
};

/** Carries one directive over, or reports that it cannot. */
export const carry: Carry = (directive, scope, context) => {
  const { name } = directive;
  const own = Object.hasOwn(CARRIED, name) ? CARRIED[name] : undefined;
  if (own !== undefined) own(directive, scope, context);
  else if (Object.hasOwn(LOST, name)) context.report.lost(directive, LOST[name] ?? "");
  else if (!NOT_NEEDED.has(name) && !READ_ELSEWHERE.has(name)) {
    context.report.lost(directive, "this directive is not known");
  }
};
