import { frameSlack, pickLeastBusy } from "./balancer.ts";
import type { Lane } from "./lane.ts";

/** Reserved exchanges that a worker may have beyond its cap. */
const RESERVED_PER_WORKER = 4;

/** Handlers are taken for slow until they have shown otherwise. */
const SLOW_MS = 100;

/**
 * The workers of a pool, and which of them takes the next exchange.
 *
 *     attach ──▶ ready ◀──speaks, or offer── stalled or withdrawn
 *                  ├──silent──▶ stalled          each of them: retire ──▶ attached only ──detach──▶ gone
 *                  └──withdraw──▶ attached only: it is kept for suspects
 *
 * Invariant: one that is ready or stalled is attached, and it is not both.
 */
export class Lanes {
  /** Those that take new exchanges, oldest first. */
  readonly ready: Lane[] = [];
  /** Those, the ones below, the retired ones that still have some in flight, and those that are kept for suspects. */
  readonly attached = new Set<Lane>();
  /** From the dispatch to the answer, of late: a moving average. */
  latencyMs = SLOW_MS;
  /** They would take new exchanges, were they not silent. */
  readonly #stalled = new Set<Lane>();
  /** The worker that was picked last, and the turn of the loop in which it was. */
  #last: Lane | null = null;
  #lastPickMs = 0;

  get inFlight(): number {
    let count = 0;
    for (const lane of this.attached) count += lane.inFlight.size;
    return count;
  }

  attach(lane: Lane): void {
    this.attached.add(lane);
    this.offer(lane);
  }

  /** It takes no new exchanges for good. */
  retire(lane: Lane): void {
    this.withdraw(lane);
    this.#stalled.delete(lane);
  }

  detach(lane: Lane): void {
    this.retire(lane);
    this.attached.delete(lane);
  }

  /** It is silent: it takes none until it speaks again. */
  stall(lane: Lane): void {
    lane.isSilent = true;
    if (this.withdraw(lane)) this.#stalled.add(lane);
  }

  /** It speaks again. Returns whether it takes new exchanges since. */
  recover(lane: Lane): boolean {
    lane.isSilent = false;
    if (!this.#stalled.delete(lane)) return false;
    this.offer(lane);
    return true;
  }

  /** It takes new exchanges, in its old place; unless it is silent: then as soon as it speaks. */
  offer(lane: Lane): void {
    if (lane.isSilent) {
      this.#stalled.add(lane);
      return;
    }
    this.ready.push(lane);
    this.ready.sort((a, b) => a.workerId - b.workerId);
  }

  /** It takes none. Returns whether it did. */
  withdraw(lane: Lane): boolean {
    const at = this.ready.indexOf(lane);
    if (at === -1) return false;
    this.ready.splice(at, 1);
    if (this.#last === lane) this.#last = null;
    return true;
  }

  /** The least busy one; within one turn of the loop, the same one for as long as that makes no difference. */
  pick(nowMs: number): Lane | null {
    const lane = pickLeastBusy(this.ready);
    if (lane === null) return null;
    const last = this.#last;
    if (
      last !== null &&
      nowMs === this.#lastPickMs &&
      last.inFlight.size < lane.inFlight.size + frameSlack(this.latencyMs) &&
      last.inFlight.size < last.cap
    ) {
      return last;
    }
    this.#last = lane;
    this.#lastPickMs = nowMs;
    return lane;
  }

  /** For an exchange that goes where others are refused. */
  pickReserved(): Lane | null {
    return pickLeastBusy(this.ready, RESERVED_PER_WORKER);
  }

  /** An answer took so long. */
  noteLatency(ms: number): void {
    this.latencyMs += (ms - this.latencyMs) / 64;
  }
}
