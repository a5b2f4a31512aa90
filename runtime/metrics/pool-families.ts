import type { ChannelTraffic, PoolMeter } from "../observe/pool-meters.ts";
import type { MetricsFacts, PoolFacts, WorkerFacts } from "./facts.ts";
import { type Family, type Sample, toSeconds } from "./family.ts";

/** Pools, their workers, queues and channels. */
export const POOL_FAMILIES: readonly Family[] = [
  {
    name: "edgicorn_workers",
    type: "gauge",
    unit: null,
    labels: ["pool", "generation", "state"],
    help: "Workers by state. A silent worker has not answered for a second, since a handler blocks it.",
    *collect({ pools }): Generator<Sample> {
      for (const { name, generation, workers } of pools) {
        for (const state of STATES) {
          const count = workers.filter((worker) => worker.state === state).length;
          yield [[name, generation, state], count];
        }
      }
    },
  },
  ofPools(
    "workers_desired",
    "Workers that the pool should have; 0 for one that retires.",
    ({ desired }) => desired,
  ),
  ofPools("requests_in_flight", "Requests that workers have.", ({ inFlight }) => inFlight),
  ofPools("queue_requests", "Requests that wait for a worker.", ({ queued }) => queued),
  {
    ...ofPools(
      "queue_age_seconds",
      "How long the oldest queued request has waited.",
      ({ queueAgeMs }) => toSeconds(queueAgeMs),
    ),
    unit: "seconds",
  },
  {
    name: "edgicorn_queue_wait_seconds",
    type: "histogram",
    unit: "seconds",
    labels: ["pool"],
    help: "Waits of requests that had to queue, until a worker got them. Requests that got one at once are not in it.",
    collect: (facts) => ofMeters(facts, ({ waits }) => waits),
  },
  {
    name: "edgicorn_workers_started",
    type: "counter",
    unit: null,
    labels: ["pool"],
    help: "Workers that became ready.",
    collect: (facts) => ofMeters(facts, ({ started }) => started),
  },
  {
    name: "edgicorn_workers_ended",
    type: "counter",
    unit: null,
    labels: ["pool", "cause"],
    help: "Workers that ended: retired (in order), crashed, hung, killed (by another process) or breach (of the protocol).",
    collect: ({ counters }) => ofCounts(counters.pools.list(), ({ ended }) => ended),
  },
  {
    name: "edgicorn_workers_recycled",
    type: "counter",
    unit: null,
    labels: ["pool", "reason"],
    help: "Workers that were replaced in order, by reason: requests, age, idle, memory, command or surplus.",
    collect: ({ counters }) => ofCounts(counters.pools.list(), ({ recycled }) => recycled),
  },
  {
    name: "edgicorn_workers_blocked",
    type: "counter",
    unit: null,
    labels: ["pool"],
    help: "Times that a handler blocked the event loop of a worker for the setting blockWarn.",
    collect: (facts) => ofMeters(facts, ({ blocked }) => blocked),
  },
  {
    name: "edgicorn_requests_replayed",
    type: "counter",
    unit: null,
    labels: ["pool"],
    help: "Requests of lost workers that another worker got.",
    collect: (facts) => ofMeters(facts, ({ replayed }) => replayed),
  },
  {
    name: "edgicorn_requests_lost",
    type: "counter",
    unit: null,
    labels: ["pool"],
    help: "Requests of lost workers that failed, since they may not run twice.",
    collect: (facts) => ofMeters(facts, ({ lost }) => lost),
  },
  ...ofChannels("sent", "to"),
  ...ofChannels("received", "from"),
  ofWorkers(
    "requests",
    null,
    "Requests that the worker got.",
    ({ requests }) => requests,
    "counter",
  ),
  ofWorkers(
    "requests_in_flight",
    null,
    "Requests that the worker has.",
    ({ inFlight }) => inFlight,
  ),
  ofWorkers(
    "background_work",
    null,
    "Promises of `waitUntil()` in the worker that have not settled.",
    ({ backgroundWork }) => backgroundWork,
  ),
  ofWorkers(
    "resident_memory_bytes",
    "bytes",
    "Resident memory of the worker.",
    ({ rssBytes }) => rssBytes,
  ),
  ofWorkers(
    "heap_used_bytes",
    "bytes",
    "Memory of JavaScript objects in the worker.",
    ({ heapUsedBytes }) => heapUsedBytes,
  ),
  ofWorkers(
    "event_loop_utilization_ratio",
    "ratio",
    "Share of the last second in which the event loop of the worker was busy.",
    ({ loopUtilization }) => loopUtilization,
  ),
  ofWorkers(
    "answer_delay_seconds",
    "seconds",
    "How long the worker took to answer its last ping: the delay of its event loop.",
    ({ pongMs }) => (pongMs === null ? null : toSeconds(pongMs)),
  ),
];

const STATES = ["starting", "ready", "silent", "draining"] as const;

function ofPools(name: string, help: string, pick: (pool: PoolFacts) => number): Family {
  return {
    name: `edgicorn_${name}`,
    type: "gauge",
    unit: null,
    labels: ["pool", "generation"],
    help,
    collect: ({ pools }) => pools.map((pool) => [[pool.name, pool.generation], pick(pool)]),
  };
}

function ofWorkers(
  name: string,
  unit: Family["unit"],
  help: string,
  pick: (worker: WorkerFacts) => number | null,
  type: Family["type"] = "gauge",
): Family {
  return {
    name: `edgicorn_worker_${name}`,
    type,
    unit,
    labels: ["pool", "worker"],
    help,
    *collect({ pools }): Generator<Sample> {
      for (const pool of pools) {
        for (const worker of pool.workers) {
          const value = pick(worker);
          if (value !== null) yield [[pool.name, String(worker.id)], value];
        }
      }
    },
  };
}

function ofChannels(way: "sent" | "received", direction: string): Family[] {
  return (["bytes", "frames"] as const).map((unit) => {
    // The members of the interface have these names.
    const key = `${way}${unit === "bytes" ? "Bytes" : "Frames"}` as keyof ChannelTraffic;
    return {
      name: `edgicorn_channel_${way}_${unit}`,
      type: "counter",
      unit: unit === "bytes" ? "bytes" : null,
      labels: ["pool"],
      help: `${unit === "bytes" ? "Bytes" : "Frames"} of the channels ${direction} workers. A frame has all messages of one turn.`,
      collect: (facts) => ofMeters(facts, ({ channel }) => channel[key]),
    };
  });
}

function ofMeters({ counters }: MetricsFacts, pick: (meter: PoolMeter) => Sample[1]): Sample[] {
  return [...counters.pools.list()].map(([name, meter]) => [[name], pick(meter)]);
}

function ofCounts(
  meters: Iterable<[string, PoolMeter]>,
  pick: (meter: PoolMeter) => ReadonlyMap<string, number>,
): Sample[] {
  return [...meters].flatMap(([name, meter]) =>
    [...pick(meter)].map(([key, value]): Sample => [[name, key], value]),
  );
}
