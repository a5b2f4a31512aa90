import type { PathChange } from "./target.ts";

/** The change of addresses in responses. */
export interface LocationChanges {
  /** The change of the paths of requests, which addresses in responses undo. */
  readonly path: PathChange;
  /** Starts of addresses and their replacements. The first that fits wins. */
  readonly replacements: readonly (readonly [from: string, to: string])[];
}

/**
 * Returns an address of a response as the client has to use it.
 *
 * - An address that begins as one of the replacements gets that replacement.
 * - An absolute URL of the upstream server itself becomes a path: clients cannot reach that server.
 * - The change of the request's path is undone: `/login` becomes `/api/login` behind a prefix that was stripped. An
 *   address that has the prefix already stays: the application knows it from `X-Forwarded-Prefix`.
 *
 * All other addresses stay as they are. A change never makes an address of another host: the path `//evil.example` of the
 * upstream becomes `/.//evil.example`, which browsers read as that path.
 *
 * @param upstream The authority of the upstream server in its own URLs; `null`: it has none, as behind a Unix socket.
 */
export function toClientLocation(
  address: string,
  { path, replacements }: LocationChanges,
  upstream: string | null,
): string {
  for (const [from, to] of replacements) {
    if (!address.startsWith(from)) continue;
    const rest = address.slice(from.length);
    return NETWORK_PATH.test(to) ? to + rest : toLocalPath(to + rest);
  }
  const own = upstream === null ? address : withoutAuthority(address, upstream);
  const namesHost = own === address && own.startsWith("//");
  if (!own.startsWith("/") || namesHost) return own;
  const changed = undo(own, path);
  return changed === address ? address : toLocalPath(changed);
}

/** Start of an address with a host and without a scheme, as browsers read it: `\` is `/`, and a tab is ignored. */
const NETWORK_PATH = /^\t*[/\\]\t*[/\\]/;

/** Returns a path in a spelling that names no host. */
function toLocalPath(address: string): string {
  return NETWORK_PATH.test(address) ? `/.${address}` : address;
}

/** Returns the path of an absolute URL of this server; other addresses unchanged. */
function withoutAuthority(address: string, upstream: string): string {
  if (!/^https?:\/\//i.test(address) || !URL.canParse(address)) return address;
  const { host, pathname, search, hash } = new URL(address);
  return host === upstream ? pathname + search + hash : address;
}

function undo(address: string, { strip, add }: PathChange): string {
  if (add === "" && (strip === "" || isBelow(address, strip))) return address;
  if (add !== "" && !isBelow(address, add)) return address;
  const rest = address.slice(add.length);
  return strip === "" && !rest.startsWith("/") ? `/${rest}` : strip + rest;
}

function isBelow(address: string, prefix: string): boolean {
  if (!address.startsWith(prefix)) return false;
  const next = address[prefix.length];
  return next === undefined || next === "/" || next === "?" || next === "#";
}
