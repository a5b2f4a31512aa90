import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { LimitTakings } from "../../runtime/limits/shared-takings.ts";
import { SharedTakings } from "../../runtime/limits/shared-takings.ts";
import { TokenBuckets } from "../../runtime/limits/token-buckets.ts";

const RATE = { requests: 10, windowMs: 1_000 };
const LIMIT = "rate a";

interface Server {
  takings: SharedTakings;
  buckets: TokenBuckets;
  sent: (readonly LimitTakings[])[];
}

/** Creates servers that hear of each other when they are told to. Their clocks agree. */
function createServers(
  count: number,
  clock = { nowMs: 0 },
  { rate, burst } = { rate: 10, burst: 10 },
): Server[] {
  const servers: Server[] = Array.from({ length: count }, () => {
    const buckets = new TokenBuckets({ rate: { requests: rate, windowMs: 1_000 }, burst });
    const sent: Server["sent"] = [];
    const takings = new SharedTakings({
      send: (all) => {
        sent.push(all);
        for (const other of servers) {
          if (other.takings !== takings) other.takings.apply(all);
        }
      },
      find: (limit) => (limit === LIMIT ? buckets : limit === "other" ? {} : undefined),
      now: () => clock.nowMs,
    });
    takings.isOn = true;
    return { takings, buckets, sent };
  });
  return servers;
}

function take({ takings, buckets }: Server, key: string, nowMs: number): boolean {
  return takings.take(LIMIT, buckets, { key, nowMs }).isAllowed;
}

describe("SharedTakings", () => {
  it("admits at all servers together what one server would admit", () => {
    const steps = fc.array(
      fc.record({
        server: fc.nat({ max: 2 }),
        key: fc.constantFrom("192.0.2.1", "#hash"),
        // Multiples of 128 ms: sums and tokens are exact.
        afterMs: fc.nat({ max: 4 }).map((times) => times * 128),
      }),
      { maxLength: 100 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const clock = { nowMs: 0 };
        const servers = createServers(3, clock);
        const alone = new TokenBuckets({ rate: RATE, burst: 10 });
        for (const { server, key, afterMs } of all) {
          clock.nowMs += afterMs;
          const one = servers[server] ?? assert.fail();
          assert.equal(take(one, key, clock.nowMs), alone.take(key, clock.nowMs).isAllowed);
          one.takings.flush();
        }
      }),
    );
  });

  for (const [rate, burst, count] of [
    [10, 10, 3],
    [100, 1, 2],
    [100, 1, 10],
    [1_000, 10, 3],
    [1_000, 50, 3],
    [1_000, 1_000, 3],
  ] as const) {
    it(`keeps ${rate} a second with a burst of ${burst} at ${count} servers that hear late`, () => {
      const clock = { nowMs: 0 };
      const servers = createServers(count, clock, { rate, burst });
      let admitted = 0;
      for (; clock.nowMs < 60_000; clock.nowMs++) {
        for (const server of servers) while (take(server, "a", clock.nowMs)) admitted++;
        if (clock.nowMs % 100 === 99) for (const server of servers) server.takings.flush();
      }
      const most = count * (burst + rate / 10) + 60 * rate;
      assert.ok(admitted <= most && admitted >= 57 * rate, `${admitted} of at most ${most}`);
      for (const server of servers) server.takings.isOn = false;
    });
  }

  it(
    "tells by itself, and gathers many requests in one message",
    { timeout: 60_000 },
    async (t) => {
      const [one, other] = createServers(2);
      assert.ok(one !== undefined && other !== undefined);
      const told = new Promise<void>((resolve) => {
        other.takings.apply = (all) => {
          SharedTakings.prototype.apply.call(other.takings, all);
          resolve();
        };
      });
      // Its timer does not keep the process alive.
      const alive = setInterval(() => {}, 1_000);
      for (let each = 0; each < 20; each++) take(one, "192.0.2.1", 0);
      t.after(() => clearInterval(alive));
      await told;
      assert.deepEqual(one.sent, [[[LIMIT, [["192.0.2.1", 10]]]]]);
      assert.equal(take(other, "192.0.2.1", 0), false);
    },
  );

  it("sends a message early when it has many keys", () => {
    const [one] = createServers(1);
    assert.ok(one !== undefined);
    for (let each = 0; each < 25_000; each++) take(one, `key ${each}`, 0);
    assert.deepEqual(
      one.sent.map(([limit]) => limit?.[1].length),
      [10_000, 10_000],
    );
    one.takings.isOn = false;
  });

  it("ignores limits that this server does not have, and tells nothing while it is alone", () => {
    const [one, other] = createServers(2);
    assert.ok(one !== undefined && other !== undefined);
    one.takings.apply([
      ["other", [["a", 1]]],
      ["unknown", [["a", 1]]],
    ]);
    one.takings.isOn = false;
    take(one, "a", 0);
    one.takings.flush();
    assert.deepEqual(one.sent, []);
    assert.equal(take(other, "a", 0), true);
    other.takings.isOn = false;
  });
});
