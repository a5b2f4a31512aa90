import type { HandlerTime } from "../channel/handler-time.ts";
import type { Client } from "../http/client.ts";
import type { TraceContext } from "../lib/trace-context.ts";

/** A request that has ended, with all that its spans need. Holds nothing of the client. */
export interface FinishedSpan {
  readonly context: TraceContext;
  readonly method: string;
  /** Path without the query, which may hold secrets. */
  readonly path: string;
  /** `https://example.com:8443` */
  readonly origin: string;
  readonly protocol: string;
  readonly clientAddress: string;
  readonly userAgent: string | undefined;
  /** Pattern of the route, or the name of a place such as `files`. */
  readonly route: string;
  /** 499: the client left. */
  readonly status: number;
  readonly bytes: number;
  readonly requestId: string;
  readonly workerId: number | null;
  readonly cached: string | null;
  /** Its handler failed, and the site has answered in its place. */
  readonly passedOn: boolean;
  readonly upstream: Readonly<{ name: string; attempts: number }> | null;
  /** Unix times in ms, with a fraction. */
  readonly startMs: number;
  readonly endMs: number;
  /** Times within the span; `null`: there was no such wait, or it was not measured. */
  readonly queue: Interval | null;
  readonly worker: Interval | null;
  readonly handler: Interval | null;
}

/** Unix times in ms. */
export interface Interval {
  readonly startMs: number;
  readonly endMs: number;
}

/** Ids of the child spans. */
type NewId = () => string;

/** Methods with a name of their own (HTTP semantic conventions of OpenTelemetry). All others are `_OTHER`. */
const KNOWN_METHODS = new Set("CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE".split(" "));

/** Longest text of an attribute. */
export const MOST_CHARACTERS = 1024;

/** Turns times of this process into Unix times for one span. */
export interface Clocks {
  /** Unix time minus `performance.now()`. */
  readonly unixOffsetMs: number;
  /** Monotonic time of the system minus `performance.now()`. */
  readonly monotonicOffsetMs: number;
}

/** Returns the intervals of a request that was measured. */
export function toIntervals(
  { timings }: Pick<Client, "timings">,
  { unixOffsetMs, monotonicOffsetMs }: Clocks,
): Pick<FinishedSpan, "queue" | "worker" | "handler"> {
  const { dispatchedMs = null, answeredMs = null, queueMs = 0, handler = null } = timings ?? {};
  if (dispatchedMs === null) return { queue: null, worker: null, handler: null };
  const at = (ms: number): number => ms + unixOffsetMs;
  return {
    queue: queueMs > 0 ? { startMs: at(dispatchedMs - queueMs), endMs: at(dispatchedMs) } : null,
    worker: answeredMs === null ? null : { startMs: at(dispatchedMs), endMs: at(answeredMs) },
    handler: handler === null ? null : toInterval(handler, unixOffsetMs - monotonicOffsetMs),
  };
}

function toInterval({ startMs, durationMs }: HandlerTime, offsetMs: number): Interval {
  return { startMs: startMs + offsetMs, endMs: startMs + offsetMs + durationMs };
}

/**
 * Returns the spans of a request in the JSON form of OTLP: the server's, and below it those of the wait in the queue, of the time
 * from primary to worker and back, and of the handler.
 */
export function toOtlpSpans(span: FinishedSpan, newId: NewId): object[] {
  const { context, status, method, route, startMs, endMs } = span;
  const { traceId, spanId, parentId, traceState } = context;
  const known = KNOWN_METHODS.has(method) ? method : "_OTHER";
  const server = {
    traceId,
    spanId,
    ...(traceState !== "" && { traceState }),
    ...(parentId !== null && { parentSpanId: parentId }),
    name: route.startsWith("/") ? `${known} ${route}` : known,
    kind: SERVER,
    startTimeUnixNano: toNanos(startMs),
    endTimeUnixNano: toNanos(endMs),
    attributes: toAttributes(span, known),
    status: status >= 500 ? { code: STATUS_ERROR } : {},
  };
  const channelId = newId();
  const child = (
    name: string,
    interval: Interval | null,
    own: { id: string; parent: string },
  ): object[] =>
    interval === null
      ? []
      : [
          {
            traceId,
            spanId: own.id,
            parentSpanId: own.parent,
            name,
            kind: INTERNAL,
            startTimeUnixNano: toNanos(interval.startMs),
            endTimeUnixNano: toNanos(interval.endMs),
            attributes: [],
            status: {},
          },
        ];
  return [
    server,
    ...child("queue", span.queue, { id: newId(), parent: spanId }),
    ...child("channel", span.worker, { id: channelId, parent: spanId }),
    ...child("handler", span.handler, { id: newId(), parent: channelId }),
  ];
}

/** Kinds and status of OTLP (`trace.proto`). JSON has enumerations as numbers. */
const [INTERNAL, SERVER] = [1, 2];
const STATUS_ERROR = 2;

function toAttributes(span: FinishedSpan, method: string): object[] {
  const { status, bytes, origin, protocol, route, upstream } = span;
  const url = URL.canParse(origin) ? new URL(origin) : null;
  const scheme = origin.slice(0, origin.indexOf(":"));
  const port = Number(url?.port) || (scheme === "https" ? 443 : 80);
  const hasLeft = status === 499;
  const values: [key: string, value: string | number | null | undefined][] = [
    ["http.request.method", method],
    ["http.request.method_original", method === span.method ? null : span.method],
    ["http.route", route.startsWith("/") ? route : null],
    ["http.response.status_code", hasLeft ? null : status],
    ["http.response.body.size", bytes],
    ["error.type", hasLeft ? "client_left" : status >= 500 ? String(status) : null],
    ["url.scheme", scheme],
    ["url.path", span.path],
    ["server.address", url?.hostname],
    ["server.port", url === null ? null : port],
    ["client.address", span.clientAddress],
    [
      "network.protocol.version",
      protocol.slice("HTTP/".length).replace(/\.0$/, (end) => (protocol === "HTTP/1.0" ? end : "")),
    ],
    ["user_agent.original", span.userAgent],
    ["edgicorn.request.id", span.requestId],
    ["edgicorn.worker.id", span.workerId],
    ["edgicorn.place", route.startsWith("/") ? null : route],
    ["edgicorn.cache", span.cached],
    ["edgicorn.passed_on", span.passedOn ? "true" : null],
    ["edgicorn.upstream.name", upstream?.name],
    ["edgicorn.upstream.attempts", upstream?.attempts],
  ];
  return values.flatMap(([key, value]) =>
    value === null || value === undefined ? [] : [toAttribute(key, value)],
  );
}

/** Returns an attribute. Integers of 64 bits are texts in the JSON form. */
export function toAttribute(key: string, value: string | number): object {
  return {
    key,
    value:
      typeof value === "number"
        ? { intValue: String(Math.round(value)) }
        : { stringValue: value.slice(0, MOST_CHARACTERS) },
  };
}

/** Returns nanoseconds as text: they have more digits than a number of JavaScript. */
function toNanos(unixMs: number): string {
  const wholeMs = Math.floor(unixMs);
  const nanos = Math.round((unixMs - wholeMs) * 1e6);
  return String(BigInt(wholeMs) * 1_000_000n + BigInt(nanos));
}
