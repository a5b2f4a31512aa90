import type { ExchangeId } from "../channel/messages.ts";
import type { CacheResult } from "../http/cache-result.ts";
import type { Protocol, RequestHead, UpstreamNote } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import type { LimitName } from "../http/limit-names.ts";
import { toRequestId } from "../lib/request-id.ts";
import { toTraceParent } from "../lib/trace-parent.ts";

/** An exchange that ended. A `Client` is one. */
export interface FinishedExchange {
  readonly id: ExchangeId;
  readonly head: LoggedHead;
  /** `performance.now()` when the head was complete. */
  readonly receivedMs: number;
  readonly workerId: number | null;
  /** The limit that refused the request or cut it off; `null`: none. */
  readonly limitedBy: LimitName | null;
  /** The upstream server that had the request; `null` or absent: none. */
  readonly upstream?: UpstreamNote | null;
  /** The result of the response cache; `null` or absent: the request has none. */
  readonly cached?: CacheResult | null;
  /** Its handler failed, and the site has answered in its place; absent: no. */
  readonly passedOn?: boolean;
}

/** The parts of a head that a line may have. */
export interface LoggedHead extends Pick<
  RequestHead,
  "method" | "target" | "origin" | "clientAddress" | "requestId" | "protocol"
> {
  /** Field block; `null`: the fields could not be parsed. */
  readonly fields: string | null;
}

/** The end of an exchange. */
export interface ExchangeEnd {
  readonly status: number;
  /** Bytes of the response body. */
  readonly bytes: number;
  /** The time by `performance.now()`. */
  readonly nowMs: number;
  /** The same time as Unix time, in whole milliseconds. */
  readonly timeMs: number;
}

/** The parts of a line that are known before the answer. The texts come from clients and may contain any character. */
export interface RequestPart {
  clientAddress: string;
  scheme: "http" | "https";
  /** Host with its port, unless that is the scheme's default; `null`: the request has no valid host. */
  host: string | null;
  method: string;
  protocol: Protocol;
  /** Path as the client sent it, without the query. */
  path: string;
  /** Text after the question mark; `null`: there is none; `undefined`: it is not logged. */
  query: string | null | undefined;
}

/** The parts of a line that come from fields of the request. `null`: there is no such field; `undefined`: it is not logged. */
export interface FieldsPart {
  referer: string | null | undefined;
  userAgent: string | null | undefined;
  /** A valid `traceparent` of the request; `undefined`: it has none. */
  traceparent: string | undefined;
}

/** All parts of a line. */
export interface AccessEntry extends RequestPart, FieldsPart {
  status: number;
  /** Bytes of the response body. */
  bytes: number;
  durationMs: number;
  /** Number of the worker that answered; `null`: the primary answered (a static file, a refusal). */
  worker: number | null;
  /** The upstream server that answered, or failed last; absent: none had the request. */
  upstream?: UpstreamNote | undefined;
  /** The result of the response cache; absent: the request has none. */
  cached?: CacheResult | undefined;
  /** Its handler failed, and the site has answered in its place; absent: no. */
  passedOn?: true | undefined;
  /** The setting that refused the request or cut it off; `undefined`: none. */
  limit: LimitName | undefined;
  requestId: string;
  /** Field block of the request, for formats with other fields. */
  fields: string;
}

/** Rules that select the logged parts. */
export interface AccessRules {
  withQuery: boolean;
  /** Logs referer and user agent. */
  withClient: boolean;
  /** Replaces the values of secret parameters in a query. */
  redactQuery: (query: string) => string;
}

/** The parts of a line that the server decides. */
export interface LineOptions {
  rules: AccessRules;
  /** Prefix of the ids that the server gives to requests. */
  requestIdPrefix: string;
}

/** Writes the line of an exchange. */
export type WriteLine = (exchange: FinishedExchange, end: ExchangeEnd) => void;

/** Picks the parts of a head, except those in its fields. */
export function toRequestPart(
  head: LoggedHead,
  { withQuery, redactQuery }: AccessRules,
): RequestPart {
  const { clientAddress, origin, method, target, protocol = "HTTP/1.1" } = head;
  const schemeEnd = origin.indexOf(":");
  const queryAt = target.indexOf("?");
  const query = withQuery && queryAt !== -1 ? redactQuery(target.slice(queryAt + 1)) : null;
  return {
    clientAddress,
    scheme: schemeEnd === HTTPS_LENGTH ? "https" : "http",
    host: origin.slice(schemeEnd + 3) || null,
    method,
    protocol,
    path: queryAt === -1 ? target : target.slice(0, queryAt),
    query: withQuery ? query : undefined,
  };
}

/**
 * Picks the parts of a field block. If queries are not logged, removes the referer's query, too: it may be an address of
 * this server.
 */
export function toFieldsPart(block: string | null, rules: AccessRules): FieldsPart {
  if (block === null) return { referer: undefined, userAgent: undefined, traceparent: undefined };
  const { withClient, withQuery } = rules;
  const referer = withClient ? findField(block, "referer") : undefined;
  return {
    referer: withClient
      ? toText(withQuery ? redact(referer, rules) : withoutQuery(referer))
      : undefined,
    userAgent: withClient ? toText(findField(block, "user-agent")) : undefined,
    traceparent: toTraceParent(findField(block, "traceparent")),
  };
}

/** Picks all parts of a line. */
export function toAccessEntry(
  { id, head, receivedMs, workerId, limitedBy, upstream, cached, passedOn }: FinishedExchange,
  { status, bytes, nowMs }: ExchangeEnd,
  { rules, requestIdPrefix }: LineOptions,
): AccessEntry {
  // Every member by name: objects made of two spreads outlive V8's young generation, which doubles the CPU of a request.
  const { clientAddress, scheme, host, method, protocol, path, query } = toRequestPart(head, rules);
  const { referer, userAgent, traceparent } = toFieldsPart(head.fields, rules);
  return {
    clientAddress,
    scheme,
    host,
    method,
    protocol,
    path,
    query,
    referer,
    userAgent,
    traceparent,
    status,
    bytes,
    durationMs: nowMs - receivedMs,
    worker: workerId,
    limit: limitedBy ?? undefined,
    upstream: upstream ?? undefined,
    cached: cached ?? undefined,
    passedOn: passedOn === true ? true : undefined,
    requestId: head.requestId ?? toRequestId(requestIdPrefix, id),
    fields: head.fields ?? "",
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

/** Length of `https`. */
const HTTPS_LENGTH = 5;
