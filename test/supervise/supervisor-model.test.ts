import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { type BootPlan, SimulatedPool, World } from "./simulated-pool.ts";

/** Events of a primary. They happen in any order. */
type Happening =
  | { type: "time passes"; ms: number }
  | { type: "a worker exits"; which: number }
  | { type: "a worker is worn"; which: number; reason: "requests" | "age" | "idle" | "memory" }
  | { type: "resize"; desired: number }
  | { type: "boots change"; plan: BootPlan }
  | { type: "drains change"; ms: number }
  | { type: "reload" };

const which = fc.nat(20);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("time passes" as const),
      ms: fc.oneof(fc.nat(300), fc.nat(20_000)),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("a worker exits" as const), which }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("a worker is worn" as const),
      which,
      reason: fc.constantFrom("requests", "age", "idle", "memory"),
    }),
  },
  fc.record({ type: fc.constant("resize" as const), desired: fc.integer({ min: 1, max: 6 }) }),
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("boots change" as const),
      plan: fc.record({
        outcome: fc.constantFrom("ready", "ready", "exits", "no-fork"),
        takesMs: fc.oneof(fc.nat(200), fc.nat(30_000)),
      }),
    }),
  },
  fc.record({ type: fc.constant("drains change" as const), ms: fc.nat(60_000) }),
  fc.record({ type: fc.constant("reload" as const) }),
);

const GOOD_BOOTS: BootPlan = { outcome: "ready", takesMs: 100 };

/** A primary with the pool that serves and, during a reload, the next pool. */
class SimulatedPrimary {
  readonly world = new World();
  serving: SimulatedPool;
  #desired: number;
  #next: SimulatedPool | null = null;

  constructor(desired: number) {
    this.#desired = desired;
    this.serving = new SimulatedPool(this.world, desired);
    this.serving.start();
    this.world.pass(1_000);
    assert.equal(this.serving.of("ready").length, desired);
  }

  undergo(event: Happening): void {
    switch (event.type) {
      case "time passes":
        this.world.pass(event.ms);
        break;
      case "a worker exits":
        this.serving.crash(event.which);
        break;
      case "a worker is worn":
        this.serving.wear(event.which, event.reason);
        break;
      case "resize":
        this.#desired = event.desired;
        this.serving.resize(event.desired);
        break;
      case "boots change":
        this.world.boots = event.plan;
        break;
      case "drains change":
        this.world.drainMs = event.ms;
        break;
      case "reload":
        this.#reload();
        break;
    }
  }

  /** Switches as a primary does: when all workers of the next pool are ready. A failed boot ends the next pool. */
  #reload(): void {
    if (this.#next !== null) return;
    const next = new SimulatedPool(this.world, this.#desired);
    this.#next = next;
    next.onReady = () => {
      if (this.#next !== next || next.of("ready").length < next.desired) return;
      this.#next = null;
      this.serving.close();
      this.serving = next;
    };
    next.onBootFailed = () => {
      if (this.#next !== next) return;
      this.#next = null;
      next.close();
    };
    next.start();
  }
}

describe("a pool, with any events in any order", { timeout: 60_000 }, () => {
  it("keeps its promises and comes to rest with as many fresh workers as desired", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(happening, { maxLength: 60, size: "max" }),
        (desired, happenings) => {
          const primary = new SimulatedPrimary(desired);
          for (const each of happenings) primary.undergo(each);
          // From here on all goes well.
          primary.world.boots = GOOD_BOOTS;
          primary.world.drainMs = 50;
          primary.world.pass(600_000);
          const { state, desired: wanted } = primary.serving;
          const { serving } = primary;
          assert.equal(state.members.length, wanted);
          assert.equal(serving.of("ready").length, wanted);
          assert.ok(state.members.every((member) => member.kind === "ready" && !member.recycle));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("always has a worker that serves while boots succeed and none is lost", () => {
    const kind = happening.filter(
      ({ type }) => type !== "a worker exits" && type !== "boots change",
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(kind, { maxLength: 40, size: "max" }),
        (desired, happenings) => {
          const primary = new SimulatedPrimary(desired);
          for (const each of happenings) {
            primary.undergo(each);
            assert.ok(primary.serving.rotation.size >= 1);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("keeps all workers that serve, worn or not, while none can boot", () => {
    const outcome = fc.constantFrom("exits" as const, "no-fork" as const);
    const noLoss = happening.filter(({ type }) =>
      ["time passes", "a worker is worn", "drains change", "reload"].includes(type),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        outcome,
        fc.array(noLoss, { maxLength: 40, size: "max" }),
        (desired, how, all) => {
          const primary = new SimulatedPrimary(desired);
          primary.world.boots = { outcome: how, takesMs: 100 };
          const before = [...primary.serving.rotation];
          for (const each of all) primary.undergo(each);
          assert.deepEqual([...primary.serving.rotation], before);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("does not fork without end while none can boot", () => {
    for (const outcome of ["exits", "no-fork"] as const) {
      const { world, serving } = new SimulatedPrimary(4);
      world.boots = { outcome, takesMs: 1 };
      for (let lost = 0; lost < 4; lost++) serving.crash(0);
      const before = world.forks;
      world.pass(3_600_000);
      const perPlace = (world.forks - before) / 4;
      // One every ten seconds, and a few quick ones at first.
      assert.ok(perPlace > 355 && perPlace < 370, `${perPlace} forks for each place in an hour`);
    }
  });

  it("tries to replace a worn worker no more often than that", () => {
    const { world, serving } = new SimulatedPrimary(4);
    world.boots = { outcome: "exits", takesMs: 1 };
    for (let each = 0; each < 4; each++) serving.wear(each, "age");
    const before = world.forks;
    world.pass(3_600_000);
    const forks = world.forks - before;
    assert.ok(forks > 355 && forks < 370, `${forks} forks in an hour`);
  });
});
