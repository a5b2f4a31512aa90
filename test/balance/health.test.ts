import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  type Health,
  type HealthEvent,
  type HealthPolicy,
  MOST_TIMES,
  nextHealth,
  rampOf,
  START_UP,
  startProbing,
} from "../../runtime/balance/health.ts";
import { nextProbeMs } from "../../runtime/balance/probe-times.ts";

const PASSIVE: HealthPolicy = {
  failures: 3,
  windowMs: 10_000,
  outTimeMs: 1000,
  rise: 1,
  fall: 1,
  hasChecks: false,
};
const CHECKED: HealthPolicy = { ...PASSIVE, rise: 2, fall: 3, hasChecks: true };

const good: HealthEvent = { type: "probed", problem: null };
const bad: HealthEvent = { type: "probed", problem: "the health check got 500" };
const succeeded: HealthEvent = { type: "succeeded" };
const failed: HealthEvent = { type: "failed", reason: "no answer", isDecisive: false };
const refused: HealthEvent = { type: "failed", reason: "ECONNREFUSED", isDecisive: true };
const due: HealthEvent = { type: "due" };

type Step = [atMs: number, event: HealthEvent, kind: Health["kind"]];

/** Applies events, and checks the kind of the health after each. */
function walk(policy: HealthPolicy, steps: readonly Step[], from: Health = START_UP): Health {
  let health = from;
  for (const [at, [nowMs, event, kind]] of steps.entries()) {
    health = nextHealth(health, event, { policy, nowMs, isOtherUp: true });
    assert.equal(health.kind, kind, `step ${at}: ${event.type}`);
  }
  return health;
}

/** Returns the kinds of the health of a server without others, after each event. */
function alone(policy: HealthPolicy, from: Health, events: readonly HealthEvent[]): string[] {
  let health = from;
  return events.map((event, at) => {
    health = nextHealth(health, event, { policy, nowMs: 1000 * at, isOtherUp: false });
    return health.kind;
  });
}

describe("nextHealth()", () => {
  it("takes a server out after failures in a row within the window", () => {
    walk(PASSIVE, [
      [0, failed, "up"],
      [5000, failed, "up"],
      [10_000, failed, "out"],
    ]);
    // The third comes too late: it is the first of the next ones.
    walk(PASSIVE, [
      [0, failed, "up"],
      [5000, failed, "up"],
      [10_001, failed, "up"],
      [10_002, failed, "up"],
      [10_003, failed, "out"],
    ]);
  });

  it("forgets failures after a success: a server that fails now and then stays", () => {
    walk(PASSIVE, [
      [0, failed, "up"],
      [1, failed, "up"],
      [2, succeeded, "up"],
      [3, failed, "up"],
      [4, failed, "up"],
      [5, succeeded, "up"],
    ]);
  });

  it("takes a server out at once when nothing listens at its address", () => {
    const out = walk(PASSIVE, [[7, refused, "out"]]);
    assert.deepEqual(out, {
      kind: "out",
      sinceMs: 7,
      untilMs: 1007,
      reason: "ECONNREFUSED",
      times: 1,
    });
  });

  it("probes a returner, then lets one request through, before it is up", () => {
    walk(PASSIVE, [
      [0, refused, "out"],
      [999, due, "out"],
      [1000, due, "probing"],
      [1001, bad, "probing"],
      [2001, good, "trial"],
      [2002, succeeded, "up"],
    ]);
  });

  it("ignores late answers to requests of a server that is out", () => {
    walk(PASSIVE, [
      [0, refused, "out"],
      [1, succeeded, "out"],
      [2, failed, "out"],
      [3, good, "out"],
      [1000, due, "probing"],
      [1001, succeeded, "probing"],
      [1002, failed, "probing"],
    ]);
  });

  it("leaves a server out twice as long after each failed trial, up to a bound", () => {
    let health: Health = START_UP;
    let nowMs = 0;
    const lengths: number[] = [];
    for (let each = 0; each < 9; each++) {
      health = nextHealth(health, refused, { policy: PASSIVE, nowMs, isOtherUp: true });
      assert.ok(health.kind === "out");
      lengths.push(health.untilMs - nowMs);
      assert.equal(health.sinceMs, 0, "it has been out since the first failure");
      nowMs = health.untilMs;
      health = walk(
        PASSIVE,
        [
          [nowMs, due, "probing"],
          [nowMs, good, "trial"],
        ],
        health,
      );
    }
    assert.deepEqual(lengths, [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 64_000, 64_000]);
  });

  it("starts with the shortest time again after a minute of work", () => {
    const back = walk(PASSIVE, [
      [0, refused, "out"],
      [1000, due, "probing"],
      [1000, good, "trial"],
      [1000, refused, "out"],
      [3000, due, "probing"],
      [3000, good, "trial"],
      [3000, succeeded, "up"],
    ]);
    const soon = walk(PASSIVE, [[62_999, refused, "out"]], back);
    assert.equal(soon.kind === "out" && soon.untilMs, 62_999 + 4000);
    const late = walk(PASSIVE, [[63_000, refused, "out"]], back);
    assert.equal(late.kind === "out" && late.untilMs, 63_000 + 1000);
  });

  it("counts bad checks before a server is out, and good ones before it is up", () => {
    walk(CHECKED, [
      [0, bad, "up"],
      [1, bad, "up"],
      [2, good, "up"],
      [3, bad, "up"],
      [4, bad, "up"],
      [5, bad, "out"],
      [1005, due, "probing"],
      [1006, good, "probing"],
      [1007, bad, "probing"],
      [1008, good, "probing"],
      [1009, good, "up"],
    ]);
  });

  it("lets checks decide about a return: no request is a trial then", () => {
    walk(CHECKED, [
      [0, failed, "up"],
      [0, failed, "up"],
      [0, failed, "out"],
      [1000, due, "probing"],
      [1000, good, "probing"],
      [1000, good, "up"],
    ]);
  });

  it("probes a new server before its first request", () => {
    walk(PASSIVE, [[1, good, "trial"]], startProbing(0));
    walk(
      CHECKED,
      [
        [1, good, "probing"],
        [2, good, "up"],
      ],
      startProbing(0),
    );
  });

  it("leaves the last server in, unless nothing listens there or its checks fail", () => {
    const many = [failed, failed, failed, failed, failed];
    assert.deepEqual(alone(PASSIVE, START_UP, many), ["up", "up", "up", "up", "up"]);
    assert.deepEqual(alone(PASSIVE, START_UP, [refused, due, good]), ["out", "probing", "up"]);
    assert.deepEqual(alone(CHECKED, START_UP, [bad, bad, bad]), ["up", "up", "out"]);
    const trial: Health = { kind: "trial", sinceMs: 0, reason: "", times: 1 };
    assert.deepEqual(alone(PASSIVE, trial, [{ type: "last" }]), ["up"]);
    assert.deepEqual(alone(PASSIVE, START_UP, [{ type: "last" }]), ["up"]);
    // With another server up again, the failures in a row count.
    let health: Health = START_UP;
    for (let nowMs = 0; nowMs < 4; nowMs++) {
      health = nextHealth(health, failed, { policy: PASSIVE, nowMs, isOtherUp: nowMs === 3 });
    }
    assert.equal(health.kind, "out");
  });

  it("comes back from everything when the server works, and never leaves it out for too long", () => {
    const event = fc.constantFrom(good, bad, succeeded, failed, refused, due);
    const steps = fc.array(fc.tuple(fc.nat(20_000), event), { maxLength: 60 });
    fc.assert(
      fc.property(steps, fc.constantFrom(PASSIVE, CHECKED), (events, policy) => {
        let health: Health = START_UP;
        let nowMs = 0;
        for (const [passedMs, each] of events) {
          nowMs += passedMs;
          health = nextHealth(health, each, { policy, nowMs, isOtherUp: true });
          if (health.kind === "out") {
            assert.ok(health.untilMs - nowMs <= policy.outTimeMs * MOST_TIMES);
          }
        }
        if (health.kind === "out") nowMs = health.untilMs;
        for (const each of [due, good, good, succeeded]) {
          health = nextHealth(health, each, { policy, nowMs, isOtherUp: true });
        }
        assert.equal(health.kind, "up");
      }),
    );
  });
});

describe("rampOf()", () => {
  it("grows from a tenth to the whole", () => {
    const cases: [forMs: number, slowStartMs: number, part: number][] = [
      [0, 10_000, 0.1],
      [1000, 10_000, 0.1],
      [5000, 10_000, 0.5],
      [10_000, 10_000, 1],
      [Infinity, 10_000, 1],
      [0, 0, 1],
    ];
    for (const [forMs, slowStartMs, part] of cases) assert.equal(rampOf(forMs, slowStartMs), part);
  });
});

describe("nextProbeMs()", () => {
  it("probes servers that are out, and with checks all of them", () => {
    const out: Health = { kind: "out", sinceMs: 0, untilMs: 900, reason: "", times: 1 };
    const trial: Health = { kind: "trial", sinceMs: 0, reason: "", times: 1 };
    const cases: [Health, "first" | "changed" | "probed", number | null, number | null][] = [
      [START_UP, "first", null, null],
      [START_UP, "probed", 5000, 5000],
      [out, "changed", null, 600],
      [out, "changed", 5000, 600],
      [startProbing(0), "first", 5000, 0],
      [startProbing(0), "probed", 5000, 5000],
      [startProbing(0), "probed", null, 1000],
      [trial, "changed", null, null],
    ];
    for (const [health, when, checkMs, ms] of cases) {
      const found = nextProbeMs(health, { when, outTimeMs: 1000, checkMs, nowMs: 300 });
      assert.equal(found, ms, `${health.kind} ${when} ${checkMs}`);
    }
    assert.equal(nextProbeMs(out, { when: "changed", outTimeMs: 1, checkMs: null, nowMs: 950 }), 0);
  });
});
