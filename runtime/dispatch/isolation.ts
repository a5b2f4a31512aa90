import { pickLeastBusy } from "./balancer.ts";
import type { Exchange } from "./exchange.ts";
import type { Lane } from "./lane.ts";
import { BoundedQueue } from "./queue.ts";

/** So long a suspect waits for a worker that has nothing to do; then one is made to have nothing to do. */
const PATIENCE_MS = 1_000;

/** A worker that is kept for suspects. */
interface Cell {
  /** What it runs alone; `null`: it is being emptied, or is empty. */
  suspect: Exchange | null;
  /** Whether it may take another suspect after this one, or any work. */
  inService: boolean;
}

/** What the dispatcher is to do next, if anything. */
export type Step =
  /** The worker takes nothing new. */
  | { do: "keep"; lane: Lane }
  /** It takes new work again. */
  | { do: "open"; lane: Lane }
  | { do: "run"; lane: Lane; suspect: Exchange };

/**
 * Suspects wait here, and run one by one, each on a worker that has nothing else to do: when that one is lost, it is
 * clear why. Streams that are being sent do not count: their handlers have answered, and they may never end.
 *
 *     open ──keep──▶ emptying ──nothing dispatched──▶ empty ──run──▶ busy ──answered, acknowledged──▶ empty
 *       ▲                └──another one is empty──┐     │
 *       └─────────────────────────────────────────┴──no suspect waits
 *
 * Up to half of the workers are kept at a time, at least one. While only one is there, it is kept after a while only:
 * another one may be about to come.
 */
export class Isolation {
  readonly #waiting: BoundedQueue<Exchange>;
  readonly #cells = new Map<Lane, Cell>();

  constructor(options: { queueLimit: number }) {
    this.#waiting = new BoundedQueue(options.queueLimit);
  }

  /** Whether there is anything that `next` might want. */
  get active(): boolean {
    return this.#cells.size > 0 || this.#waiting.size > 0;
  }

  get waiting(): BoundedQueue<Exchange> {
    return this.#waiting;
  }

  /** How many workers are kept that would take new work otherwise. */
  get kept(): number {
    let count = 0;
    for (const { inService } of this.#cells.values()) if (inService) count++;
    return count;
  }

  /** What runs alone on a worker. */
  suspectOn(lane: Lane): Exchange | null {
    return this.#cells.get(lane)?.suspect ?? null;
  }

  /** A suspect was answered, or the worker has put it aside: it has nothing to do again. */
  vacate(lane: Lane, suspect: Exchange): void {
    const cell = this.#cells.get(lane);
    if (cell?.suspect !== suspect) return;
    cell.suspect = null;
    if (!cell.inService) this.#cells.delete(lane);
  }

  /** A worker takes nothing new any more. What runs alone there still does. */
  retire(lane: Lane): void {
    const cell = this.#cells.get(lane);
    if (cell === undefined) return;
    cell.inService = false;
    if (cell.suspect === null) this.#cells.delete(lane);
  }

  /** A worker is gone. */
  detach(lane: Lane): void {
    this.#cells.delete(lane);
  }

  /**
   * Decides the next step, and takes it for granted. To be asked until there is none.
   *
   * @param ready Workers that take new work; none of them is kept here.
   */
  next(ready: readonly Lane[], nowMs: number): Step | null {
    const oldest = this.#waiting.peek();
    for (const [lane, cell] of this.#cells) {
      if (cell.suspect !== null || !cell.inService) continue;
      if (oldest === undefined) return this.#open(lane);
      if (!isFree(lane)) continue;
      this.#waiting.remove(oldest);
      cell.suspect = oldest;
      return { do: "run", lane, suspect: oldest };
    }
    return oldest === undefined ? null : this.#keepOne(ready, nowMs - oldest.sinceMs);
  }

  #keepOne(ready: readonly Lane[], waitedMs: number): Step | null {
    const isPatient = waitedMs < PATIENCE_MS;
    const kept = [...this.#cells].filter(([, { inService }]) => inService);
    if (isPatient && kept.length === 0 && ready.length < 2) return null;
    const emptying = kept.filter(([, { suspect }]) => suspect === null);
    const free = ready.find(isFree);
    const [instead] = emptying;
    if (instead !== undefined) return free === undefined ? null : this.#open(instead[0]);
    const most = Math.max(1, Math.floor((ready.length + kept.length) / 2));
    if (kept.length >= most) return null;
    const lane = free ?? (isPatient ? null : pickLeastBusy(ready, Number.POSITIVE_INFINITY));
    if (lane === null) return null;
    this.#cells.set(lane, { suspect: null, inService: true });
    return { do: "keep", lane };
  }

  #open(lane: Lane): Step {
    this.#cells.delete(lane);
    return { do: "open", lane };
  }
}

/** Whether a worker has nothing to do but to send what it has begun to answer, and may take one more. */
function isFree(lane: Lane): boolean {
  return !lane.isSilent && lane.busy === 0 && lane.inFlight.size < lane.cap;
}
