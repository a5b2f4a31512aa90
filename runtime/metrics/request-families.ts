import type { Family, Sample } from "./family.ts";
import { each, one } from "./family.ts";

/** Requests, connections, limits and the cache. */
export const REQUEST_FAMILIES: readonly Family[] = [
  {
    name: "edgicorn_http_request_duration_seconds",
    type: "histogram",
    unit: "seconds",
    labels: ["site", "route", "method", "status"],
    help: "Time from the head of a request to the last byte of its answer. Its count is the number of requests.",
    *collect({ counters }): Generator<Sample> {
      for (const { site, route, method, result, durations } of counters.finishedRequests.list()) {
        yield [[site, route, method, result], durations];
      }
    },
  },
  {
    name: "edgicorn_http_sent_body_bytes",
    type: "counter",
    unit: "bytes",
    labels: ["site", "route"],
    help: "Bytes of the bodies of answers.",
    *collect({ counters }): Generator<Sample> {
      const sums = new Map<string, [string[], number]>();
      for (const { site, route, bytes } of counters.finishedRequests.list()) {
        const key = `${site}\n${route}`;
        const sum = sums.get(key) ?? [[site, route], 0];
        sum[1] += bytes;
        sums.set(key, sum);
      }
      yield* sums.values();
    },
  },
  {
    name: "edgicorn_http_received_body_bytes",
    type: "counter",
    unit: "bytes",
    labels: [],
    help: "Bytes of the bodies of requests.",
    collect: ({ counters }) => one(counters.receivedBodyBytes),
  },
  {
    name: "edgicorn_http_requests_open",
    type: "gauge",
    unit: null,
    labels: [],
    help: "Requests without a complete answer whose client has not left.",
    collect: ({ counters }) => one(counters.snapshot({ queued: 0, inFlight: 0 }).requests.open),
  },
  {
    name: "edgicorn_http_requests_passed_on",
    type: "counter",
    unit: null,
    labels: [],
    help: "Requests that a file, an upstream server or the page of the application answered in place of a handler that failed.",
    collect: ({ counters }) => one(counters.passedOn),
  },
  {
    name: "edgicorn_connections_open",
    type: "gauge",
    unit: null,
    labels: ["scheme"],
    help: "Open connections of clients.",
    collect: ({ counters: { schemes } }) =>
      each([
        ["http", schemes.http.open],
        ["https", schemes.https.open],
      ]),
  },
  {
    name: "edgicorn_connections_accepted",
    type: "counter",
    unit: null,
    labels: ["scheme"],
    help: "Accepted connections of clients. With https, each begins a TLS handshake.",
    collect: ({ counters: { schemes } }) =>
      each([
        ["http", schemes.http.accepted],
        ["https", schemes.https.accepted],
      ]),
  },
  {
    name: "edgicorn_limit_hits",
    type: "counter",
    unit: null,
    labels: ["setting"],
    help: "How often a limit refused a request or a connection, or cut one off, by the setting of the limit.",
    collect: ({ counters }) => each(Object.entries(counters.limits)),
  },
  {
    name: "edgicorn_cache_requests",
    type: "counter",
    unit: null,
    labels: ["result"],
    help: "Finished requests that the response cache took, by result.",
    collect: ({ counters }) => each(Object.entries(counters.cached)),
  },
  ...ofCache("entries", null, "Stored answers.", ({ entries }) => entries),
  ...ofCache(
    "memory_bytes",
    "bytes",
    "Memory of stored answers and their index.",
    ({ memoryBytes }) => memoryBytes,
  ),
  ...ofCache("disk_bytes", "bytes", "Disk space of stored answers.", ({ diskBytes }) => diskBytes),
  ...ofCache(
    "memory_limit_bytes",
    "bytes",
    "Most memory of stored answers.",
    ({ memoryLimitBytes }) => memoryLimitBytes,
  ),
  ...ofCache(
    "disk_limit_bytes",
    "bytes",
    "Most disk space of stored answers.",
    ({ diskLimitBytes }) => diskLimitBytes,
  ),
  ...ofCache(
    "evictions",
    null,
    "Answers that were removed to make room.",
    ({ evictions }) => evictions,
    "counter",
  ),
  ...ofCache(
    "rejections",
    null,
    "Answers that were not stored for lack of room, or because the disk failed.",
    ({ rejections }) => rejections,
    "counter",
  ),
];

type Cache = NonNullable<Parameters<Family["collect"]>[0]["status"]["cache"]>;

/** Returns a metric of the response cache. It has no sample while nothing uses the cache. */
function ofCache(
  name: string,
  unit: Family["unit"],
  help: string,
  pick: (cache: Cache) => number,
  type: Family["type"] = "gauge",
): Family[] {
  return [
    {
      name: `edgicorn_cache_${name}`,
      type,
      unit,
      labels: [],
      help,
      collect: ({ status }) => (status.cache === undefined ? [] : one(pick(status.cache))),
    },
  ];
}
