import type { AllowedOrigins } from "../config/web-socket-origins.ts";
import { findField } from "../http/find-field.ts";

/**
 * Tells whether a request for a WebSocket may come from its page (RFC 6455 section 10.2). Browsers send `Origin` with
 * each such request, and the cookies of the server with it: a page of another site could act in the visitor's name.
 * Programs that are no browsers send none, and may.
 *
 * @param ownOrigin Scheme and authority of the request. A page over HTTPS may ask a server that only
 *   knows HTTP, since a balancer may end TLS. A page over HTTP may not ask one over HTTPS: others on the way may have changed the page.
 */
export function isAllowedOrigin(
  fields: string,
  { ownOrigin, allowed }: { ownOrigin: string; allowed: AllowedOrigins },
): boolean {
  if (allowed === "any") return true;
  const origin = findField(fields, "origin");
  if (origin === undefined) return true;
  const own = authorityOf(ownOrigin);
  const isWeaker = ownOrigin.startsWith("https:") && !/^https:/i.test(origin);
  if (own !== null && !isWeaker && authorityOf(origin) === own) return true;
  return allowed !== "same" && allowed.includes(origin.toLowerCase());
}

/** Returns the authority of an origin in lower case; `null`: it has none, such as the origin `null`. */
function authorityOf(origin: string): string | null {
  return /^https?:\/\/([^/]+)$/i.exec(origin)?.[1]?.toLowerCase() ?? null;
}
