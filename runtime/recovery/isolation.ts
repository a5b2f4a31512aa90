import type { ExchangeId } from "../channel/messages.ts";
import { pickLeastBusy } from "../dispatch/balancer.ts";
import type { Exchange } from "../dispatch/exchange.ts";
import type { Lane } from "../dispatch/lane.ts";
import { Suspects } from "./suspects.ts";

/**
 * How long a suspect waits for an idle worker. After that, how long a worker is drained for it, before the suspect runs
 * beside the worker's other exchanges.
 */
const PATIENCE_MS = 1_000;

/** Half of the longest time for which other exchanges wait while a worker is kept from them. */
const TURN_MS = 200;

/** A suspect that runs isolated. No other exchange began on its worker after it. */
export interface IsolatedRun {
  readonly suspect: Exchange;
  /** The worker ran nothing else when the suspect began. If the worker is lost, the suspect is the cause. */
  readonly isAlone: boolean;
  /** Probe sent behind the suspect. An answer shows that the suspect does not block the worker. */
  probe: "unsent" | "sent" | "answered";
}

/** The suspects' turn on one worker. */
interface Turn {
  readonly sinceMs: number;
  /** The turn ends when more other exchanges than this wait. */
  readonly crowd: number;
  hasRunSuspect: boolean;
}

/** Exchanges that wait for any worker and are not suspects. */
export interface Others {
  count: number;
  /** When the first of them began to wait; `Infinity`: none waits. */
  sinceMs: number;
}

/** The next thing for the dispatcher to do. */
export type Step =
  /** Gives the worker no new work. */
  | { do: "keep"; lane: Lane }
  /** Gives the worker new work again. */
  | { do: "open"; lane: Lane }
  | { do: "run"; lane: Lane; suspect: Exchange }
  /** Sends a probe behind the suspect. The dispatcher passes its answer to `onProbeAnswer`. */
  | { do: "probe"; lane: Lane; suspect: Exchange };

/** The facts that decide a step. */
interface Moment {
  ready: readonly Lane[];
  others: Others;
  nowMs: number;
}

/**
 * Holds suspects and runs them one by one, each on a worker that gets nothing else. If that worker is lost, the suspect
 * is the cause. Response streams on the worker do not count: their handlers have answered, and they may never end.
 *
 *     open ──keep──▶ draining ──nothing is dispatched, or for too long──▶ busy ◀──next──┐
 *      ▲                │                                                  │└─answered─▶ idle
 *      ├─another is idle┘                                                  │               │
 *      ├─others have waited, and the worker lives: the suspect stays there─┘               │
 *      └─no suspect waits, or others have waited───────────────────────────────────────────┘
 *
 * Suspects and other exchanges take turns:
 *
 * - Other exchanges wait for a kept worker at most `2 * TURN_MS`, and less when their queue fills. A blocked worker is
 *   kept longer: it would take the other exchanges down with it.
 * - After that, no worker is kept for as long as the turn was. Other exchanges therefore get half of an only worker,
 *   however many suspects there are. If a suspect takes its worker down while others wait, the next worker goes to the
 *   others first.
 * - In each turn at least one suspect runs if the worker has room, if need be beside the worker's other exchanges.
 * - A busy worker is kept only while no other worker is kept. Idle workers are kept while no other exchange waits, up
 *   to half of all workers. An only worker is kept after `PATIENCE_MS`: a second worker may be about to start.
 */
export class Isolation {
  readonly waiting: Suspects;
  readonly #queueLimit: number;
  readonly #turnMs: number;
  /** The kept workers. */
  readonly #turns = new Map<Lane, Turn>();
  /** The suspects that run isolated, also on workers that have retired since. */
  readonly #runs = new Map<Lane, IsolatedRun>();
  /** No worker is kept before this time. */
  #othersUntilMs = -Infinity;
  #owesOthersTurn = false;

  /** @param options The limits of the queue. Suspects must not make other exchanges exceed them. */
  constructor(options: { queueLimit: number; queueDelayMs: number; queueTimeoutMs: number }) {
    const { queueLimit, queueDelayMs, queueTimeoutMs } = options;
    this.waiting = new Suspects(queueLimit);
    this.#queueLimit = queueLimit;
    const delayMs = queueDelayMs > 0 ? queueDelayMs : Infinity;
    this.#turnMs = Math.min(TURN_MS, delayMs / 3, queueTimeoutMs / 3);
  }

  /** Tells whether `next` may have something to do. */
  get active(): boolean {
    return this.#turns.size > 0 || this.waiting.size > 0;
  }

  /** How many workers are kept. They would take new work otherwise. */
  get kept(): number {
    return this.#turns.size;
  }

  /** Notes that a worker answered the probe behind this exchange. */
  onProbeAnswer(lane: Lane, id: ExchangeId): void {
    const run = this.#runs.get(lane);
    if (run?.probe === "sent" && run.suspect.id === id) run.probe = "answered";
  }

  /** Notes that the suspect was answered, or that the worker confirmed its abort. The worker is idle again. */
  finish(lane: Lane, suspect: Exchange): void {
    if (this.#runs.get(lane)?.suspect === suspect) this.#runs.delete(lane);
  }

  /** Notes that a worker takes nothing new any more. A suspect that runs there stays isolated. */
  retire(lane: Lane): void {
    this.#turns.delete(lane);
  }

  /** Notes that a worker, which has retired, is gone. Returns the suspect that ran isolated there. */
  detach(lane: Lane): IsolatedRun | null {
    const run = this.#runs.get(lane) ?? null;
    if (this.#runs.delete(lane)) this.#owesOthersTurn = true;
    return run;
  }

  /**
   * Decides the next step and assumes that the caller takes it. Call until it returns `null`.
   *
   * @param moment.ready Workers that take new work. Kept workers are not among them.
   */
  next(moment: Moment): Step | null {
    const { ready, others, nowMs } = moment;
    if (this.#owesOthersTurn && ready.length > 0) {
      this.#owesOthersTurn = false;
      if (others.count > 0) this.#othersUntilMs = nowMs + this.#turnMs;
    }
    for (const [lane, turn] of this.#turns) {
      const run = this.#runs.get(lane);
      const step =
        run === undefined
          ? this.#runNext(lane, turn, moment)
          : this.#watchRun(lane, turn, { ...moment, run });
      if (step !== null) return step;
    }
    return this.#keepOne(moment);
  }

  /** Decides the next step for a kept worker that is idle or is being drained. */
  #runNext(lane: Lane, turn: Turn, { ready, others, nowMs }: Moment): Step | null {
    if (this.waiting.size === 0) return this.#open(lane);
    const isHurried = this.#isHurried(turn, others, { nowMs, turns: 1 });
    if (isHurried && turn.hasRunSuspect) return this.#endTurn(lane, turn, nowMs);
    const isAlone = lane.busy === 0;
    if (!isAlone && ready.some(isFree)) return this.#open(lane);
    // A full or silent worker would take nothing else either: waiting for it costs the others nothing.
    if (!hasPlace(lane)) return null;
    if (!isAlone && !isHurried && nowMs - turn.sinceMs < PATIENCE_MS) return null;
    const suspect = this.waiting.shift();
    if (suspect === undefined) return null;
    this.#runs.set(lane, { suspect, isAlone, probe: "unsent" });
    turn.hasRunSuspect = true;
    return { do: "run", lane, suspect };
  }

  /** Decides the next step for a worker that runs a suspect. */
  #watchRun(
    lane: Lane,
    turn: Turn,
    { run, others, nowMs }: Moment & { run: IsolatedRun },
  ): Step | null {
    if (!hasPlace(lane) || !this.#isHurried(turn, others, { nowMs, turns: 2 })) return null;
    if (run.probe === "answered") return this.#endTurn(lane, turn, nowMs);
    if (run.probe === "sent") return null;
    run.probe = "sent";
    return { do: "probe", lane, suspect: run.suspect };
  }

  #keepOne({ ready, others, nowMs }: Moment): Step | null {
    const oldest = this.waiting.peek();
    if (oldest === undefined || nowMs < this.#othersUntilMs) return null;
    const { kept } = this;
    const isPatient = nowMs - oldest.sinceMs < PATIENCE_MS;
    if (kept === 0 && isPatient && ready.length < 2) return null;
    if (kept > 0 && (others.count > 0 || this.#isEmptying)) return null;
    if (kept >= Math.max(1, Math.floor((ready.length + kept) / 2))) return null;
    const mayEmpty = kept === 0 && !isPatient;
    const lane =
      ready.find(isFree) ?? (mayEmpty ? pickLeastBusy(ready, Number.POSITIVE_INFINITY) : null);
    if (lane === null) return null;
    const crowd = (others.count + this.#queueLimit) / 2;
    this.#turns.set(lane, { sinceMs: nowMs, crowd, hasRunSuspect: false });
    return { do: "keep", lane };
  }

  get #isEmptying(): boolean {
    return [...this.#turns.keys()].some((lane) => !this.#runs.has(lane));
  }

  /**
   * Tells whether other exchanges have waited for `turns` turns while the worker was kept, or too many of them wait.
   */
  #isHurried(
    turn: Turn,
    others: Others,
    { nowMs, turns }: { nowMs: number; turns: 1 | 2 },
  ): boolean {
    const waitedMs = nowMs - Math.max(turn.sinceMs, others.sinceMs);
    return waitedMs >= turns * this.#turnMs || others.count > turn.crowd;
  }

  #endTurn(lane: Lane, { sinceMs }: Turn, nowMs: number): Step {
    this.#othersUntilMs = nowMs + Math.max(this.#turnMs, nowMs - sinceMs);
    return this.#open(lane);
  }

  #open(lane: Lane): Step {
    this.#turns.delete(lane);
    this.#runs.delete(lane);
    return { do: "open", lane };
  }
}

/** Tells whether a worker may take one more exchange. */
function hasPlace(lane: Lane): boolean {
  return !lane.isSilent && lane.inFlight.size < lane.cap;
}

/** Tells whether a worker has room and runs nothing but streams that have begun. */
function isFree(lane: Lane): boolean {
  return lane.busy === 0 && hasPlace(lane);
}
