import type { Context } from "./context.ts";
import { FORMATS } from "./nginx-logs.ts";
import { hasVariables } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Scope } from "./scope.ts";

/** `error_log` becomes `logFile`. */
export function carryErrorLog(
  directive: Directive,
  { top, level }: Scope,
  { report }: Context,
): void {
  const [file = "", severity = "error"] = directive.args;
  // Our lines about the state of the server have the level `info`: an operator wants them.
  if (severity === "debug") top.set("logLevel", "debug");
  if (file === "off" || /^(?:stderr|\/dev\/(?:stderr|stdout|null))$/.test(file)) return;
  if (file.startsWith("syslog:")) {
    report.lost(directive, "systemd passes standard error on to syslog");
  } else if (hasVariables(file)) report.lost(directive, "the name of `logFile` has no variables");
  else if (level !== "http" && top.get("logFile") !== undefined) {
    if (top.get("logFile") !== toLogFile(file)) report.changed(directive, "there is one log");
  } else top.set("logFile", toLogFile(file));
}

/** Logs of Nginx are relative to the folder of the program, which no user means. */
function toLogFile(file: string): string {
  return file.startsWith("/") ? file : `/var/log/nginx/${file.replace(/^logs\//, "")}`;
}

/** `access_log` becomes `accessLog` and `accessLogFormat`. */
export function carryAccessLog(
  directive: Directive,
  scope: Scope,
  { report, formats }: Context,
): void {
  const [file = "", format = "combined", ...options] = directive.args;
  if (scope.level === "location") {
    if (file === "off") scope.rule.set("accessLog", false);
    else report.changed(directive, "its lines go to the file of the site");
    return;
  }
  const target = scope.site?.section ?? scope.top;
  if (file === "off") {
    target.set("accessLog", false);
    return;
  }
  if (file.startsWith("syslog:") || hasVariables(file)) {
    report.lost(directive, "`accessLog` is a file, or on: then the lines go to the log");
    return;
  }
  const [first] = scope.directives.filter(({ name }) => name === "access_log");
  if (first !== undefined && first !== directive) {
    report.lost(directive, "there is one access log");
    return;
  }
  target.set("accessLog", /^\/dev\/(?:stdout|stderr)$/.test(file) ? true : toLogFile(file));
  const known =
    format.includes("=") || format === "combined" ? FORMATS.combined : formats.get(format);
  if (known === undefined || known === null) {
    report.changed(
      directive,
      'its format has variables that `accessLogFormat` has not: lines are "combined"',
    );
  }
  const own = known ?? FORMATS.combined;
  target.set("accessLogFormat", own === FORMATS.combined ? "combined" : own);
  if ([format, ...options].some((option) => option.startsWith("if="))) {
    report.lost(directive, "conditions are `accessLogStatus` and `accessLogSkip`");
  }
}
