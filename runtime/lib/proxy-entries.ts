import { isIP } from "node:net";

/** Words for ranges of addresses that operators would otherwise copy. */
const RANGE_WORDS: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.0/8", "::1/128"],
  // RFC 1918, RFC 6598, RFC 4193 and link-local addresses.
  private: [
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
  ],
};

/**
 * Tells whether a text is an entry of `trustedProxies`: a word, an address, or a range that `createAddressRanges` accepts.
 *
 * Workers check settings too, and do without the package that parses addresses.
 */
export function isProxyEntry(text: string): boolean {
  if (Object.hasOwn(RANGE_WORDS, text)) return true;
  const [address = "", bits, ...rest] = text.split("/");
  const version = isIP(address);
  // No zone, and no IPv4 address in an IPv6 address.
  if (rest.length > 0 || version === 0 || (version === 6 && /[%.]/.test(address))) return false;
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
  );
}

/** Returns the addresses and ranges of these entries. */
export function expandProxyEntries(entries: readonly string[]): string[] {
  return entries.flatMap((entry) => RANGE_WORDS[entry] ?? [entry]);
}
