import { carryHttp2 } from "./carry-settings.ts";
import { setsControlOfProxies } from "./carry-fields.ts";
import { carryOuterFolder, findPublicFolder, hasFileLocation, servesFiles } from "./carry-files.ts";
import { WIDER } from "./carry-redirects.ts";
import type { Context } from "./context.ts";
import { addAccess, readZones } from "./nginx-access.ts";
import { carry } from "./nginx-directives.ts";
import { readLogFormats } from "./nginx-logs.ts";
import { matchLocation } from "./nginx-patterns.ts";
import { convertPorts } from "./nginx-ports.ts";
import { matchHidden } from "./hidden-paths.ts";
import { HostRedirects } from "./host-redirects.ts";
import {
  findHostRedirect,
  mergeServers,
  refusesUnknownHosts,
  type ServerBlock,
  toServerBlock,
} from "./nginx-servers.ts";
import { isReplaced } from "./nginx-replaced.ts";
import { hasServer, toGroupName, toUpstreamGroup } from "./nginx-upstreams.ts";
import { toNginxFile } from "./nginx-values.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";
import type { Scope } from "./scope.ts";
import { Section } from "./section.ts";
import { SiteDraft } from "./site-draft.ts";

export interface NginxImportOptions {
  report: Report;
  /** Addresses of the Gunicorn whose place the workers take, as `bind` names them; empty: none. */
  gunicornBinds: readonly string[];
}

/** Returns the new config for the directives of a config of Nginx: of `nginx.conf`, or of one site alone. */
export function importNginx(
  directives: readonly Directive[],
  options: NginxImportOptions,
): Section {
  return new NginxImport(directives, options).convert();
}

class NginxImport {
  readonly #top = new Section();
  readonly #outer: readonly Directive[];
  readonly #http: readonly Directive[];
  readonly #report: Report;
  readonly #context: Context;
  readonly #scope: Scope;

  constructor(directives: readonly Directive[], { report, gunicornBinds }: NginxImportOptions) {
    const blocks = directives.filter(({ name }) => name === "http");
    // A file of `sites-available` has servers without a block around them, and settings for all of them.
    const isBare = blocks.length === 0;
    this.#outer = isBare ? [] : directives.filter(({ name }) => name !== "http");
    this.#http = isBare ? directives : blocks.flatMap(({ block }) => block ?? []);
    this.#report = report;
    const upstreams = this.#http.filter(({ name }) => name === "upstream");
    this.#context = {
      report,
      groups: new Map(
        upstreams.map((group) => {
          const [name = ""] = group.args;
          return [name, hasServer(group) ? toGroupName(name) : null];
        }),
      ),
      usedGroups: new Set(),
      formats: readLogFormats(this.#http),
      zones: readZones(this.#http),
      replaced:
        gunicornBinds.length === 0 ? null : (url) => isReplaced(url, { upstreams, gunicornBinds }),
    };
    this.#scope = {
      level: "http",
      parent: null,
      directives: this.#http,
      top: this.#top,
      site: null,
      rule: new Section(),
      match: null,
    };
  }

  convert(): Section {
    const top = this.#top;
    const report = this.#report;
    const reached = report.into(top, () => {
      const servers = this.#http
        .filter(({ name }) => name === "server")
        .flatMap((directive) => toServerBlock(directive, report) ?? []);
      for (const directive of this.#outer) carry(directive, this.#scope, this.#context);
      const kept = convertPorts(servers, { top, report });
      this.#carryHttp2(kept);
      for (const directive of this.#http) {
        if (directive.name !== "server") carry(directive, this.#scope, this.#context);
      }
      addAccess(this.#scope, this.#context);
      return kept;
    });
    // Its place in the file is before the sites.
    const upstreams = top.child("upstreams");
    this.#convertServers(reached);
    report.into(top, () => this.#convertUpstreams(upstreams));
    if (upstreams.size === 0) top.delete("upstreams");
    return top;
  }

  #carryHttp2(servers: readonly ServerBlock[]): void {
    const line = servers
      .flatMap(({ listens }) => listens)
      .find(({ directive }) => directive.args.includes("http2"));
    if (line !== undefined) carryHttp2(line.directive, this.#scope, this.#context);
  }

  /** Carries over the groups that a proxy uses. Others are for FastCGI, or for no request. */
  #convertUpstreams(upstreams: Section): void {
    for (const directive of this.#http) {
      const [name = ""] = directive.args;
      const own = this.#context.groups.get(name) ?? null;
      if (directive.name !== "upstream" || own === null) continue;
      if (!this.#context.usedGroups.has(own)) continue;
      upstreams.set(own, toUpstreamGroup(directive, this.#report));
    }
  }

  /** Sorts the servers by their job: most configs have several for one site. */
  #convertServers(servers: readonly ServerBlock[]): void {
    const report = this.#report;
    const redirects = new HostRedirects(this.#top, report);
    const sites: ServerBlock[] = [];
    for (const server of servers) {
      const to = findHostRedirect(server);
      if (to !== null) redirects.add(server, to);
      else if (refusesUnknownHosts(server)) this.#top.set("unknownHost", "refuse");
      else sites.push(server);
    }
    const merged = mergeServers(sites, report);
    const isAlone = merged.length === 1 && this.#top.get("unknownHost") === undefined;
    const whole = isAlone
      ? merged[0]
      : merged.find(({ isDefault, names }) => isDefault || names.length === 0);
    const drafts = merged.map((server) => {
      if (server.names.length === 0 && server !== whole) {
        report.lost(server.directive, "another server answers for unknown hosts already");
      }
      return this.#convertSite(server, { isAlone, isDefault: server === whole });
    });
    redirects.finish(drafts, isAlone);
    const outer = this.#scope.rule;
    // Rules of the top come first, but of these actions the server's own must win.
    const isOuterOfSites = isAlone || ["basicAuth", "forwardAuth"].some((key) => outer.get(key));
    if (!isOuterOfSites && outer.size > 0) this.#top.set("rules", [outer]);
    for (const draft of drafts) this.#finish(draft, isOuterOfSites ? outer : null);
    const [first] = merged;
    if (first === undefined || whole !== undefined || merged.length < 2) return;
    if (this.#top.get("unknownHost") !== undefined) return;
    this.#top.set("unknownHost", "refuse");
    report.into(this.#top, () =>
      report.changed(
        first.directive,
        "Nginx lets its first server answer for unknown hosts; here they get 421",
      ),
    );
  }

  #finish(draft: SiteDraft, outer: Section | null): void {
    const { section } = draft;
    draft.finish(outer, this.#report);
    const line = draft.httpsLine;
    if (
      line !== null &&
      this.#top.get("https") === false &&
      this.#top.list("trustedProxies").length === 0
    ) {
      this.#report.into(section, () =>
        this.#report.todo(line, "name the proxy that ends TLS in `trustedProxies`, or set `https`"),
      );
    }
    if (section === this.#top || section !== this.#defaultSite) return;
    // The default site has its folders and its application at the top.
    for (const key of ["public", "proxy", "app", "certs"]) {
      const value = section.get(key);
      if (value !== undefined) this.#top.set(key, value);
      section.delete(key);
    }
  }

  #defaultSite: Section | null = null;

  #convertSite(
    server: ServerBlock,
    { isAlone, isDefault }: { isAlone: boolean; isDefault: boolean },
  ): SiteDraft {
    const { block } = server;
    const section = isAlone
      ? this.#top
      : this.#top.child("sites").child(isDefault ? "default" : (server.names[0] ?? "default"));
    if (isDefault) this.#defaultSite = section;
    const publicFolder = findPublicFolder(block, this.#http);
    const errorPaths = block
      .filter(({ name }) => name === "error_page")
      .map(({ args }) => args.at(-1) ?? "");
    const draft = new SiteDraft({
      names: server.names,
      section,
      publicFolder,
      hasControlOfProxies: setsControlOfProxies(block),
      errorPaths,
    });
    const aliases = isDefault ? server.names : server.names.slice(1);
    if (!isAlone && aliases.length > 0) section.set("aliases", [...aliases]);
    this.#report.into(section, () => {
      this.#convertCertificate(server, { section, isWhole: isAlone || isDefault });
      const scope: Scope = {
        level: "server",
        parent: this.#scope,
        directives: block,
        top: this.#top,
        site: draft,
        rule: draft.base,
        match: null,
      };
      // Files without a folder are in that of the project.
      const folder = publicFolder ?? (isAlone && hasFileLocation(block) ? "public" : null);
      if (folder !== null && servesFiles(block)) section.set("public", folder);
      for (const directive of block) {
        if (directive.name !== "location") carry(directive, scope, this.#context);
      }
      addAccess(scope, this.#context);
      this.#convertLocations(block, scope);
    });
    if (section.get("public") === undefined) section.set("public", false);
    return draft;
  }

  #convertCertificate(
    { block }: ServerBlock,
    { section, isWhole }: { section: Section; isWhole: boolean },
  ): void {
    const own = block.filter(({ name }) => name === "ssl_certificate");
    const all = [...block, ...this.#http];
    const line = all.find(({ name }) => name === "ssl_certificate");
    const cert = line?.args[0];
    const key = all.find(({ name }) => name === "ssl_certificate_key")?.args[0];
    if (line === undefined || cert === undefined || key === undefined) return;
    for (const further of own.slice(1)) this.#report.lost(further, "a site has one certificate");
    if (/[$]|^data:|^engine:/.test(cert + key)) {
      this.#report.lost(line, "a certificate is a file, without variables");
      return;
    }
    if (!isWhole) {
      section.set("certs", new Section({ cert: toNginxFile(cert), key: toNginxFile(key) }));
      return;
    }
    const folder = toNginxFile(cert).replace(/\/[^/]*$/, "");
    if (/\/letsencrypt\/live\/[^/]+$/.test(folder)) {
      section.set("certs", folder.replace(/\/[^/]+$/, ""));
      return;
    }
    this.#report.todo(
      line,
      `copy it to certs/: cp ${toNginxFile(cert)} certs/site.crt && cp ${toNginxFile(key)} certs/site.key`,
    );
  }

  #convertLocations(block: readonly Directive[], parent: Scope): void {
    for (const [index, directive] of block.entries()) {
      if (directive.name === "location") this.#convertLocation(directive, { parent, index });
    }
  }

  #convertLocation(
    directive: Directive,
    { parent, index }: { parent: Scope; index: number },
  ): void {
    const { site } = parent;
    const { args } = directive;
    const block = directive.block ?? [];
    const target = args.at(-1) ?? "";
    // Named locations are read where they are named.
    if (site === null || target.startsWith("@")) return;
    const isExpression = args[0]?.startsWith("~") === true;
    const hidden = isExpression && refuses(block) ? matchHidden(target, serverOf(parent)) : null;
    if (hidden?.paths.length === 0) return;
    if (target.startsWith("/.well-known/acme-challenge")) {
      this.#reportChallenges(block, site);
      return;
    }
    const match = matchLocation(args, {
      index,
      block,
      outer: parent.match,
      known: hidden?.paths ?? null,
    });
    if (match === null) {
      this.#reportLocation(directive, site);
      return;
    }
    if (match.paths?.some(({ isWider }) => isWider) === true) {
      this.#report.changed(directive, WIDER);
    }
    const rule = new Section();
    const paths = match.paths?.map(({ path }) => path) ?? [];
    if (paths.length > 0) rule.set("path", paths.length === 1 ? (paths[0] ?? "") : paths);
    const scope: Scope = { ...parent, level: "location", parent, directives: block, rule, match };
    this.#report.into(rule, () => {
      if (args[0] === "~*" && refuses(block)) {
        this.#report.changed(directive, "patterns of paths are compared by case");
      }
      if (hidden !== null && hidden.gap !== null) this.#report.lost(directive, hidden.gap);
      for (const one of block) {
        if (one.name !== "location") carry(one, scope, this.#context);
      }
      carryOuterFolder(directive, scope, this.#context);
      addAccess(scope, this.#context);
    });
    site.add({ rule, rank: match.rank, location: { directive, scope, match } });
    this.#convertLocations(block, scope);
  }

  /** No pattern says the same as the expression of a location. */
  #reportLocation(directive: Directive, site: SiteDraft): void {
    const block = directive.block ?? [];
    if (block.some(({ name }) => name === "fastcgi_pass")) site.refuseScripts();
    this.#report.lost(
      directive,
      refuses(block)
        ? "no pattern of paths says the same: without rules of your own, clients get these paths"
        : "no pattern of paths says the same: write rules or handlers for these paths",
    );
  }

  #reportChallenges(block: readonly Directive[], site: SiteDraft): void {
    for (const line of block) {
      const isFolder = line.name === "root" || line.name === "alias";
      if (!isFolder || line.args[0] === site.publicFolder) continue;
      this.#report.changed(line, "`acme` orders certificates in place of certbot's webroot");
    }
  }
}

/** Tells whether a location keeps clients out. */
function refuses(block: readonly Directive[]): boolean {
  return block.some(
    ({ name, args }) =>
      (name === "deny" && args[0] === "all") ||
      (name === "return" && /^4\d\d$/.test(args[0] ?? "")) ||
      name === "internal" ||
      name === "auth_basic" ||
      name === "auth_request",
  );
}

/** Returns the directives of the server around a block. */
function serverOf(scope: Scope): readonly Directive[] {
  return scope.level === "location" && scope.parent !== null
    ? serverOf(scope.parent)
    : scope.directives;
}
