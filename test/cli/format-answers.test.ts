import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  formatGenerations,
  formatReloadReport,
  formatStatus,
} from "../../runtime/cli/format-answers.ts";
import {
  generationsSchema,
  reloadReportSchema,
  statusSchema,
} from "../../runtime/control/answers.ts";
import { CACHE_RESULTS, type CacheResult } from "../../runtime/http/cache-result.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import type { GenerationInfo, ReloadReport, Status } from "../../runtime/control/operations.ts";

const REPORT: ReloadReport = {
  generation: "20260102-000000000000-bbbbbbbb",
  previous: "20260101-000000000000-aaaaaaaa",
  durationMs: 412,
  pools: [
    { name: "default", change: "kept", reasons: [], workers: 1 },
    {
      name: "images",
      change: "replaced",
      reasons: ["changed: images/[id].ts", "NODE_ENV"],
      workers: 12,
    },
  ],
  settings: ["bodyLimit", "workers"],
  warnings: [],
  moved: null,
};

const GENERATIONS: GenerationInfo[] = [
  {
    id: "20260102-000000000000-bbbbbbbb",
    createdAt: "2026-01-02T00:00:00.000Z",
    mode: "development",
    routes: 12,
    state: "serving",
    requests: 1234,
    errors: 5,
    code: "0123abcd",
    rollback: false,
  },
  {
    id: "20260101-000000000000-aaaaaaaa",
    createdAt: "2026-01-01T00:00:00.000Z",
    mode: "production",
    routes: 3,
    state: "stored",
    requests: 0,
    errors: 0,
    code: "4567cdef",
    rollback: true,
  },
];

const NO_LIMITS = new Counters().limits;

const STATUS: Status = {
  pid: 17,
  version: "1.2.3",
  library: "uws-pack 20.0.8",
  mode: "production",
  startedAt: "2026-01-02T00:00:00.000Z",
  generation: "20260102-000000000000-bbbbbbbb",
  routes: 1,
  rolledBackFrom: null,
  listeners: [
    { scheme: "http", port: 80 },
    { scheme: "https", port: 443 },
  ],
  pools: [
    {
      name: "default",
      workers: [
        { id: 9, pid: 100, state: "ready" },
        { id: 10, pid: 1001, state: "starting" },
      ],
    },
  ],
  retiring: [],
  traffic: {
    connections: { open: 3, accepted: 40 },
    requests: { received: 50, open: 6, queued: 1, inFlight: 2 },
    responses: { "2xx": 41, "3xx": 0, "4xx": 2, "5xx": 0, clientLeft: 1 },
    limits: { ...NO_LIMITS, bodyLimit: 2, queueLimit: 1 },
  },
  certificates: [],
  lostLogLines: 0,
};

describe("formatReloadReport()", () => {
  it("says which pools changed, and why", () => {
    assert.equal(
      formatReloadReport(REPORT),
      [
        "serving 20260102-000000000000-bbbbbbbb, before it 20260101-000000000000-aaaaaaaa (412 ms)",
        "  pool default  kept      1 worker",
        "  pool images   replaced  12 workers  changed: images/[id].ts; NODE_ENV",
        "settings that changed: bodyLimit, workers",
        "",
      ].join("\n"),
    );
  });

  it("is short when there is little to say", () => {
    const [kept] = REPORT.pools;
    assert.ok(kept !== undefined);
    const report = { ...REPORT, previous: null, pools: [kept], settings: [] };
    assert.equal(
      formatReloadReport(report),
      [
        "serving 20260102-000000000000-bbbbbbbb (412 ms)",
        "  pool default  kept  1 worker",
        "nothing has changed",
        "",
      ].join("\n"),
    );
  });
});

describe("formatGenerations()", () => {
  it("is a table", () => {
    assert.equal(
      formatGenerations(GENERATIONS),
      [
        "id                              created                   code      routes  requests  errors  state",
        "20260102-000000000000-bbbbbbbb  2026-01-02T00:00:00.000Z  0123abcd  12      1234      5       serving, built by dev",
        "20260101-000000000000-aaaaaaaa  2026-01-01T00:00:00.000Z  4567cdef  3       0         0       stored, rollback goes here",
        "",
      ].join("\n"),
    );
    assert.equal(formatGenerations([]), "no generations\n");
  });
});

describe("formatStatus()", () => {
  it("says who serves what, where and with whom", () => {
    assert.equal(
      formatStatus(STATUS),
      [
        "serving, production, version 1.2.3, pid 17, since 2026-01-02T00:00:00.000Z",
        "uWebSockets.js from uws-pack 20.0.8",
        "listening: http 80, https 443",
        "generation 20260102-000000000000-bbbbbbbb, 1 route",
        "pool default  worker 9   pid 100   ready",
        "pool default  worker 10  pid 1001  starting",
        "connections: 3 open, 40 since the start",
        "requests: 6 open (1 wait, workers have 2), 50 since the start",
        "answers: 2xx 41, 4xx 2; clients left: 1",
        "refused or cut off by: bodyLimit 2, queueLimit 1",
        "",
      ].join("\n"),
    );
  });

  it("says nothing of answers and limits where there were none", () => {
    const traffic = new Counters().snapshot({ queued: 0, inFlight: 0 });
    assert.match(
      formatStatus({ ...STATUS, traffic }),
      /\nrequests: 0 open \(0 wait, workers have 0\), 0 since the start\nanswers: none; clients left: 0\n$/,
    );
  });

  it("says that the handlers folder holds other code than what serves", () => {
    const { generation } = STATUS;
    assert.match(
      formatStatus({ ...STATUS, rolledBackFrom: generation }),
      new RegExp(`\\nrolled back from ${generation}: the next reload or start builds `),
    );
  });

  it("shows who still answers for a generation that others have taken the place of", () => {
    const generation = "20260101-000000000000-aaaaaaaa";
    const retiring = [
      { name: "default", generation, workers: [{ id: 3, pid: 77, state: "ready" }] },
    ];
    assert.match(
      formatStatus({ ...STATUS, retiring } as Status),
      new RegExp(
        `\\npool default  worker 3   pid 77    ready, retiring: generation ${generation}\\n`,
      ),
    );
  });

  it("shows upstream servers, their health, and names without addresses", () => {
    const server = {
      name: "http://10.0.0.1:3000",
      state: "up" as const,
      outMs: null,
      backup: false,
      weight: 1,
      inFlight: 2,
      requests: 1234,
      failures: 0,
      lastReason: null,
    };
    const out = { name: "http://10.0.0.2:3000", state: "out" as const, outMs: 2345, backup: true };
    const lastReason = "connect: connection refused (ECONNREFUSED)";
    const upstreams = [
      {
        name: "api",
        servers: [server, { ...server, ...out, inFlight: 0, failures: 3, lastReason }],
        queued: 7,
        unresolved: ["b.internal"],
      },
    ];
    const status = { ...STATUS, upstreams };
    assert.ok(
      formatStatus(status).includes(
        [
          "",
          "upstream api  http://10.0.0.1:3000           up             2 in flight  1234 requests, 0 failed",
          `upstream api  http://10.0.0.2:3000 (backup)  out for 2.3 s  0 in flight  1234 requests, 3 failed, last: ${lastReason}`,
          "upstream api: 7 wait for a server",
          "upstream api: cannot resolve b.internal",
          "connections: ",
        ].join("\n"),
      ),
    );
    assert.deepEqual(statusSchema.parse(status), status);
  });

  it("has the size and the results of the response cache", () => {
    const results = Object.fromEntries(CACHE_RESULTS.map((result) => [result, 0]));
    const cache = {
      entries: 12,
      memoryBytes: 1024 * 1024,
      memoryLimitBytes: 64 * 1024 * 1024,
      diskEntries: 11,
      diskBytes: 1.5 * 1024 * 1024,
      diskLimitBytes: 1024 * 1024 * 1024,
      evictions: 3,
      rejections: 4,
      isScanning: true,
      isDiskFailing: true,
      results: { ...results, hit: 100, miss: 7 } as Record<CacheResult, number>, // Has all names.
    };
    const status = { ...STATUS, cache };
    assert.ok(
      formatStatus(status).includes(
        [
          "",
          "cache: 12 answers, 1.0 MiB of 64.0 MiB in memory, 1.5 MiB of 1024.0 MiB on disk (11 answers)",
          "cache results: hit 100, miss 7; removed for room: 3, not stored for lack of room: 4",
          "cache: its folder is still being read",
          "cache: the disk refuses writes, see the log",
          "connections: ",
        ].join("\n"),
      ),
    );
    const small = { ...cache, diskLimitBytes: 0, isScanning: false, isDiskFailing: false };
    const short = formatStatus({ ...STATUS, cache: small });
    assert.match(short, /in memory, no disk\n/);
    assert.doesNotMatch(short, /folder|refuses/);
    assert.deepEqual(statusSchema.parse(status), status);
    // A server of another version has other results.
    const { hit, ...others } = cache.results;
    const other = { ...status, cache: { ...cache, results: { ...others, unknown: hit } } };
    assert.deepEqual(statusSchema.parse(other).cache?.results.hit, 0);
  });

  it("says when log lines were lost", () => {
    assert.match(formatStatus({ ...STATUS, lostLogLines: 7 }), /\nlines lost of its logs: 7\n$/);
  });
});

describe("the shapes of answers", () => {
  it("are what servers send, whatever a newer one adds", () => {
    assert.deepEqual(reloadReportSchema.parse({ ...REPORT, more: 1 }), REPORT);
    assert.deepEqual(generationsSchema.parse(GENERATIONS), GENERATIONS);
    assert.deepEqual(statusSchema.parse({ ...STATUS, more: 1 }), STATUS);
    // A server of another version has other limits.
    const { rateLimit, ...others } = STATUS.traffic.limits;
    const traffic = { ...STATUS.traffic, limits: { ...others, unknownLimit: rateLimit } };
    assert.deepEqual(statusSchema.parse({ ...STATUS, traffic }), STATUS);
    assert.throws(() => statusSchema.parse({ pid: 1 }));
  });
});
