import { frameSlack, pickLeastBusy } from "./balancer.ts";
import type { Lane } from "./lane.ts";

/** Reserved exchanges that a worker may have beyond its cap. */
const RESERVED_PER_WORKER = 4;

/** Assumed latency until the first answers are measured: slow. */
const SLOW_MS = 100;

/**
 * The workers of a pool. Picks the worker that takes the next exchange.
 *
 *     attach ──▶ ready ◀──speaks, or offer── stalled or withdrawn
 *                  ├──silent──▶ stalled          each of them: retire ──▶ attached only ──detach──▶ gone
 *                  └──withdraw──▶ attached only: it is kept for suspects
 *
 * Invariant: a ready worker and a stalled worker are attached, and no worker is both.
 */
export class Lanes {
  /** Workers that take new exchanges, oldest first. */
  readonly ready: Lane[] = [];
  /** All workers: ready, stalled, kept for suspects, and retired with exchanges in flight. */
  readonly attached = new Set<Lane>();
  /** Moving average of the time from dispatch to answer. */
  latencyMs = SLOW_MS;
  /** Workers that would take new exchanges if they were not silent. */
  readonly #stalled = new Set<Lane>();
  /** The worker that was picked last, and the turn of the event loop in which it was picked. */
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

  /** Gives the worker no new exchanges, for good. */
  retire(lane: Lane): void {
    this.withdraw(lane);
    this.#stalled.delete(lane);
  }

  detach(lane: Lane): void {
    this.retire(lane);
    this.attached.delete(lane);
  }

  /** Gives a silent worker no new exchanges until it sends something. */
  stall(lane: Lane): void {
    lane.isSilent = true;
    if (this.withdraw(lane)) this.#stalled.add(lane);
  }

  /** Notes that the worker is no longer silent. Returns whether this makes it ready. */
  resume(lane: Lane): boolean {
    lane.isSilent = false;
    if (!this.#stalled.delete(lane)) return false;
    this.offer(lane);
    return true;
  }

  /** Makes the worker ready, in its order of age. A silent worker becomes ready when it sends something. */
  offer(lane: Lane): void {
    if (lane.isSilent) {
      this.#stalled.add(lane);
      return;
    }
    this.ready.push(lane);
    this.ready.sort((a, b) => a.workerId - b.workerId);
  }

  /** Takes the worker out of `ready`. Returns whether it was there. */
  withdraw(lane: Lane): boolean {
    const at = this.ready.indexOf(lane);
    if (at === -1) return false;
    this.ready.splice(at, 1);
    if (this.#last === lane) this.#last = null;
    return true;
  }

  /**
   * Returns the least busy worker. Within one turn of the event loop it returns the same worker while the difference is
   * small, so that more messages share a frame.
   */
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

  /** Returns the worker for a reserved exchange, which may go beyond a worker's cap. */
  pickReserved(): Lane | null {
    return pickLeastBusy(this.ready, RESERVED_PER_WORKER);
  }

  /** Returns the worker for a call of a handler, however many exchanges it has: callers that fill all workers wait for it. */
  pickForCall(): Lane | null {
    return pickLeastBusy(this.ready, Infinity);
  }

  /**
   * Returns a worker with threads that may have one more exchange in advance, the one with the fewest; `null`: none.
   *
   * For exchanges that may run twice, because they are lost with the worker as if they had begun.
   */
  pickAhead(): Lane | null {
    let best: Lane | null = null;
    for (const lane of this.ready) {
      if (lane.ahead === null || lane.inFlight.size >= lane.cap + lane.ahead.size) continue;
      if (best === null || lane.inFlight.size < best.inFlight.size) best = lane;
    }
    return best;
  }

  /** Adds one measured latency to the average. */
  noteLatency(ms: number): void {
    this.latencyMs += (ms - this.latencyMs) / 64;
  }
}
