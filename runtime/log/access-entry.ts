import type { LimitName } from "../http/limit-names.ts";
import type { AccessEntry } from "./access-line.ts";

/** The facts about a finished exchange, before the rules are applied. */
export interface AccessFacts extends Omit<
  AccessEntry,
  "path" | "query" | "limit" | "referer" | "userAgent"
> {
  /** Path and query, as the client sent them. */
  target: string;
  /** The limit that refused the request or cut it off; `null`: none. */
  limit: LimitName | null;
  /** Values of fields, one character per byte. `undefined`: the request has no such field. */
  referer: string | undefined;
  userAgent: string | undefined;
}

/** Rules that select the logged facts. */
export interface AccessRules {
  withQuery: boolean;
  /** Logs referer and user agent. */
  withClient: boolean;
  /** Replaces the values of secret parameters in a query. */
  redactQuery: (query: string) => string;
}

/**
 * Picks the facts to log. If queries are not logged, removes the referer's query, too: it may be an address of this
 * server.
 */
export function toAccessEntry(facts: AccessFacts, rules: AccessRules): AccessEntry {
  const { withQuery, withClient } = rules;
  const { target, referer, userAgent } = facts;
  const queryAt = target.indexOf("?");
  const query = withQuery && queryAt !== -1 ? rules.redactQuery(target.slice(queryAt + 1)) : null;
  return {
    clientAddress: facts.clientAddress,
    scheme: facts.scheme,
    host: facts.host,
    method: facts.method,
    path: queryAt === -1 ? target : target.slice(0, queryAt),
    query: withQuery ? query : undefined,
    status: facts.status,
    bytes: facts.bytes,
    durationMs: facts.durationMs,
    worker: facts.worker,
    limit: facts.limit ?? undefined,
    upstream: facts.upstream,
    requestId: facts.requestId,
    referer: withClient
      ? toText(withQuery ? redact(referer, rules) : withoutQuery(referer))
      : undefined,
    userAgent: withClient ? toText(userAgent) : undefined,
    traceparent: facts.traceparent,
    fields: facts.fields,
  };
}

/** Replaces secret parameters of an address, in its query and in its fragment. */
function redact(address: string | undefined, { redactQuery }: AccessRules): string | undefined {
  return address
    ?.split(/(?<=[?#])/)
    .map((part, at) => (at === 0 ? part : redactQuery(part)))
    .join("");
}

function withoutQuery(address: string | undefined): string | undefined {
  const end = address?.search(/[?#]/) ?? -1;
  return end === -1 ? address : address?.slice(0, end);
}

const NOT_ASCII = /[^\0-\x7f]/;

/** Decodes a field's value as UTF-8. */
function toText(value: string | undefined): string | null {
  if (value === undefined) return null;
  return NOT_ASCII.test(value) ? Buffer.from(value, "latin1").toString("utf8") : value;
}
