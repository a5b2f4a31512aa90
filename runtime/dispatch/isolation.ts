import type { ExchangeId } from "../channel/messages.ts";
import { pickLeastBusy } from "./balancer.ts";
import type { Exchange } from "./exchange.ts";
import type { Lane } from "./lane.ts";
import { Suspects } from "./suspects.ts";

/** So long a suspect waits for a worker that has nothing to do; then one is made to have nothing to do, for so long. */
const PATIENCE_MS = 1_000;

/** Half of what others wait at most while a worker is kept from them. */
const TURN_MS = 200;

/** A suspect that runs where nothing new is dispatched beside it. */
export interface IsolatedRun {
  suspect: Exchange;
  /** Whether nothing else was dispatched there when it began: then nothing else can be why the worker is lost. */
  isAlone: boolean;
}

/** A worker that is kept for suspects. */
interface KeptWorker {
  readonly sinceMs: number;
  /** When more others wait, the suspects' turn is over. */
  readonly crowd: number;
  /** What runs there; `null`: it is being emptied, or is empty. */
  run: IsolatedRun | null;
  hasRunSuspect: boolean;
  /** Whether the worker has shown that what runs there does not block it. */
  probe: "unsent" | "sent" | "answered";
  /** Whether it may take another suspect after this one, or any work. */
  inService: boolean;
}

/** What waits for any worker, and is not suspected of anything. */
export interface Others {
  count: number;
  /** Since when the first of them has; `null`: nothing waits. */
  sinceMs: number | null;
}

/** What the dispatcher is to do next, if anything. */
export type Step =
  /** The worker takes nothing new. */
  | { do: "keep"; lane: Lane }
  /** It takes new work again. */
  | { do: "open"; lane: Lane }
  | { do: "run"; lane: Lane; suspect: Exchange }
  /** It is sent a probe behind the suspect, and `onProbeAnswer` is told of its answer. */
  | { do: "probe"; lane: Lane; suspect: Exchange };

/** What a step is decided by. */
interface Moment {
  ready: readonly Lane[];
  others: Others;
  nowMs: number;
}

/**
 * Suspects wait here, and run one by one, each on a worker that is given nothing else: when that one is lost, it is clear
 * why. Streams that are being sent do not count: their handlers have answered, and they may never end.
 *
 *     open ──keep──▶ emptying ──nothing is dispatched, or for too long──▶ busy ◀──next──┐
 *      ▲                │                                                  │└─answered─▶ empty
 *      ├─another is idle┘                                                  │               │
 *      ├─others have waited, and the worker lives: it goes on among them───┘               │
 *      └─no suspect waits, or others have waited───────────────────────────────────────────┘
 *
 * Workers are kept in turns, suspects' and others':
 *
 * - Others wait for a worker that is kept at most `2 * TURN_MS`, and less when their queue fills. Only one that is blocked
 *   is not given to them even then: it could do nothing but take them down with it.
 * - Then no worker is kept for as long as that turn was. So others have half of the only worker, however many suspects
 *   there are. When a suspect takes its worker down while others wait, they are first on the next one.
 * - In each turn of theirs one suspect runs at least, if the worker has a place for it: at last beside what that still has.
 * - A worker that is busy is kept only while no other one is. Idle ones are while nobody waits, up to half of all workers.
 *   The only one is kept after a while only: another one may be about to come.
 */
export class Isolation {
  readonly waiting: Suspects;
  readonly #queueLimit: number;
  readonly #turnMs: number;
  readonly #kept = new Map<Lane, KeptWorker>();
  /** Until then no worker is kept. */
  #othersUntilMs = -Infinity;
  #owesOthersTurn = false;

  /** @param options The limits of those that wait, which others must not meet for the sake of suspects. */
  constructor(options: { queueLimit: number; queueDelayMs: number; queueTimeoutMs: number }) {
    const { queueLimit, queueDelayMs, queueTimeoutMs } = options;
    this.waiting = new Suspects(queueLimit);
    this.#queueLimit = queueLimit;
    const delayMs = queueDelayMs > 0 ? queueDelayMs : Infinity;
    this.#turnMs = Math.min(TURN_MS, delayMs / 3, queueTimeoutMs / 3);
  }

  /** Whether there is anything that `next` might want. */
  get active(): boolean {
    return this.#kept.size > 0 || this.waiting.size > 0;
  }

  /** How many workers are kept that would take new work otherwise. */
  get kept(): number {
    let count = 0;
    for (const { inService } of this.#kept.values()) if (inService) count++;
    return count;
  }

  /** What runs on a worker that takes nothing else. */
  runOn(lane: Lane): IsolatedRun | null {
    return this.#kept.get(lane)?.run ?? null;
  }

  /** A worker has answered a probe that was sent behind an exchange. */
  onProbeAnswer(lane: Lane, id: ExchangeId): void {
    const worker = this.#kept.get(lane);
    if (worker?.probe === "sent" && worker.run?.suspect.id === id) worker.probe = "answered";
  }

  /** A suspect was answered, or the worker has put it aside: it has nothing to do again. */
  finish(lane: Lane, suspect: Exchange): void {
    const worker = this.#kept.get(lane);
    if (worker?.run?.suspect !== suspect) return;
    worker.run = null;
    if (!worker.inService) this.#kept.delete(lane);
  }

  /** A worker takes nothing new any more. What runs alone there still does. */
  retire(lane: Lane): void {
    const worker = this.#kept.get(lane);
    if (worker === undefined) return;
    worker.inService = false;
    if (worker.run === null) this.#kept.delete(lane);
  }

  /** A worker is gone. */
  detach(lane: Lane): void {
    if (this.#kept.delete(lane)) this.#owesOthersTurn = true;
  }

  /**
   * Decides the next step, and takes it for granted. To be asked until there is none.
   *
   * @param moment.ready Workers that take new work; none of them is kept here.
   */
  next(moment: Moment): Step | null {
    const { ready, others, nowMs } = moment;
    if (this.#owesOthersTurn && ready.length > 0) {
      this.#owesOthersTurn = false;
      if (others.sinceMs !== null) this.#othersUntilMs = nowMs + this.#turnMs;
    }
    for (const [lane, worker] of this.#kept) {
      if (!worker.inService) continue;
      const { run } = worker;
      const step =
        run === null
          ? this.#runNext(lane, worker, moment)
          : this.#watchRun(lane, worker, { ...moment, suspect: run.suspect });
      if (step !== null) return step;
    }
    return this.#keepOne(moment);
  }

  /** What is next for a worker that is empty, or is being emptied. */
  #runNext(lane: Lane, worker: KeptWorker, { ready, others, nowMs }: Moment): Step | null {
    if (this.waiting.size === 0) return this.#open(lane);
    const isHurried = this.#isHurried(worker, others, { nowMs, turns: 1 });
    if (isHurried && worker.hasRunSuspect) return this.#endTurn(lane, worker, nowMs);
    const isAlone = lane.busy === 0;
    if (!isAlone && ready.some(isFree)) return this.#open(lane);
    // One that is full or silent would take nothing else either: nobody loses by waiting for it.
    if (!hasPlace(lane)) return null;
    if (!isAlone && !isHurried && nowMs - worker.sinceMs < PATIENCE_MS) return null;
    const suspect = this.waiting.shift();
    if (suspect === undefined) return null;
    worker.run = { suspect, isAlone };
    worker.hasRunSuspect = true;
    worker.probe = "unsent";
    return { do: "run", lane, suspect };
  }

  /** What is next for a worker that runs a suspect. */
  #watchRun(
    lane: Lane,
    worker: KeptWorker,
    { suspect, others, nowMs }: Moment & { suspect: Exchange },
  ): Step | null {
    if (!hasPlace(lane) || !this.#isHurried(worker, others, { nowMs, turns: 2 })) return null;
    if (worker.probe === "answered") return this.#endTurn(lane, worker, nowMs);
    if (worker.probe === "sent") return null;
    worker.probe = "sent";
    return { do: "probe", lane, suspect };
  }

  #keepOne({ ready, others, nowMs }: Moment): Step | null {
    const oldest = this.waiting.peek();
    if (oldest === undefined || nowMs < this.#othersUntilMs) return null;
    const { kept } = this;
    const isPatient = nowMs - oldest.sinceMs < PATIENCE_MS;
    if (kept === 0 && isPatient && ready.length < 2) return null;
    if (kept > 0 && (others.sinceMs !== null || this.#isEmptying)) return null;
    if (kept >= Math.max(1, Math.floor((ready.length + kept) / 2))) return null;
    const mayEmpty = kept === 0 && !isPatient;
    const lane =
      ready.find(isFree) ?? (mayEmpty ? pickLeastBusy(ready, Number.POSITIVE_INFINITY) : null);
    if (lane === null) return null;
    this.#kept.set(lane, {
      sinceMs: nowMs,
      crowd: (others.count + this.#queueLimit) / 2,
      run: null,
      hasRunSuspect: false,
      probe: "unsent",
      inService: true,
    });
    return { do: "keep", lane };
  }

  get #isEmptying(): boolean {
    for (const { run, inService } of this.#kept.values()) {
      if (inService && run === null) return true;
    }
    return false;
  }

  /** Whether others have waited for so many turns while a worker was kept, or too many of them do. */
  #isHurried(
    { sinceMs, crowd }: KeptWorker,
    others: Others,
    { nowMs, turns }: { nowMs: number; turns: 1 | 2 },
  ): boolean {
    if (others.sinceMs === null) return false;
    const waitedMs = nowMs - Math.max(sinceMs, others.sinceMs);
    return waitedMs >= turns * this.#turnMs || others.count > crowd;
  }

  #endTurn(lane: Lane, { sinceMs }: KeptWorker, nowMs: number): Step {
    this.#othersUntilMs = nowMs + Math.max(this.#turnMs, nowMs - sinceMs);
    return this.#open(lane);
  }

  #open(lane: Lane): Step {
    this.#kept.delete(lane);
    return { do: "open", lane };
  }
}

/** Whether a worker may take one more. */
function hasPlace(lane: Lane): boolean {
  return !lane.isSilent && lane.inFlight.size < lane.cap;
}

/** Whether it may, and has nothing to do but to send what it has begun to answer. */
function isFree(lane: Lane): boolean {
  return lane.busy === 0 && hasPlace(lane);
}
