import ipaddr from "ipaddr.js";

/** Tells whether an address is in one of several ranges. */
export interface AddressRanges {
  /** @param address IPv4 or IPv6 in text form. Any other text is in no range. */
  has(address: string): boolean;
}

export const ADDRESS_RANGE_EXPECTED =
  'an address or a range such as "10.0.0.0/8", "192.168.1.7" or "2001:db8::/32"';

/** Most addresses whose answer is remembered. */
const REMEMBERED = 1024;

/** Tells whether a text is an address or a CIDR range. */
export function isAddressRange(text: string): boolean {
  return parseRange(text) !== null;
}

/**
 * Returns the set of all addresses in these ranges. An IPv6 address that stands for an IPv4 address counts as the
 * latter.
 *
 * @throws TypeError for a text that `isAddressRange` refuses.
 */
export function createAddressRanges(texts: readonly string[]): AddressRanges {
  const ranges = texts.map((text) => {
    const range = parseRange(text);
    if (range === null) throw new TypeError(`no range of addresses: ${text}`);
    return range;
  });
  // Parsing an address takes longer than all the rest of a rule, and clients send many requests.
  const known = new Map<string, boolean>();
  return {
    has(address) {
      const before = known.get(address);
      if (before !== undefined) return before;
      const found = isWithin(address, ranges);
      if (known.size >= REMEMBERED) known.clear();
      known.set(address, found);
      return found;
    },
  };
}

type Range = readonly [address: ipaddr.IPv4 | ipaddr.IPv6, bits: number];

function isWithin(text: string, ranges: readonly Range[]): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  return ranges.some(
    ([start, bits]) => start.kind() === address.kind() && address.match(start, bits),
  );
}

function parseRange(text: string): Range | null {
  const isWritten = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:.]*:[0-9a-f:.]*)(?:\/\d{1,3})?$/i.test(
    text,
  );
  if (!isWritten) return null;
  if (ipaddr.isValidCIDR(text)) {
    const [address, bits] = ipaddr.parseCIDR(text);
    if (!(address instanceof ipaddr.IPv6) || !address.isIPv4MappedAddress()) return [address, bits];
    return bits >= 96 ? [address.toIPv4Address(), bits - 96] : null;
  }
  if (!ipaddr.isValid(text)) return null;
  const address = ipaddr.process(text);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}
