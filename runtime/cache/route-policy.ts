import { findField } from "../http/find-field.ts";
import type { RequestHead } from "../http/client.ts";
import type { CachePolicy as Setting } from "../lib/cache-policy.ts";
import type { QueryRule } from "./cache-key.ts";
import { type CachePolicy, DEFAULT_POLICY } from "./policy.ts";

/** The policies of a route: one for each kind of request. */
export interface RoutePolicy {
  /** For requests that could come from any visitor. */
  readonly shared: CachePolicy;
  /**
   * For requests with credentials or with cookies that are not in the key. An answer to them that does not say itself how
   * long it is fresh may be about this visitor: the time of the setting does not count for it. `null`: the setting has no
   * time, and all requests are treated alike.
   */
  readonly personal: CachePolicy | null;
}

/** Statuses whose answers the time of a setting is for. A stored error would outlive its cause. */
const STATUSES: readonly number[] = [200, 203, 204, 300, 301, 308];

/** Returns the policies for the setting of a route. */
export function toRoutePolicy({
  maxAgeMs,
  staleMs,
  query,
  ignoreQuery,
  cookies,
}: Setting): RoutePolicy {
  const personal: CachePolicy = Object.freeze({
    ...DEFAULT_POLICY,
    // A client that could ask for fresh answers could make the handlers work for each of its requests.
    obeysClients: false,
    staleWhileRevalidateMs: staleMs ?? 0,
    staleIfErrorMs: staleMs ?? 0,
    query: toQueryRule(query, ignoreQuery),
    cookies,
  });
  if (maxAgeMs === null) return { shared: personal, personal: null };
  const ttlMsByStatus = new Map(STATUSES.map((status) => [status, maxAgeMs]));
  return { shared: Object.freeze({ ...personal, ttlMsByStatus }), personal };
}

function toQueryRule(only: readonly string[] | null, except: readonly string[]): QueryRule {
  if (only !== null) return { kind: "only", names: only };
  return except.length > 0 ? { kind: "except", names: except } : DEFAULT_POLICY.query;
}

/** Tells whether a request has credentials, a user that a rule knows, or a cookie that does not belong to the key. */
export function isPersonal(
  { fields, hasKnownUser }: Pick<RequestHead, "fields" | "hasKnownUser">,
  cookies: readonly string[],
): boolean {
  if (hasKnownUser === true || findField(fields, "authorization") !== undefined) return true;
  const sent = findField(fields, "cookie");
  if (sent === undefined) return false;
  return sent.split(";").some((pair) => {
    const name = (pair.split("=", 1)[0] ?? "").trim();
    return name !== "" && !cookies.includes(name);
  });
}
