import ipaddr from "ipaddr.js";
import { createAddressRanges } from "../lib/address-ranges.ts";
import { expandProxyEntries } from "../lib/proxy-entries.ts";
import type { ForwardingKind, Trust } from "./forwarding.ts";

/** Returns the trust that the settings ask for; `null`: no proxy is trusted. */
export function toTrust(settings: {
  trustedProxies: readonly string[] | null;
  trustedProxyFields: ForwardingKind;
}): Trust | null {
  const { trustedProxies, trustedProxyFields: kind } = settings;
  if (trustedProxies === null) return null;
  return { proxies: createAddressRanges(expandProxyEntries(trustedProxies)), kind };
}

/**
 * Returns the canonical form of an IP address, as a listener reports it; `null`: the text is no address. IPv4 in IPv6
 * becomes IPv4. Short forms of IPv4 (`127.1`, `0x7f.1`) are refused, because programs read them differently.
 */
export function toAddress(text: string): string | null {
  if (!isStrict(text)) return null;
  return ipaddr.process(text).toString();
}

/** Tells whether a text is an address that all programs read alike: four decimal parts, or IPv6 without a zone. */
function isStrict(text: string): boolean {
  if (text.includes(":")) return !text.includes("%") && ipaddr.IPv6.isValid(text);
  return ipaddr.IPv4.isValidFourPartDecimal(text) && !/(?:^|\.)0\d/.test(text);
}
