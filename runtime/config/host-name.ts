import { isIP } from "node:net";

/** The end of the sentence "found x, expected ...". */
export const HOST_NAME_EXPECTED =
  'a host name without a port, such as "example.com", "*.example.com" (one label) or "[::1]"';

/** Names that DNS can have. The URL standard accepts more characters. */
const NAME =
  /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Longest name in DNS. */
const MOST_CHARACTERS = 253;

/**
 * Returns the name of a host as the origin of a request has it: lower case, without a final dot, other scripts in Punycode,
 * IPv6 in brackets. `*.` at the start stays. `null`: the text is no host name.
 */
export function toHostName(text: string): string | null {
  const isWild = text.startsWith("*.");
  const bare = isWild ? text.slice(2) : text;
  if (bare === "" || /[/?#@%\\\s*]/.test(bare)) return null;
  const isAddress = isIP(bare.replace(/^\[(.*)\]$/, "$1")) !== 0;
  if (isWild && isAddress) return null;
  const written = isIP(bare) === 6 ? `[${bare}]` : bare.replace(/\.$/, "");
  if (!isAddress && written.includes(":")) return null;
  let host: string;
  try {
    host = new URL(`http://${written}`).hostname;
  } catch {
    // A space, a bracket, four numbers that are no address.
    return null;
  }
  if (host.startsWith("[")) return host;
  if (!NAME.test(host) || host.length > MOST_CHARACTERS) return null;
  return isWild ? `*.${host}` : host;
}

/** Tells whether one of these names, perhaps with `*` as its first label, is that of the host. */
export function isCovered(host: string, names: ReadonlySet<string>): boolean {
  const dot = host.indexOf(".");
  if (names.has(host)) return true;
  return dot > 0 && !host.startsWith("*.") && names.has(`*${host.slice(dot)}`);
}
