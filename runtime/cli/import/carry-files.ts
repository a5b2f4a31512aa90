import { carryProxy } from "./carry-proxy.ts";
import type { Context } from "./context.ts";
import { addAccess } from "./nginx-access.ts";
import { NOT_NEEDED, READ_ELSEWHERE } from "./nginx-known.ts";
import { rankWithin } from "./nginx-patterns.ts";
import { hasVariables } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";
import { findLocation, findOne, hasOwn, hasWithin, type Scope, valueOf } from "./scope.ts";
import { Section } from "./section.ts";

/**
 * Returns the public folder of a server: its `root`, or that of `location /`; `null`: there is none, or only some
 * locations have files. The folder may then also hold the source of the application behind the others.
 *
 * @param outer Directives around the server, whose `root` it inherits.
 */
export function findPublicFolder(
  server: readonly Directive[],
  outer: readonly Directive[],
): string | null {
  if (!hasFilesEverywhere(server)) return null;
  const inWhole = (findWhole(server)?.block ?? []).filter(
    ({ name }) => name === "root" || name === "alias",
  );
  const roots = [server, outer].map((block) => block.find(({ name }) => name === "root"));
  const [folder] = [...inWhole, ...roots].flatMap((directive) => directive?.args[0] ?? []);
  return folder === undefined || hasVariables(folder) ? null : toFolder(folder);
}

/** Tells whether clients can get files of the public folder of a server. */
export function servesFiles(server: readonly Directive[]): boolean {
  return hasFilesEverywhere(server) || hasFileLocation(server);
}

function findWhole(server: readonly Directive[]): Directive | undefined {
  return server.find(
    ({ name, args }) => name === "location" && args.length === 1 && args[0] === "/",
  );
}

/** Tells whether paths without a location of their own are files. */
function hasFilesEverywhere(server: readonly Directive[]): boolean {
  const block = findWhole(server)?.block ?? server;
  // A rule refuses these clients.
  return answersWithFiles(block.filter(({ name }) => name !== "deny"));
}

/** Tells whether a location of a server answers with files. */
export function hasFileLocation(server: readonly Directive[]): boolean {
  return server.some((one) => one.name === "location" && isOfFiles(one));
}

function isOfFiles({ args, block }: Directive): boolean {
  if (block === null || (args.at(-1) ?? "").startsWith("@")) return false;
  return answersWithFiles(block) || block.some((one) => one.name === "location" && isOfFiles(one));
}

function answersWithFiles(block: readonly Directive[]): boolean {
  const triesFiles = block.some(
    ({ name, args }) => name === "try_files" && args.some((arg) => arg.includes("$uri")),
  );
  return triesFiles || !block.some(hidesFiles);
}

/** Tells whether a block with this directive answers no client with files. */
function hidesFiles({ name, args }: Directive): boolean {
  return NO_FILES.has(name) && (name !== "deny" || args[0] === "all");
}

/** Directives that answer in place of files. */
const NO_FILES: ReadonlySet<string> = new Set([
  "proxy_pass",
  "fastcgi_pass",
  "uwsgi_pass",
  "scgi_pass",
  "grpc_pass",
  "return",
  "internal",
  "deny",
]);

/** `root` and `alias` become `public`, or links into the public folder. */
export function carryFolder(directive: Directive, scope: Scope, { report }: Context): void {
  linkFolder(directive, scope, { line: directive, report });
}

/** Links the files of a location into the public folder, where its server has a `root` that is not public as a whole. */
export function carryOuterFolder(directive: Directive, scope: Scope, { report }: Context): void {
  const { site, parent } = scope;
  const root = findOne(scope, "root");
  if (site === null || site.publicFolder !== null || root === null) return;
  const isLinked = ["root", "alias"].some((name) => hasOwn(scope, name));
  const isInLink = parent?.level === "location" && answersWithFiles(parent.directives);
  if (isLinked || isInLink || !answersWithFiles(scope.directives)) return;
  linkFolder(root, scope, { line: directive, report });
}

/** @param options.line The line that the remark is about. */
function linkFolder(
  directive: Directive,
  scope: Scope,
  { line, report }: { line: Directive; report: Report },
): void {
  const { site, match, level } = scope;
  const [folder = ""] = directive.args;
  if (site === null) return;
  if (hasVariables(folder)) {
    report.lost(line, "a folder has no variables: write a site for each case");
    return;
  }
  if (scope.directives.some(hidesFiles)) return;
  const absolute = toFolder(folder);
  const own = site.publicFolder;
  if (level === "server" || match === null || match.paths === null) {
    // Without a folder of the site, the locations that have files get links.
    if (own !== null && own !== absolute) report.lost(line, "a site has one folder of files");
    return;
  }
  const { prefix } = match;
  if (prefix === null) {
    if (absolute !== own) {
      report.lost(line, "a site has one folder of files: link the files into it");
    }
    return;
  }
  const path = prefix.replace(/\/$/, "");
  const target = directive.name === "alias" ? absolute : `${absolute}${path}`;
  if (own !== null && `${own}${path}` === target) return;
  const root = own ?? "public";
  if (own === null) site.section.set("public", root);
  site.section.set("publicLinks", "follow");
  const parent = path.slice(0, path.lastIndexOf("/"));
  report.todo(
    line,
    `link it into the public folder: mkdir -p ${root}${parent} && ln -s ${target} ${root}${path}`,
  );
}

/** A relative folder is below the folder of Debian's Nginx. */
function toFolder(folder: string): string {
  const absolute = folder.startsWith("/") ? folder : `/usr/share/nginx/${folder}`;
  return absolute.length > 1 ? absolute.replace(/\/+$/, "") : absolute;
}

/** `try_files` becomes `spa` or a proxy after files. Files come first anyway. */
export function carryTryFiles(directive: Directive, scope: Scope, context: Context): void {
  const { site, match, level } = scope;
  const { report } = context;
  const last = directive.args.at(-1) ?? "";
  if (site === null) return;
  const [fixed] = directive.args
    .slice(0, -1)
    .filter((file) => !/\$(?:uri|request_filename)/.test(file));
  if (fixed !== undefined) {
    report.lost(
      directive,
      `${fixed} answers before or after others: \`rewrite\` or \`maintenance\` of a rule may do it`,
    );
  }
  const isWhole = level === "server" || match === null || match.paths === null;
  if (last.startsWith("=")) return;
  if (last.startsWith("@")) {
    carryNamed(directive, scope, context);
    return;
  }
  const page = last.replace(/[?$].*$/, "");
  if (page.endsWith(".php")) {
    report.lost(directive, "this server runs no PHP: pass these paths on with `proxy`");
  } else if (/\.html?$/.test(page)) {
    if (isWhole && page === "/404.html") return;
    if (!isWhole) report.changed(directive, "`spa` holds for all paths of a site");
    site.section.set("spa", page === "/index.html" ? true : page.slice(1));
  } else if (page !== "" && !/\$(?:uri|request_filename)/.test(last)) {
    report.lost(directive, "write a handler for these paths, or `_404`");
  }
}

/** The last word of `try_files` names a location that answers the rest. */
function carryNamed(directive: Directive, scope: Scope, context: Context): void {
  const name = directive.args.at(-1) ?? "";
  const named = findLocation(scope, name);
  const block = named?.block ?? [];
  if (named !== null) carryNamedAccess(named, scope, context);
  const pass = block.find((one) => one.name === "proxy_pass");
  if (pass === undefined) {
    context.report.lost(
      directive,
      `${name} is no proxy: files come before handlers, and \`_404\` or a rule answers the rest`,
    );
    return;
  }
  const inner: Scope = { ...scope, parent: scope, directives: block };
  carryProxy(pass, inner, { context, isAfterFiles: true });
}

/** Adds a rule with the access rules of a named location. Its other lines, apart from those of the proxy, are lost. */
function carryNamedAccess(named: Directive, scope: Scope, context: Context): void {
  const { site, match } = scope;
  const { report } = context;
  const block = named.block ?? [];
  for (const line of block) {
    if (NOT_NEEDED.has(line.name) || READ_ELSEWHERE.has(line.name)) continue;
    if (READ_IN_NAMED.has(line.name)) continue;
    report.lost(line, "a named location has no rule of its own: write one for its paths");
  }
  if (site === null || !block.some(({ name }) => GUARDS.has(name))) return;
  report.changed(named, "its access rules also hold for the files of these paths");
  const path = scope.rule.get("path");
  const rule = new Section(path === undefined ? {} : { path });
  const inner: Scope = { ...scope, parent: scope, directives: block, rule };
  addAccess(inner, context);
  for (const key of ["basicAuth", "forwardAuth"]) {
    if (rule.get(key) !== "off") continue;
    rule.delete(key);
    report.lost(named, `\`${key}\` stays on: a rule would also switch it off for files`);
  }
  const rank = match === null ? [AFTER_LOCATIONS] : rankWithin(match.rank);
  const own = match ?? { paths: null, prefix: "/", isExact: false };
  site.add({ rule, rank, location: { directive: named, scope: inner, match: { ...own, rank } } });
}

/** Directives of a named location that the import reads, or that do nothing there. */
const READ_IN_NAMED: ReadonlySet<string> = new Set(["proxy_pass", "internal", "root", "alias"]);

/** Directives that keep clients out. */
const GUARDS: ReadonlySet<string> = new Set(
  "allow deny auth_basic auth_basic_user_file auth_request limit_req limit_conn".split(" "),
);

/** Rank of a rule for paths that no location takes. */
const AFTER_LOCATIONS = 50_000;

/** `error_page` becomes `errorPages`. */
export function carryErrorPage(directive: Directive, scope: Scope, { report }: Context): void {
  const { args } = directive;
  const page = args.at(-1) ?? "";
  const statuses = args.slice(0, -1).filter((arg) => !arg.startsWith("="));
  if (page.startsWith("@") || hasVariables(page) || !page.startsWith("/")) {
    report.lost(
      directive,
      "an error page is a file of the public folder, or a path that a handler answers",
    );
    return;
  }
  if (args.slice(0, -1).some((arg) => arg.startsWith("="))) {
    report.changed(directive, "the status of the error stays");
  }
  const passes = ["proxy_pass", "uwsgi_pass"];
  if (valueOf(scope, "proxy_intercept_errors") !== "on" && hasWithin(scope.directives, passes)) {
    report.changed(directive, "errors of upstreams get this page, too");
  }
  for (const status of statuses) {
    if (/^[45]\d\d$/.test(status) && !/^49\d$/.test(status)) {
      scope.rule.child("errorPages").set(status, page.replace(/[?#].*$/, ""));
    } else report.lost(directive, `${status} is no status of an error page`);
  }
}

/** A location with `internal` answers no client. */
export function carryInternal(directive: Directive, scope: Scope, { report }: Context): void {
  const { match, rule, site } = scope;
  if (scope.level !== "location" || match === null || site === null) return;
  if (match.paths !== null) rule.set("respond", new Section({ status: 404 }));
  const pages = site.errorPaths;
  const isAsked =
    match.prefix !== null && pages.some((page) => page.startsWith(match.prefix ?? ""));
  const hasFiles = scope.directives.some(({ name }) => name === "root" || name === "alias");
  if (hasFiles && !isAsked) {
    report.lost(
      directive,
      "this server sends no files for an upstream (X-Accel-Redirect): a handler hands them over",
    );
  }
}
