import { timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import type { AdminAddress } from "../config/admin-setting.ts";
import { digestOf } from "../config/admin-token.ts";
import type { AdminPage } from "./admin-page.ts";

/** The parts of a request that decide whether it is answered; `undefined`: the request has no such field. */
export interface AccessFields {
  readonly host: string | undefined;
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
  readonly "sec-fetch-site": string | undefined;
  readonly via: string | undefined;
}

/** The rules of a listener. */
export interface AccessRules {
  readonly address: AdminAddress;
  /** `null`: there is no token. */
  readonly tokenDigest: string | null;
}

/** A refusal, with a text for the operator. */
export interface Refusal {
  readonly status: 401 | 403 | 421;
  readonly reason: string;
}

/**
 * Decides whether a request is answered; `null`: it is.
 *
 * A socket of the file system needs no token: its mode lets in the owner alone. Without a token, any web page could send requests
 * to a loopback port under a name of its own (DNS rebinding), so that the host must be an address, or the name in the config.
 * Requests through a proxy are refused then, since a site may lead to the listener under another of its names.
 * Requests that a page of another site sends are refused in any case (Fetch Metadata, and RFC 6454 section 7).
 */
export function decideAccess(
  { access }: Pick<AdminPage, "access">,
  fields: AccessFields,
  { address, tokenDigest }: AccessRules,
): Refusal | null {
  const isOpen = address.kind === "unix" || tokenDigest === null;
  if (address.kind === "tcp" && tokenDigest === null && !isOwnHost(fields.host, address.host)) {
    const expected = `expected the address of the admin listener, or ${address.host}`;
    return { status: 421, reason: `Cannot answer for the host ${fields.host ?? ""}: ${expected}` };
  }
  if (isOpen && fields.via !== undefined) {
    const reason = "Cannot answer a request through a proxy: expected a token (adminToken)";
    return { status: 403, reason };
  }
  if (access === "probe") return null;
  if (!isOpen && !hasToken(fields.authorization, tokenDigest)) {
    return {
      status: 401,
      reason: 'Cannot answer without the token: expected "Authorization: Bearer TOKEN"',
    };
  }
  if (isOfAnotherSite(fields)) {
    const reason = "Cannot answer a request of another site: expected one of this page";
    return { status: 403, reason };
  }
  // All users of the machine reach a port. The control socket lets in the owner alone.
  return access === "action" && address.kind === "tcp" && tokenDigest === null
    ? { status: 403, reason: "Cannot change the server without a token: expected adminToken" }
    : null;
}

/** Tells whether a host is an address, `localhost`, or the name in the config. An attacker has none of these. */
function isOwnHost(field: string | undefined, ownName: string): boolean {
  const host = (field ?? "")
    .replace(/:\d*$/, "")
    .replace(/^\[|\]$/g, "")
    .toLowerCase();
  return isIP(host) !== 0 || host === "localhost" || host === ownName;
}

/** Reads the token of RFC 6750, or the password of RFC 7617, which browsers ask for. */
function hasToken(authorization: string | undefined, digest: string): boolean {
  const [, scheme = "", credentials = ""] = /^(\w+) +(\S+)$/.exec(authorization ?? "") ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return isSame(digestOf(credentials), digest);
    case "basic": {
      const text = Buffer.from(credentials, "base64").toString("utf8");
      return isSame(digestOf(text.slice(text.indexOf(":") + 1)), digest);
    }
    default:
      return false;
  }
}

/** Compares two digests of one length in constant time. */
function isSame(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

function isOfAnotherSite({ host, origin, ...fields }: AccessFields): boolean {
  const from = fields["sec-fetch-site"];
  if (from !== undefined && from !== "same-origin" && from !== "none") return true;
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== (host ?? "").toLowerCase();
}
