import type { Canonical, Kind } from "../kind.ts";
import { hostnameOf, schemeOf } from "../rule-table.ts";

/** Paths of HTTP-01 challenges (RFC 8555 section 8.3), which an authority asks for over HTTP. */
const CHALLENGES = "/.well-known/acme-challenge/";

const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/** Redirects to the scheme and the host name that clients should use, in one step. */
export const redirectToCanonical: Kind = {
  actions: [],
  phase: "first",
  compose(_, { context: { canonical } }) {
    if (canonical === null) return null;
    return (client, { pathname, search }) => {
      const { origin } = client.head;
      const wanted = toCanonicalOrigin(origin, canonical);
      if (wanted === origin || pathname.startsWith(CHALLENGES)) return "next";
      const fields = `location\n${wanted}${pathname}${search}`;
      client.reply({ status: 308, statusText: "", fields, body: "", lengthBytes: null });
      return "done";
    };
  },
};

/** Returns the origin that a client should use. */
export function toCanonicalOrigin(origin: string, { https, host, ports }: Canonical): string {
  const scheme = schemeOf(origin);
  const hostname = hostnameOf(origin);
  const named = hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
  const isOtherHost = host !== null && named !== host;
  const isOtherScheme = https && scheme === "http";
  if (!isOtherHost && !isOtherScheme) return origin;
  const ownPort = origin.slice(origin.indexOf("/") + 2 + hostname.length);
  const port = isOtherScheme ? toHttpsPort(ownPort, ports()) : ownPort;
  return `${isOtherScheme ? "https" : scheme}://${isOtherHost ? host : hostname}${port}`;
}

/**
 * Returns the port for HTTPS with its colon; empty: the usual one.
 *
 * A client that names no port came to port 80. If the server does not listen there, something forwards the usual ports to
 * it, and so port 443.
 */
function toHttpsPort(ownPort: string, { http, https }: ReturnType<Canonical["ports"]>): string {
  const isForwarded = ownPort === "" && http !== HTTP_PORT;
  return isForwarded || https === null || https === HTTPS_PORT ? "" : `:${https}`;
}
