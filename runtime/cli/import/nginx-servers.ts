import { toHostName } from "../../config/host-name.ts";
import { resolveConstants } from "./nginx-constants.ts";
import { type HostRedirect, toHostRedirect } from "./nginx-redirects.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";

/** One `listen` of a server. */
export interface Listen {
  readonly directive: Directive;
  /** `*`: all addresses. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
}

/** A `server` block. */
export interface ServerBlock {
  readonly directive: Directive;
  /** Its directives, with constants in place of variables. */
  readonly block: readonly Directive[];
  /** Host names; empty: it answers for all names that no other server has. */
  readonly names: readonly string[];
  readonly listens: readonly Listen[];
  readonly isTls: boolean;
  readonly isDefault: boolean;
}

/** Returns the server of a block; `null`: no client can reach it here. */
export function toServerBlock(directive: Directive, report: Report): ServerBlock | null {
  const block = resolveConstants(directive.block ?? []);
  const hasTls = block.some(({ name, args }) => name === "ssl" && args[0] === "on");
  const lines = block.filter(({ name }) => name === "listen");
  const listens = lines.flatMap((line) => toListen(line, { hasTls, report }));
  // Without a line, Nginx listens on port 80.
  const all = lines.length === 0 ? [{ directive, host: "*", port: 80, isTls: false }] : listens;
  const written = block
    .filter(({ name }) => name === "server_name")
    .flatMap((line) => line.args.map((text) => ({ line, text, hosts: toHostNames(text) })));
  for (const { line, hosts } of written) {
    if (hosts === null) report.lost(line, "the name of a site is a host name, or *.example.com");
  }
  const names = [...new Set(written.flatMap(({ hosts }) => hosts ?? []))];
  // All of its names are lost.
  if (names.length === 0 && written.some(({ hosts }) => hosts === null)) return null;
  return {
    directive,
    block,
    names,
    listens: all,
    isTls: all.some(({ isTls }) => isTls),
    isDefault: lines.some(({ args }) => /^default(?:_server)?$/m.test(args.slice(1).join("\n"))),
  };
}

/** Returns the host names of a `server_name`: none for `_`, `null` for names that no site can have. */
function toHostNames(text: string): string[] | null {
  if (text === "_" || text === "" || text === "*" || text === "$hostname") return [];
  const lower = text.toLowerCase();
  // `.example.com` is the name itself and all names below it.
  const names = lower.startsWith(".") ? [lower.slice(1), `*${lower}`] : [lower];
  const hosts = names.map((name) => toHostName(name));
  return hosts.includes(null) ? null : hosts.filter((host) => host !== null);
}

function toListen(
  directive: Directive,
  { hasTls, report }: { hasTls: boolean; report: Report },
): Listen[] {
  const [address = "", ...options] = directive.args;
  if (address.startsWith("unix:")) {
    report.lost(directive, "this server listens on ports");
    return [];
  }
  if (options.includes("quic")) {
    report.lost(directive, "there is no HTTP/3");
    return [];
  }
  if (options.includes("proxy_protocol")) {
    report.lost(directive, "the PROXY protocol is not supported: clients would get errors");
  }
  const parsed = parseListen(address);
  if (parsed === null) {
    report.lost(directive, "this is no address and no port");
    return [];
  }
  return [{ directive, ...parsed, isTls: hasTls || options.includes("ssl") }];
}

function parseListen(address: string): { host: string; port: number } | null {
  const [, host = "*", port] = /^(?:(\[[\da-f:.]+\]|[\w.*-]+):)?(\d{1,5})$/i.exec(address) ?? [];
  if (port !== undefined) return toPlace(host, Number(port));
  return /^(?:\[[\da-f:.]+\]|[\w.*-]+)$/i.test(address) ? toPlace(address, 80) : null;
}

function toPlace(host: string, port: number): { host: string; port: number } | null {
  if (port === 0 || port > 65_535) return null;
  const isAny = /^(?:\*|0\.0\.0\.0|\[::\])$/.test(host);
  return { host: isAny ? "*" : host.replaceAll(/[[\]]/g, ""), port };
}

/** Returns where a server sends all of its clients; `null`: it does something else. */
export function findHostRedirect({ block, names, isTls }: ServerBlock): HostRedirect | null {
  // Clients that the condition leaves out get the files of the server.
  if (isTls && block.some(({ name }) => name === "if")) return null;
  const redirects = block
    .filter(({ name }) => ANSWERS.has(name))
    .flatMap((directive) => toRedirects(directive, names));
  const [first] = redirects;
  return first === undefined || first === null || redirects.includes(null) ? null : first;
}

const ANSWERS: ReadonlySet<string> = new Set(
  "location return rewrite if root proxy_pass try_files auth_basic".split(" "),
);

/** Returns the redirect of one directive: none if it answers nothing, `[null]` if it does something else. */
function toRedirects(
  { name, args, block }: Directive,
  names: readonly string[],
): (HostRedirect | null)[] {
  const [first = "", second = "", third = ""] = args;
  if (name === "return" && first === "404") return [];
  if (name === "return" && isRedirectStatus(first)) return [toHostRedirect(second, names)];
  if (name === "rewrite" && /^(?:permanent|redirect)$/.test(third)) {
    return /^\^?(?:\/?\(\.\*\)|\(\/\.\*\)|\.\*)?\$?$/.test(first)
      ? [toHostRedirect(second, names)]
      : [null];
  }
  // The files of certificate authorities, and the last word of certbot: `return 404`.
  if (name === "root" || (name === "location" && (args.at(-1) ?? "").includes("well-known"))) {
    return [];
  }
  const isWhole = name === "location" && args.length === 1 && first === "/";
  // Certbot asks for each name of the server.
  const isHost = name === "if" && /^\(\s*\$(?:host|http_host|scheme)$/.test(first);
  if (!isWhole && !isHost) return [null];
  const answer = (block ?? []).find((one) => one.name === "return" || one.name === "rewrite");
  return answer === undefined ? [null] : toRedirects(answer, names);
}

function isRedirectStatus(text: string): boolean {
  return /^30[1278]$/.test(text);
}

/** Tells whether a server refuses the clients that name no site. */
export function refusesUnknownHosts({ block, names, isDefault }: ServerBlock): boolean {
  if (block.some(({ name }) => name === "location" || name === "root")) return false;
  if (block.some(({ name, args }) => name === "ssl_reject_handshake" && args[0] === "on")) {
    return true;
  }
  const answer = block.find(({ name }) => name === "return");
  return (names.length === 0 || isDefault) && /^4\d\d$/.test(answer?.args[0] ?? "");
}

/** Makes one of the servers of each site: most have one with TLS and one without. */
export function mergeServers(servers: readonly ServerBlock[], report: Report): ServerBlock[] {
  const merged = new Map<string, ServerBlock>();
  for (const server of servers) {
    const key = server.names.toSorted().join(" ");
    const other = merged.get(key);
    if (other === undefined) {
      merged.set(key, server);
      continue;
    }
    const [kept, left] = server.isTls && !other.isTls ? [server, other] : [other, server];
    merged.set(key, kept);
    if (describeAnswers(kept) !== describeAnswers(left)) {
      report.changed(
        left.directive,
        `the site answers as the server at ${kept.directive.place} does, with and without TLS`,
      );
    }
  }
  return [...merged.values()];
}

/** Directives that may differ between the servers of one site. */
const NO_ANSWER = /^(?:listen|ssl|ssl_.*|server_name|http2|access_log|error_log|include)$/;

function describeAnswers({ block }: ServerBlock): string {
  const strip = (directives: readonly Directive[]): unknown =>
    directives
      .filter(({ name }) => !NO_ANSWER.test(name))
      .map(({ name, args, block: inner }) => [name, args, inner === null ? null : strip(inner)]);
  return JSON.stringify(strip(block));
}
