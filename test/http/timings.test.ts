import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Client } from "../../runtime/http/client.ts";
import { formatServerTiming } from "../../runtime/http/timings.ts";

type Facts = Pick<Client, "timings" | "upstream" | "cached">;

const TIMINGS = { queueMs: 0, dispatchedMs: 1_002, answeredMs: 1_010, handler: null };
const UPSTREAM = { name: "a", attempts: 1, status: 200, durationMs: 7.256 };

describe("formatServerTiming()", () => {
  const cases: [label: string, facts: Facts, value: string][] = [
    ["nothing known", {}, "total;dur=12.5"],
    [
      "a handler",
      { timings: { ...TIMINGS, queueMs: 1.5, handler: { startMs: 0, durationMs: 6.254 } } },
      "queue;dur=1.5, channel;dur=1.75, handler;dur=6.25, total;dur=12.5",
    ],
    [
      "a worker that does not measure",
      { timings: TIMINGS },
      "queue;dur=0, worker;dur=8, total;dur=12.5",
    ],
    [
      "a worker that has not answered",
      { timings: { ...TIMINGS, answeredMs: null } },
      "queue;dur=0, worker;dur=10.5, total;dur=12.5",
    ],
    [
      "clocks that differ",
      { timings: { ...TIMINGS, handler: { startMs: 0, durationMs: 9 } } },
      "queue;dur=0, channel;dur=0, handler;dur=9, total;dur=12.5",
    ],
    ["an upstream server", { upstream: UPSTREAM }, "upstream;dur=7.26, total;dur=12.5"],
    ["the cache", { cached: "hit" }, 'cache;desc="hit";dur=12.5, total;dur=12.5'],
    [
      "an upstream server behind the cache",
      { cached: "miss", upstream: UPSTREAM },
      'upstream;dur=7.26, cache;desc="miss", total;dur=12.5',
    ],
  ];
  for (const [label, facts, value] of cases) {
    it(`tells the times of ${label}`, () => {
      // The function reads these members only.
      const client = { receivedMs: 1_000, ...facts } as Client;
      assert.equal(formatServerTiming(client, 1_012.5), value);
    });
  }
});
