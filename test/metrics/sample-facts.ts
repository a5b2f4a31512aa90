import { LIMIT_NAMES } from "../../runtime/http/limit-names.ts";
import type { MetricsFacts } from "../../runtime/metrics/facts.ts";
import { Counters } from "../../runtime/observe/counters.ts";

/** Returns facts of a server that has all parts, so that each metric has a sample. */
export function createFacts(): MetricsFacts {
  const counters = new Counters();
  const id = counters.finishedRequests.idOf("a.example", '/it"s\\a/:name');
  counters.finishedRequests.note(id, { method: "GET", status: 200, ms: 3, bytes: 7, nowMs: 900 });
  counters.finishedRequests.note(id, {
    method: "POST",
    status: 503,
    ms: 70_000,
    bytes: 5,
    nowMs: 950,
  });
  const meter = counters.pools.of("default");
  meter.ended.set("crashed", 2);
  meter.recycled.set("memory", 1);
  meter.waits.note(12);
  counters.upstreams.of("api").note(4);
  counters.reloads.note("reload", "done", 900);
  const readiness = {
    phase: "serving",
    canServe: true,
    pools: [{ name: "default", readyWorkers: 1, isOptional: false }],
  } as const;
  const worker = {
    requests: 3,
    inFlight: 1,
    rssBytes: 5,
    heapUsedBytes: 4,
    pid: 10,
    readyForMs: 5_000,
    oldest: null,
  };
  return {
    counters,
    readiness,
    traces: { exported: 6, dropped: 7, rejectedSpans: 8 },
    bucketsMs: [1, 2.5, 5, 1_000, 30_000, 60_000],
    status: {
      cron: [
        {
          site: "default",
          route: "/job",
          file: "job.ts",
          pool: "default",
          cron: "0 3 * * *",
          timeZone: "Asia/Tokyo",
          next: "2026-01-02T00:00:00.000Z",
          running: 1,
          waiting: 0,
          last: "2026-01-01T00:00:00.000Z",
          result: "done",
          durationMs: 5,
          lastSuccess: "2026-01-01T00:00:00.005Z",
          runs: { done: 3, failed: 1 },
          skipped: 2,
          missed: 1,
        },
      ],
      queues: [
        {
          queue: "jobs",
          store: "default",
          site: "default",
          route: "/jobs",
          file: "jobs.ts",
          pool: "default",
          waiting: 5,
          delayed: 2,
          inWork: 1,
          dead: 3,
          batches: 1,
          results: { done: 7, failed: 1 },
          acknowledged: 60,
          retried: 4,
          buried: 3,
          dropped: 0,
          lost: 0,
        },
      ],
      pid: 1,
      version: "0.1.0",
      library: "uws-pack 20.0.8",
      mode: "production",
      startedAt: "2026-01-01T00:00:00.000Z",
      generation: "g1",
      routes: 1,
      rolledBackFrom: null,
      listeners: [],
      pools: [],
      retiring: [],
      traffic: counters.snapshot({ queued: 0, inFlight: 0 }),
      upstreams: [
        {
          name: "api",
          queued: 0,
          unresolved: [],
          servers: [
            {
              name: "http://10.0.0.1:3000",
              state: "up",
              outMs: null,
              backup: false,
              weight: 1,
              inFlight: 1,
              requests: 9,
              failures: 2,
              lastReason: null,
            },
          ],
        },
      ],
      cache: {
        entries: 1,
        memoryBytes: 2,
        memoryLimitBytes: 3,
        diskEntries: 0,
        diskBytes: 0,
        diskLimitBytes: 0,
        evictions: 4,
        rejections: 5,
        isScanning: false,
        isDiskFailing: false,
        results: counters.cached,
      },
      certificates: [
        { names: ["a.example"], notAfter: "2027-01-01T00:00:00.000Z", isDue: false },
        { names: ["a.example"], notAfter: "2026-12-01T00:00:00.000Z", isDue: false },
      ],
      lostLogLines: LIMIT_NAMES.length,
    },
    pools: [
      {
        name: "default",
        generation: "g1",
        desired: 2,
        queued: 1,
        inFlight: 1,
        queueAgeMs: 250,
        workers: [
          { ...worker, id: 1, state: "ready", loopUtilization: 0.5, pongMs: 2, backgroundWork: 3 },
          {
            ...worker,
            id: 2,
            state: "starting",
            rssBytes: null,
            loopUtilization: null,
            backgroundWork: null,
            pongMs: null,
          },
        ],
      },
    ],
    spool: { files: 1, heldBytes: 2 },
    process: {
      cpuSeconds: 1,
      rssBytes: 2,
      heapUsedBytes: 3,
      startedAtSeconds: 4,
      loopActiveSeconds: 5,
      loopIdleSeconds: 6,
      loopDelay: { p50Ms: 1, p99Ms: 2, maxMs: 3 },
    },
  };
}
