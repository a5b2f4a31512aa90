import { isReady } from "../observe/readiness.ts";
import type { ProcessFacts } from "./facts.ts";
import { type Family, one, type Sample, toSeconds } from "./family.ts";

/** States of an upstream server (`control/operations.ts`). */
const UPSTREAM_STATES = ["up", "slow start", "out", "probing", "trial", "draining"] as const;

/** Upstream servers, reloads, certificates, logs and the primary itself. */
export const SERVER_FAMILIES: readonly Family[] = [
  {
    name: "edgicorn_upstream_response_seconds",
    type: "histogram",
    unit: "seconds",
    labels: ["group"],
    help: "Time from an attempt of a request to the head of the response of an upstream server.",
    collect: ({ counters }) =>
      [...counters.upstreams.list()].map(([group, each]) => [[group], each]),
  },
  {
    name: "edgicorn_upstream_server_state",
    type: "gauge",
    unit: null,
    labels: ["group", "server", "state"],
    help: "1 for the present state of an upstream server, 0 for the others.",
    *collect({ status }): Generator<Sample> {
      for (const { name, servers } of status.upstreams ?? []) {
        for (const server of servers) {
          for (const state of UPSTREAM_STATES) {
            yield [[name, server.name, state], server.state === state ? 1 : 0];
          }
        }
      }
    },
  },
  ofUpstreams("requests", "Attempts of requests at an upstream server.", "counter"),
  ofUpstreams("failures", "Attempts that failed at an upstream server.", "counter"),
  ofUpstreams("requests_in_flight", "Requests that an upstream server has.", "gauge"),
  {
    name: "edgicorn_upstream_queue_requests",
    type: "gauge",
    unit: null,
    labels: ["group"],
    help: "Requests that wait for an upstream server.",
    collect: ({ status }) => (status.upstreams ?? []).map(({ name, queued }) => [[name], queued]),
  },
  {
    name: "edgicorn_reload_duration_seconds",
    type: "histogram",
    unit: "seconds",
    labels: ["command", "outcome"],
    help: "Reloads and rollbacks, from the command to the switch or the refusal.",
    *collect({ counters }): Generator<Sample> {
      for (const [command, outcomes] of Object.entries(counters.reloads.durations)) {
        for (const [outcome, durations] of Object.entries(outcomes)) {
          yield [[command, outcome], durations];
        }
      }
    },
  },
  {
    name: "edgicorn_last_reload_refused",
    type: "gauge",
    unit: null,
    labels: [],
    help: "1 if the last reload or rollback was refused, so that older code or settings serve.",
    collect: ({ counters }) => one(counters.reloads.isLastRefused ? 1 : 0),
  },
  {
    name: "edgicorn_last_reload_timestamp_seconds",
    type: "gauge",
    unit: "seconds",
    labels: [],
    help: "Time of the last reload or rollback that changed the server.",
    collect: ({ counters: { reloads } }) =>
      reloads.lastDoneMs === null ? [] : one(toSeconds(reloads.lastDoneMs)),
  },
  {
    name: "edgicorn_certificate_expiry_timestamp_seconds",
    type: "gauge",
    unit: "seconds",
    labels: ["name"],
    help: "Time at which a certificate expires, by its first host name.",
    collect: ({ status }) =>
      firstOfEach(status.certificates).map(([name, notAfter]) => [
        [name],
        toSeconds(Date.parse(notAfter)),
      ]),
  },
  {
    name: "edgicorn_spool_bytes",
    type: "gauge",
    unit: "bytes",
    labels: [],
    help: "Bytes of bodies that wait on disk.",
    collect: ({ spool }) => one(spool.heldBytes),
  },
  {
    name: "edgicorn_spool_files",
    type: "gauge",
    unit: null,
    labels: [],
    help: "Bodies that wait on disk.",
    collect: ({ spool }) => one(spool.files),
  },
  {
    name: "edgicorn_log_lines_lost",
    type: "counter",
    unit: null,
    labels: [],
    help: "Log lines that a full disk or a stopped reader has lost.",
    collect: ({ status }) => one(status.lostLogLines),
  },
  {
    name: "edgicorn_traces_exported",
    type: "counter",
    unit: null,
    labels: [],
    help: "Traced requests that the collector of the setting otlp got.",
    collect: ({ traces }) => one(traces.exported),
  },
  {
    name: "edgicorn_traces_dropped",
    type: "counter",
    unit: null,
    labels: [],
    help: "Traced requests that were dropped: the collector was too slow, or refused them.",
    collect: ({ traces }) => one(traces.dropped),
  },
  {
    name: "edgicorn_trace_spans_rejected",
    type: "counter",
    unit: null,
    labels: [],
    help: "Spans of traced requests that the collector got and has rejected.",
    collect: ({ traces }) => one(traces.rejectedSpans),
  },
  {
    name: "edgicorn_ready",
    type: "gauge",
    unit: null,
    labels: [],
    help: "1 if the server is ready for traffic, as /readyz says.",
    collect: ({ readiness }) => one(isReady(readiness) ? 1 : 0),
  },
  {
    name: "edgicorn_build_info",
    type: "gauge",
    unit: null,
    labels: ["version", "node", "library"],
    help: "Always 1: the versions are labels.",
    collect: ({ status }) => [[[status.version, process.version, status.library], 1]],
  },
  ofProcess(
    "start_timestamp_seconds",
    "seconds",
    "Time at which the primary started. Counters begin at 0 then.",
    ({ startedAtSeconds }) => startedAtSeconds,
  ),
  ofProcess(
    "cpu_seconds",
    "seconds",
    "CPU time of the primary.",
    ({ cpuSeconds }) => cpuSeconds,
    "counter",
  ),
  ofProcess(
    "resident_memory_bytes",
    "bytes",
    "Resident memory of the primary.",
    ({ rssBytes }) => rssBytes,
  ),
  ofProcess(
    "heap_used_bytes",
    "bytes",
    "Memory of JavaScript objects in the primary.",
    ({ heapUsedBytes }) => heapUsedBytes,
  ),
  ofProcess(
    "event_loop_active_seconds",
    "seconds",
    "Time in which the event loop of the primary was busy.",
    ({ loopActiveSeconds }) => loopActiveSeconds,
    "counter",
  ),
  ofProcess(
    "event_loop_idle_seconds",
    "seconds",
    "Time in which the event loop of the primary waited.",
    ({ loopIdleSeconds }) => loopIdleSeconds,
    "counter",
  ),
  {
    name: "edgicorn_primary_event_loop_delay_seconds",
    type: "gauge",
    unit: "seconds",
    labels: ["share"],
    help: "Delays of the event loop of the primary since the last scrape: median, 99th percentile and largest.",
    collect: ({ process: { loopDelay } }) => [
      [["0.5"], toSeconds(loopDelay.p50Ms)],
      [["0.99"], toSeconds(loopDelay.p99Ms)],
      [["1"], toSeconds(loopDelay.maxMs)],
    ],
  },
];

function ofUpstreams(
  name: "requests" | "failures" | "requests_in_flight",
  help: string,
  type: Family["type"],
): Family {
  const key = name === "requests_in_flight" ? "inFlight" : name;
  return {
    name: `edgicorn_upstream_${name}`,
    type,
    unit: null,
    labels: ["group", "server"],
    help,
    *collect({ status }): Generator<Sample> {
      for (const group of status.upstreams ?? []) {
        for (const server of group.servers) yield [[group.name, server.name], server[key]];
      }
    },
  };
}

function ofProcess(
  name: string,
  unit: Family["unit"],
  help: string,
  pick: (facts: ProcessFacts) => number,
  type: Family["type"] = "gauge",
): Family {
  return {
    name: `edgicorn_primary_${name}`,
    type,
    unit,
    labels: [],
    help,
    collect: ({ process: facts }) => one(pick(facts)),
  };
}

/** Two certificates may have the same first name, such as one of each kind of key: the earlier end counts. */
function firstOfEach(
  certificates: readonly { names: readonly string[]; notAfter: string }[],
): [name: string, notAfter: string][] {
  const ends = new Map<string, string>();
  for (const { names, notAfter } of certificates) {
    const name = names[0] ?? "default";
    const known = ends.get(name);
    if (known === undefined || notAfter < known) ends.set(name, notAfter);
  }
  return [...ends];
}
