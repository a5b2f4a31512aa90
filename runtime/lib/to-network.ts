/**
 * Returns the part of an address that belongs to one client: an IPv4 address, or the first 64 bits of an IPv6 address. A
 * client with IPv6 has a network of 64 bits or more for itself, and can use a new address for each request.
 *
 * @param address In canonical text form (RFC 5952).
 * @returns `192.0.2.1`, `2001:db8:0:1`; any other text unchanged.
 */
export function toNetwork(address: string): string {
  if (!address.includes(":")) return address;
  const gap = address.indexOf("::");
  if (gap === -1) return address.split(":", 4).join(":");
  const first = gap === 0 ? [] : address.slice(0, gap).split(":");
  if (first.length >= 4) return first.slice(0, 4).join(":");
  const rest = address.slice(gap + 2);
  const last = rest === "" ? [] : rest.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => "0");
  return [...first, ...zeros, ...last].slice(0, 4).join(":");
}
