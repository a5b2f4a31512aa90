const MAPPED = "::ffff:";

/**
 * Returns an address of a socket in canonical form: IPv4 in IPv6 becomes IPv4, and a zone is left out.
 *
 * @param address From Node, which formats it like RFC 5952; empty: the socket is gone.
 */
export function toCanonicalAddress(address: string): string {
  if (address.startsWith(MAPPED) && address.includes(".")) return address.slice(MAPPED.length);
  const zone = address.indexOf("%");
  return zone === -1 ? address : address.slice(0, zone);
}
