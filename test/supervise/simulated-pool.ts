import assert from "node:assert/strict";
import type { WorkerId } from "../../runtime/channel/messages.ts";
import {
  advance,
  EMPTY_POOL,
  type Member,
  type PoolEvent,
  type PoolState,
} from "../../runtime/supervise/pool-state.ts";
import { reconcile } from "../../runtime/supervise/reconcile.ts";
import type { RecycleReason } from "../../runtime/supervise/recycle-policy.ts";

/** The result of the next forks. */
export interface BootPlan {
  outcome: "ready" | "exits" | "no-fork";
  takesMs: number;
}

/** An event that is due at a time. */
interface Due {
  atMs: number;
  happens: () => void;
}

/** The clock and the ids that all pools of a primary share. */
export class World {
  nowMs = 0;
  boots: BootPlan = { outcome: "ready", takesMs: 100 };
  drainMs = 50;
  /** Forks so far, also those that failed. */
  forks = 0;
  #lastId = 0;
  #due: Due[] = [];

  nextId(): WorkerId {
    return ++this.#lastId as WorkerId;
  }

  after(ms: number, happens: () => void): Due {
    const due = { atMs: this.nowMs + ms, happens };
    this.#due.push(due);
    return due;
  }

  cancel(due: Due | null): void {
    this.#due = this.#due.filter((each) => each !== due);
  }

  /** Lets time pass. Events that are due happen in order. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let steps = 0; ; steps++) {
      assert.ok(steps < 100_000, "something happens for ever");
      const [next] = this.#due
        .filter(({ atMs }) => atMs <= untilMs)
        .toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.cancel(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.happens();
    }
    this.nowMs = untilMs;
  }
}

/**
 * A `Pool` with simulated processes. Asserts the invariants after each event.
 */
export class SimulatedPool {
  desired: number;
  state: PoolState = EMPTY_POOL;
  /** The workers to which the dispatcher would send an exchange. */
  readonly rotation = new Set<WorkerId>();
  onReady: () => void = () => {};
  onBootFailed: () => void = () => {};
  readonly #world: World;
  readonly #readySinceMs = new Map<WorkerId, number>();
  #wasResized = false;
  #timer: Due | null = null;
  #ending = false;

  constructor(world: World, desired: number) {
    this.#world = world;
    this.desired = desired;
  }

  start(): void {
    this.#reconcile();
  }

  of(kind: Member["kind"]): Member[] {
    return this.state.members.filter((member) => member.kind === kind);
  }

  resize(desired: number): void {
    if (this.#ending) return;
    this.desired = desired;
    this.#wasResized = true;
    this.#reconcile();
  }

  wear(which: number, reason: RecycleReason): void {
    const member = pick(this.state.members, which);
    if (member === null || this.#ending) return;
    this.#apply({ type: "worn", id: member.id, reason });
    this.#reconcile();
  }

  crash(which: number): void {
    const member = pick(this.state.members, which);
    if (member !== null) this.#exit(member.id);
  }

  /** Drains all workers. */
  close(): void {
    this.#ending = true;
    this.#world.cancel(this.#timer);
    this.rotation.clear();
    for (const { id } of this.state.members) {
      this.#world.after(this.#world.drainMs, () => this.#exit(id));
    }
  }

  #apply(event: PoolEvent): void {
    this.state = advance(this.state, event);
  }

  #reconcile(): void {
    if (this.#ending) return;
    this.#world.cancel(this.#timer);
    for (let isSettled = false, rounds = 0; !isSettled && !this.#ending; rounds++) {
      assert.ok(rounds < 3, "it does not settle");
      isSettled = true;
      const actions = reconcile(this.state, this.desired, this.#world.nowMs);
      for (const action of actions) {
        if (action.type !== "wait") isSettled = false;
        if (action.type === "start") this.#fork(action.vacancy);
        else if (action.type === "retire") this.#retire(action.id);
        else if (action.type === "kill") this.#kill(action.id);
        else if (action.type === "forget") {
          this.#apply({ type: "forgotten", vacancy: action.vacancy });
        } else this.#wait(action.untilMs);
      }
    }
    this.#check();
  }

  #fork(vacancy: PoolState["vacancies"][number] | null): void {
    const world = this.#world;
    const { outcome, takesMs } = world.boots;
    world.forks++;
    if (outcome === "no-fork") {
      this.#apply({ type: "not-started", vacancy, nowMs: world.nowMs });
      this.onBootFailed();
      return;
    }
    const id = world.nextId();
    this.#apply({ type: "started", id, vacancy });
    world.after(takesMs, () => {
      if (outcome === "ready") this.#becomeReady(id);
      else this.#exit(id);
    });
  }

  #becomeReady(id: WorkerId): void {
    const member = this.state.members.find((each) => each.id === id);
    if (member?.kind !== "starting" || this.#ending) return;
    this.#apply({ type: "ready", id });
    this.rotation.add(id);
    this.#readySinceMs.set(id, this.#world.nowMs);
    this.onReady();
    this.#reconcile();
  }

  #retire(id: WorkerId): void {
    assert.equal(this.state.members.find((each) => each.id === id)?.kind, "ready");
    this.rotation.delete(id);
    this.#apply({ type: "retired", id });
    assert.ok(this.of("ready").length >= this.desired, "retired one that was needed");
    this.#world.after(this.#world.drainMs, () => this.#exit(id));
  }

  #kill(id: WorkerId): void {
    assert.equal(this.state.members.find((each) => each.id === id)?.kind, "starting");
    this.#apply({ type: "retired", id });
    this.#world.after(1, () => this.#exit(id));
  }

  #wait(untilMs: number): void {
    const { nowMs } = this.#world;
    assert.ok(untilMs > nowMs && untilMs <= nowMs + 10_000, `waits for ${untilMs - nowMs} ms`);
    this.#timer = this.#world.after(untilMs - nowMs, () => this.#reconcile());
  }

  #exit(id: WorkerId): void {
    const member = this.state.members.find((each) => each.id === id);
    if (member === undefined) return;
    const { nowMs } = this.#world;
    const sinceMs = this.#readySinceMs.get(id);
    const readyForMs = sinceMs === undefined ? null : nowMs - sinceMs;
    this.rotation.delete(id);
    this.#apply({ type: "exited", id, life: { readyForMs }, nowMs });
    if (member.kind === "starting") this.onBootFailed();
    this.#reconcile();
  }

  #check(): void {
    if (this.#ending) return;
    const { members, vacancies } = this.state;
    const ready = this.of("ready");
    const draining = this.of("draining");
    const live = members.length - draining.length;
    // Exchanges go to all workers that serve, and to no others.
    assert.deepEqual(this.rotation, new Set(ready.map(({ id }) => id)));
    assert.ok(live <= this.desired + 1, `${live} for ${this.desired}`);
    if (!this.#wasResized) assert.ok(members.length <= this.desired + 1, "more than one too many");
    const places = live + vacancies.length;
    assert.ok(places === this.desired || places === this.desired + 1, `${places} places`);
    assert.equal(new Set(members.map(({ id }) => id)).size, members.length);
    for (const { notBeforeMs } of vacancies) {
      assert.ok(notBeforeMs <= this.#world.nowMs + 10_000, "waits too long");
    }
    // A second call returns at most the wait.
    const again = reconcile(this.state, this.desired, this.#world.nowMs);
    assert.ok(again.every(({ type }) => type === "wait") && again.length <= 1);
  }
}

function pick<T>(items: readonly T[], which: number): T | null {
  return items[which % items.length] ?? null;
}
