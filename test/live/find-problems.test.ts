import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findProblems, type OtherFacts } from "../../runtime/live/find-problems.ts";
import { lookOnce } from "../../runtime/live/live-feed.ts";
import type { LiveSnapshot } from "../../runtime/live/snapshot.ts";
import { createFacts } from "../metrics/sample-facts.ts";

const NOW = Date.parse("2026-06-01T00:00:00Z");

const QUIET: OtherFacts = {
  timeMs: NOW,
  isLastReloadRefused: false,
  readiness: {
    phase: "serving",
    canServe: true,
    pools: [{ name: "default", readyWorkers: 1, isOptional: false }],
  },
};

/** A server without problems. */
function createSnapshot(): LiveSnapshot {
  const snapshot = lookOnce(createFacts(), 1_000, NOW);
  return { ...snapshot, server: { ...snapshot.server, lostLogLines: 0 } };
}

function find(change: Partial<LiveSnapshot>, facts: Partial<OtherFacts> = {}): string[] {
  const problems = findProblems({ ...createSnapshot(), ...change }, { ...QUIET, ...facts });
  return problems.map(({ level, text }) => `${level}: ${text}`);
}

function withFailing(perSecond: number, share: number): { traffic: LiveSnapshot["traffic"] } {
  return { traffic: { ...createSnapshot().traffic, failing: { perSecond, share } } };
}

const [worker] = createSnapshot().workers;
const [pool] = createSnapshot().pools;
const [group] = createSnapshot().upstreams;
const lost = { kind: "worker", isGood: false, text: "worker 3 of pool default crashed" };

describe("findProblems()", () => {
  it("finds none where all is well", () => {
    assert.deepEqual(find({}), []);
    assert.deepEqual(find(withFailing(0, 0)), []);
  });

  const cases: [string, Partial<LiveSnapshot>, Partial<OtherFacts>, string[]][] = [
    [
      "failing answers",
      withFailing(25, 0.25),
      {},
      ["bad: 25 % of all answers fail (25 per second with status 5xx)"],
    ],
    [
      "few failing answers",
      withFailing(1, 0.001),
      {},
      ["warn: 0.1 % of all answers fail (1 per second with status 5xx)"],
    ],
    [
      "a pool without workers",
      {},
      {
        readiness: {
          ...QUIET.readiness,
          pools: [
            { name: "a", readyWorkers: 0, isOptional: true },
            { name: "b", readyWorkers: 0, isOptional: false },
          ],
        },
      },
      ["bad: pool b has no ready worker", "warn: pool a (optional) has no ready worker"],
    ],
    [
      "a server out of rotation",
      {},
      { readiness: { ...QUIET.readiness, phase: "draining" } },
      ["warn: draining: /readyz says not ready"],
    ],
    [
      "a server without handlers",
      {},
      { readiness: { phase: "serving", canServe: false, pools: [] } },
      ["bad: no handlers are loaded"],
    ],
    [
      "a blocked worker, with its oldest request",
      {
        workers: [
          {
            ...worker,
            state: "silent",
            oldest: {
              requestId: "r",
              method: "GET",
              route: "/spin",
              path: "/spin",
              state: "waiting",
              ageMs: 4_210,
            },
          } as LiveSnapshot["workers"][number],
        ],
      },
      {},
      ["bad: worker 1 is blocked, perhaps by GET /spin (4.2 s)"],
    ],
    [
      "lost workers, for some minutes",
      {
        events: [
          { number: 1, ...lost, agoMs: 3_000 },
          { number: 1, ...lost, agoMs: 60_000 },
          { number: 1, ...lost, agoMs: 301_000 },
        ],
      },
      {},
      ["warn: worker 3 of pool default crashed, 3 s ago (2 losses in 5 min)"],
    ],
    [
      "an old queue and limits that act",
      {
        pools: [{ ...pool, queued: 40, queueAgeMs: 2_500 } as LiveSnapshot["pools"][number]],
        limits: [
          { name: "queueLimit", count: 90, perSecond: 12.4 },
          { name: "bodyLimit", count: 9, perSecond: 0 },
          { name: "maxConnections", count: 9, perSecond: null },
        ],
      },
      {},
      [
        "warn: 40 requests wait for pool default, the oldest for 2.5 s",
        "warn: queueLimit refuses or cuts off 12 per second",
      ],
    ],
    [
      "upstream servers that are out",
      {
        upstreams: [
          { ...group, servers: group?.servers.map((server) => ({ ...server, state: "out" })) },
          { ...group, name: "other", unresolved: ["db.example"] },
        ] as LiveSnapshot["upstreams"],
      },
      {},
      [
        "bad: all servers of api are out: http://10.0.0.1:3000",
        "warn: names of other have no address: db.example",
      ],
    ],
    [
      "certificates that are due or have expired",
      {
        certificates: [
          { names: ["a.example"], notAfter: "2026-06-04T00:00:00.000Z", isDue: true },
          { names: ["b.example"], notAfter: "2026-05-31T00:00:00.000Z", isDue: true },
          { names: ["c.example"], notAfter: "2027-05-31T00:00:00.000Z", isDue: false },
        ],
      },
      {},
      [
        "bad: the certificate for b.example has expired",
        "warn: the certificate for a.example expires in 3 days",
      ],
    ],
    [
      "a refused reload, a rollback, a late primary and lost lines",
      {
        server: { ...createSnapshot().server, rolledBackFrom: "g2", lostLogLines: 4 },
        primary: {
          ...createSnapshot().primary,
          loopDelay: { p50Ms: 1, p99Ms: 140.2, maxMs: 150 },
        },
      },
      { isLastReloadRefused: true },
      [
        "warn: the last reload was refused: older code or settings serve",
        "warn: rolled back from g2: the next reload builds the handlers anew",
        "warn: the event loop of the primary is late: 140 ms",
        "warn: 4 log lines were lost",
      ],
    ],
  ];
  for (const [name, change, facts, expected] of cases) {
    it(`finds ${name}`, () => assert.deepEqual(find(change, facts), expected));
  }
});
