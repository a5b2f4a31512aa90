import { isIP } from "node:net";

/** The place of an upstream server, as the config names it. */
export type UpstreamAddressSetting =
  /** `host`: a name, or an IP address without brackets. */
  | { readonly kind: "tcp"; readonly tls: boolean; readonly host: string; readonly port: number }
  /** `host` has SRV records (RFC 2782), which name the servers and their ports. */
  | { readonly kind: "srv"; readonly tls: boolean; readonly host: string }
  /** `path` as the config has it. */
  | { readonly kind: "unix"; readonly path: string };

/** End of the sentence "found x, expected ...". */
export const UPSTREAM_ADDRESS_EXPECTED =
  'the address of a server without a path, such as "http://10.0.0.1:3000", "https://api.internal" or "unix:/run/api.sock"';

/** A host whose first labels name a service has SRV records. */
const SERVICE = /^_[a-z0-9-]+\._tcp\../;

/** A socket of a Unix system has a path of at most 107 bytes. */
const MOST_PATH_BYTES = 107;

/**
 * Parses the address of an upstream server: `http://HOST[:PORT]`, `https://HOST[:PORT]` or `unix:PATH`.
 *
 * @returns `null`, or the end of the sentence "found x, expected ...", for a text that is no such address.
 */
export function parseUpstreamAddress(
  text: string,
): UpstreamAddressSetting | { readonly expected: string } | null {
  if (text.startsWith("unix:")) return parseSocketPath(text.slice("unix:".length));
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    return { expected: "an address without a user and a password" };
  }
  // A URL of the standard ends with a slash. A query and a fragment have nothing to say here, even empty ones.
  if (url.pathname !== "/" || /[?#]/.test(text)) {
    return { expected: 'an address without a path, such as "http://10.0.0.1:3000"' };
  }
  const tls = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (SERVICE.test(host)) {
    if (url.port !== "") return { expected: "no port: the SRV records of the name have it" };
    return { kind: "srv", tls, host };
  }
  const port = url.port === "" ? (tls ? 443 : 80) : Number(url.port);
  if (port === 0) return { expected: "a port from 1 to 65535" };
  return { kind: "tcp", tls, host, port };
}

/** Returns the text of an address in its usual form. Two texts with the same form are the same server. */
export function formatUpstreamAddress(address: UpstreamAddressSetting): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const scheme = address.tls ? "https" : "http";
  const host = isIP(address.host) === 6 ? `[${address.host}]` : address.host;
  return address.kind === "srv" ? `${scheme}://${host}` : `${scheme}://${host}:${address.port}`;
}

function parseSocketPath(path: string): UpstreamAddressSetting | { readonly expected: string } {
  if (path === "" || path.includes("\0") || path.startsWith("//")) {
    return { expected: 'the path of a socket after "unix:", such as "unix:/run/api.sock"' };
  }
  if (Buffer.byteLength(path) > MOST_PATH_BYTES) {
    return { expected: `a path of at most ${MOST_PATH_BYTES} bytes, as the system demands` };
  }
  return { kind: "unix", path };
}
