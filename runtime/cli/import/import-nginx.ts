import { addAccess, readZones, type LimitZones } from "./nginx-access.ts";
import { carry, type Context, refusesOnly } from "./nginx-directives.ts";
import { readLogFormats } from "./nginx-logs.ts";
import { isAboutHiddenFiles, matchLocation } from "./nginx-patterns.ts";
import { toUpstreamGroup } from "./nginx-proxy.ts";
import { type HostRedirect, toHostRedirect } from "./nginx-redirects.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";
import type { Scope } from "./scope.ts";
import { Section } from "./section.ts";
import { SiteDraft } from "./site-draft.ts";

export interface NginxImportOptions {
  report: Report;
  /** Address of the Gunicorn whose place the workers take, as `bind` names it; empty: none. */
  gunicornBinds: readonly string[];
}

/** Returns the new config for the directives of a config of Nginx: of `nginx.conf`, or of one site alone. */
export function importNginx(
  directives: readonly Directive[],
  options: NginxImportOptions,
): Section {
  return new NginxImport(directives, options).convert();
}

/** A `server` block, and its job. */
interface ServerBlock {
  directive: Directive;
  block: readonly Directive[];
  names: string[];
  isPlain: boolean;
  isTls: boolean;
  isDefault: boolean;
}

class NginxImport {
  readonly #top = new Section();
  readonly #outer: readonly Directive[];
  readonly #http: readonly Directive[];
  readonly #report: Report;
  readonly #context: Context;
  readonly #zones: LimitZones;
  readonly #scope: Scope;

  constructor(directives: readonly Directive[], { report, gunicornBinds }: NginxImportOptions) {
    const blocks = directives.filter(({ name }) => name === "http");
    this.#outer = directives.filter(({ name }) => name !== "http");
    // A file of `sites-available` has servers without a block around them.
    const bare = this.#outer.filter(({ name }) => IN_HTTP.has(name));
    this.#http = [...blocks.flatMap(({ block }) => block ?? []), ...bare];
    this.#report = report;
    const upstreams = this.#http.filter(({ name }) => name === "upstream");
    this.#zones = readZones(this.#http);
    this.#context = {
      report,
      groups: new Set(upstreams.map(({ args }) => args[0] ?? "")),
      formats: readLogFormats(this.#http),
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
    const servers = this.#http.filter(({ name }) => name === "server").map(toServerBlock);
    this.#report.into(top, () => {
      for (const directive of this.#outer) {
        if (!IN_HTTP.has(directive.name)) carry(directive, this.#scope, this.#context);
      }
      this.#convertPorts(servers);
      for (const directive of this.#http) this.#carryHttp(directive);
      addAccess(this.#scope, { report: this.#report, zones: this.#zones });
      this.#convertUpstreams();
    });
    if (this.#scope.rule.size > 0) top.set("rules", [this.#scope.rule]);
    this.#convertServers(servers);
    return top;
  }

  #carryHttp(directive: Directive): void {
    // A map of this kind only serves WebSockets.
    if (directive.name === "map" && directive.args[0] === "$http_upgrade") return;
    if (directive.name !== "server") carry(directive, this.#scope, this.#context);
  }

  #convertUpstreams(): void {
    for (const directive of this.#http) {
      if (directive.name !== "upstream") continue;
      const [name = ""] = directive.args;
      if (this.#context.replaced?.(`http://${name}`) === true) continue;
      this.#top.child("upstreams").set(name, toUpstreamGroup(directive, this.#report));
    }
  }

  #convertPorts(servers: readonly ServerBlock[]): void {
    const ports: Record<"http" | "https", Set<number>> = { http: new Set(), https: new Set() };
    const hosts = new Set<string>();
    for (const { block } of servers) {
      const listens = block.filter(({ name }) => name === "listen");
      if (listens.length === 0) ports.http.add(80);
      for (const directive of listens) {
        const [address = "", ...options] = directive.args;
        if (address.startsWith("unix:")) {
          this.#report.lost(directive, "this server listens on ports");
          continue;
        }
        const { host, port } = parseListen(address);
        const isTls =
          options.includes("ssl") ||
          block.some(({ name, args }) => name === "ssl" && args[0] === "on");
        if (options.includes("quic")) this.#report.lost(directive, "there is no HTTP/3");
        else ports[isTls ? "https" : "http"].add(port);
        if (options.includes("proxy_protocol"))
          this.#report.lost(directive, "the PROXY protocol is not supported");
        if (options.includes("http2"))
          carry({ ...directive, name: "http2", args: ["on"] }, this.#scope, this.#context);
        hosts.add(host);
      }
    }
    for (const scheme of ["http", "https"] as const) {
      const [first, ...others] = ports[scheme];
      this.#top.set(scheme, first ?? false);
      for (const { block } of others.length > 0 ? servers : []) {
        for (const directive of block) {
          if (
            directive.name !== "listen" ||
            !others.includes(parseListen(directive.args[0] ?? "").port)
          )
            continue;
          this.#report.lost(directive, `there is one port for ${scheme.toUpperCase()}`);
        }
      }
    }
    const [host, ...more] = hosts;
    if (host !== undefined && host !== "*" && more.length === 0) this.#top.set("host", host);
  }

  /** Sorts the servers by their job: most configs have several for one site. */
  #convertServers(servers: readonly ServerBlock[]): void {
    const redirects: { server: ServerBlock; to: HostRedirect }[] = [];
    const sites: ServerBlock[] = [];
    for (const server of servers) {
      const to = findHostRedirect(server);
      if (to !== null) redirects.push({ server, to });
      else if (refusesUnknownHosts(server)) this.#top.set("unknownHost", "refuse");
      else sites.push(server);
    }
    const merged = mergeServers(sites, this.#report);
    const isAlone = merged.length === 1 && this.#top.get("unknownHost") === undefined;
    const drafts = merged.map((server) => this.#convertSite(server, isAlone));
    for (const { server, to } of redirects) this.#addRedirect(server, to, { drafts, isAlone });
    for (const draft of drafts) draft.finish();
    if (!isAlone && merged.length > 1 && this.#top.get("unknownHost") === undefined) {
      const [first] = merged;
      this.#top.set("unknownHost", "refuse");
      if (first !== undefined) {
        this.#report.into(this.#top, () => {
          this.#report.changed(
            first.directive,
            "Nginx lets its first server answer for unknown hosts; here they get 421",
          );
        });
      }
    }
  }

  #convertSite(server: ServerBlock, isAlone: boolean): SiteDraft {
    const [name = "default", ...aliases] = server.names;
    const section = isAlone ? this.#top : this.#top.child("sites").child(name);
    const draft = new SiteDraft(server.names, section);
    if (!isAlone && aliases.length > 0) section.set("aliases", aliases);
    this.#report.into(section, () => {
      this.#convertCertificate(server, { section, isAlone });
      const scope: Scope = {
        level: "server",
        parent: this.#scope,
        directives: server.block,
        top: this.#top,
        site: draft,
        rule: draft.base,
        match: null,
      };
      for (const directive of server.block) {
        if (directive.name !== "location") carry(directive, scope, this.#context);
      }
      addAccess(scope, { report: this.#report, zones: this.#zones });
      this.#convertLocations(server.block, scope);
    });
    const answers = ["public", "proxy", "app"].some((key) => section.get(key) !== undefined);
    if (answers && section.get("public") === undefined) section.set("public", false);
    return draft;
  }

  #convertCertificate(
    { block }: ServerBlock,
    { section, isAlone }: { section: Section; isAlone: boolean },
  ): void {
    const own = block.filter(({ name }) => name === "ssl_certificate");
    const [directive] = own;
    const cert =
      directive?.args[0] ?? this.#http.find(({ name }) => name === "ssl_certificate")?.args[0];
    const keys = [...block, ...this.#http].find(({ name }) => name === "ssl_certificate_key");
    const key = keys?.args[0];
    if (cert === undefined || key === undefined) return;
    for (const further of own.slice(1)) this.#report.lost(further, "a site has one certificate");
    if (!isAlone) {
      section.set("certs", new Section({ cert: toNginxFile(cert), key: toNginxFile(key) }));
      return;
    }
    const folder = toNginxFile(cert).replace(/\/[^/]*$/, "");
    if (/\/letsencrypt\/live\/[^/]+$/.test(folder))
      section.set("certs", folder.replace(/\/[^/]+$/, ""));
    else if (directive !== undefined) {
      this.#report.todo(
        directive,
        `copy it to certs/: cp ${toNginxFile(cert)} certs/site.crt && cp ${toNginxFile(key)} certs/site.key`,
      );
    }
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
    const { args } = directive;
    const block = directive.block ?? [];
    const target = args.at(-1) ?? "";
    // Named locations are read where they are named.
    if (target.startsWith("@") || block.some(({ name }) => name === "internal")) return;
    if (args[0]?.startsWith("~") === true && isAboutHiddenFiles(target) && refusesOnly(block))
      return;
    if (target.startsWith("/.well-known/acme-challenge")) return;
    const match = matchLocation(args, index);
    if (match === null) {
      this.#report.lost(
        directive,
        "no pattern of paths says the same: write rules or handlers for these paths",
      );
      return;
    }
    const { site } = parent;
    if (site === null) return;
    const rule = new Section();
    const paths = match.paths?.map(({ path }) => path) ?? [];
    if (paths.length > 0) rule.set("path", paths.length === 1 ? (paths[0] ?? "") : paths);
    const scope: Scope = { ...parent, level: "location", parent, directives: block, rule, match };
    this.#report.into(rule, () => {
      for (const one of block) {
        if (one.name !== "location") carry(one, scope, this.#context);
      }
      addAccess(scope, { report: this.#report, zones: this.#zones });
    });
    site.add(rule, match.rank);
    this.#convertLocations(block, scope);
  }

  /** A server that only redirects: to HTTPS, or to the name of a site. */
  #addRedirect(
    server: ServerBlock,
    to: HostRedirect,
    { drafts, isAlone }: { drafts: readonly SiteDraft[]; isAlone: boolean },
  ): void {
    const target = drafts.find(({ names }) =>
      to.host === null
        ? server.names.some((name) => names.includes(name))
        : names.includes(to.host),
    );
    const isEverywhere = to.host === null && server.names.length === 0;
    if (isEverywhere) {
      for (const { section } of drafts)
        if (to.scheme === "https") section.set("httpsRedirect", true);
      return;
    }
    if (target === undefined) {
      if (drafts.length === 1 && to.host === null && isAlone) {
        if (to.scheme === "https") this.#top.set("httpsRedirect", true);
        return;
      }
      this.#addForeignRedirect(server, to);
      return;
    }
    const { section } = target;
    if (to.scheme === "https") section.set("httpsRedirect", true);
    const others = server.names.filter((name) => !target.names.includes(name));
    if (to.host === null) return;
    if (others.length > 0 && !isAlone) {
      const before = section.get("aliases");
      const aliases = Array.isArray(before) ? before : [];
      section.set("aliases", [...aliases, ...others.filter((name) => !aliases.includes(name))]);
    }
    if (others.length > 0 || target.names.length > 1) section.set("canonicalHost", to.host);
  }

  /** The target is no site of this server. */
  #addForeignRedirect(server: ServerBlock, { scheme, host }: HostRedirect): void {
    const [name, ...aliases] = server.names;
    if (host === null || name === undefined) {
      this.#report.into(this.#top, () => {
        this.#report.lost(server.directive, "its names are those of no site");
      });
      return;
    }
    const site = this.#top.child("sites").child(name);
    if (aliases.length > 0) site.set("aliases", aliases);
    const status = Number(server.block.find(({ name: one }) => one === "return")?.args[0] ?? 301);
    const redirect = new Section({ to: `${scheme ?? "https"}://${host}/:splat`, status });
    site.set("rules", [new Section({ path: "/**", redirect })]);
  }
}

/** Directives of the block `http`. In a file without that block they stand alone. */
const IN_HTTP: ReadonlySet<string> = new Set([
  ..."server upstream map geo limit_req_zone limit_conn_zone log_format proxy_cache_path client_max_body_size gzip".split(
    " ",
  ),
]);

function toNginxFile(file: string): string {
  return file.startsWith("/") ? file : `/etc/nginx/${file}`;
}

function toServerBlock(directive: Directive): ServerBlock {
  const block = directive.block ?? [];
  const listens = block.filter(({ name }) => name === "listen");
  const isTls = listens.some(({ args }) => args.includes("ssl") || args.includes("quic"));
  const names = block
    .filter(({ name }) => name === "server_name")
    .flatMap(({ args }) => args.flatMap(toHostNames));
  return {
    directive,
    block,
    names: [...new Set(names)],
    isTls,
    isPlain:
      listens.length === 0 ||
      listens.some(({ args }) => !args.includes("ssl") && !args.includes("quic")),
    isDefault: listens.some(
      ({ args }) => args.includes("default_server") || args.includes("default"),
    ),
  };
}

/** Returns the host names of a `server_name`: none for `_` and for expressions. */
function toHostNames(text: string): string[] {
  if (text === "_" || text === "" || text.startsWith("~") || text === "*" || text.includes("$"))
    return [];
  const lower = text.toLowerCase().replace(/\.$/, "");
  // `.example.com` is the name itself and all names below it.
  if (lower.startsWith(".")) return [lower.slice(1), `*${lower}`];
  return lower.includes("*") && !/^\*\.[^*]+$/.test(lower) ? [] : [lower];
}

function parseListen(address: string): { host: string; port: number } {
  const [, host = "*", port] = /^(?:(\[[^\]]*\]|[^:]+):)?(\d+)$/.exec(address) ?? [];
  if (port === undefined) return { host: address === "" ? "*" : address, port: 80 };
  return {
    host: /^(?:\*|0\.0\.0\.0|\[::\])$/.test(host) ? "*" : host.replaceAll(/[[\]]/g, ""),
    port: Number(port),
  };
}

/** Returns where a server sends all of its clients; `null`: it does something else. */
function findHostRedirect({ block, names }: ServerBlock): HostRedirect | null {
  const answers = block.filter(({ name }) =>
    ["location", "return", "rewrite", "if", "root", "proxy_pass", "try_files"].includes(name),
  );
  const redirects = answers.flatMap((directive) => {
    const { name, args, block: inner } = directive;
    if (name === "return" && /^30[1278]$/.test(args[0] ?? ""))
      return [toHostRedirect(args[1] ?? "", names)];
    if (name === "rewrite" && (args[2] === "permanent" || args[2] === "redirect"))
      return [toHostRedirect(args[1] ?? "", names)];
    if (name === "if" || (name === "location" && args.at(-1) === "/")) {
      const url = (inner ?? []).find(
        (one) => one.name === "return" && /^30[1278]$/.test(one.args[0] ?? ""),
      )?.args[1];
      return url === undefined ? [null] : [toHostRedirect(url, names)];
    }
    // The files of ACME, and the last word of certbot: `return 404`.
    if (name === "location" && /well-known/.test(args.at(-1) ?? "")) return [];
    if (name === "root" || (name === "return" && args[0] === "404")) return [];
    return [null];
  });
  const [first] = redirects;
  return first === undefined || first === null || redirects.includes(null) ? null : first;
}

/** Tells whether a server refuses the clients that name no site. */
function refusesUnknownHosts({ block, names, isDefault }: ServerBlock): boolean {
  const [answer] = block.filter(({ name }) => name === "return");
  if (block.some(({ name }) => name === "location" || name === "root")) return false;
  if (block.some(({ name, args }) => name === "ssl_reject_handshake" && args[0] === "on"))
    return true;
  return (
    (names.length === 0 || isDefault) &&
    answer !== undefined &&
    /^4\d\d$/.test(answer.args[0] ?? "")
  );
}

/** Servers of one site, one with TLS and one without, become one. */
function mergeServers(servers: readonly ServerBlock[], report: Report): ServerBlock[] {
  const merged: ServerBlock[] = [];
  for (const server of servers) {
    const key = server.names.toSorted().join(" ");
    const index = merged.findIndex((other) => other.names.toSorted().join(" ") === key);
    const other = merged[index];
    if (other === undefined) {
      merged.push(server);
      continue;
    }
    const [kept, left] = server.isTls && !other.isTls ? [server, other] : [other, server];
    merged[index] = kept;
    if (describeAnswers(kept) !== describeAnswers(left)) {
      report.changed(
        left.directive,
        `the site answers as the server at ${kept.directive.place} does, with and without TLS`,
      );
    }
  }
  return merged;
}

function describeAnswers({ block }: ServerBlock): string {
  const strip = (directives: readonly Directive[]): unknown =>
    directives
      .filter(
        ({ name }) => !/^(?:listen|ssl|ssl_.*|server_name|http2|access_log|error_log)$/.test(name),
      )
      .map(({ name, args, block: inner }) => [name, args, inner === null ? null : strip(inner)]);
  return JSON.stringify(strip(block));
}

/** Tells whether a `proxy_pass` leads to the Gunicorn whose place this server takes. */
function isReplaced(
  url: string,
  {
    upstreams,
    gunicornBinds,
  }: { upstreams: readonly Directive[]; gunicornBinds: readonly string[] },
): boolean {
  const address = toAddress(url);
  const group = upstreams.find(({ args }) => args[0] === address);
  const servers = (group?.block ?? []).filter(({ name }) => name === "server");
  const addresses =
    group === undefined ? [address] : servers.map(({ args }) => toAddress(args[0] ?? ""));
  const binds = gunicornBinds.map(toAddress);
  return addresses.length > 0 && addresses.every((one) => binds.includes(one));
}

/** Returns one spelling for an address: `unix:/run/app.sock`, `127.0.0.1:8000`. */
function toAddress(text: string): string {
  const plain = text.replace(/^https?:\/\//, "").replace(/^(unix:[^:]*)(?::.*)?$/, "$1");
  if (plain.startsWith("unix:")) return plain;
  return plain
    .replace(/\/.*$/, "")
    .replace(/^(?:localhost|0\.0\.0\.0|\[::1?\]|\*)?:/, "127.0.0.1:");
}
