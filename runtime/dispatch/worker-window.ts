/** A worker that is not measured yet may be given so many. */
const FIRST = 64;

/** Never fewer: with one that is run and one that waits, a worker is never idle while others queue. */
const LEAST = 2;

/** How long what is sent to a worker may have to wait there for its event loop. Above it the window shrinks. */
const TARGET_MS = 20;

/** Below it the window may grow. The band between is where it rests. */
const CALM_MS = TARGET_MS / 2;

/** A loop with so little delay has nothing to do: what it has waits for something else. */
const IDLE_MS = 2;

/** Least time from one probe to the next: 100 messages a second cost nothing, and 10 ms are soon enough. */
const PROBE_EVERY_MS = 10;

/** With fewer at a time nothing waits that could be measured, and most traffic never sees a probe. */
const PROBE_FROM = 4;

/** For how long the delay must stay above the target: at least, and at most. */
const LEAST_INTERVAL_MS = 100;
const MOST_INTERVAL_MS = 1_000;

/**
 * How many unanswered exchanges a worker is given at a time.
 *
 * A worker has a queue that nobody sees: what was sent to it and waits for its event loop. Handlers that wait for a
 * database need a thousand at a time to be busy, handlers that compute need two, and every further one only waits where
 * it can neither be refused nor given to another worker. Which it is shows in the loop's delay: a probe is sent behind a
 * request and answered when it is read, so it takes as long as the next request would wait. What handlers wait for
 * themselves is not in it.
 *
 * Loops are busy in bursts, so one long delay says little. As in CoDel (RFC 8289), the least delay within an interval
 * counts, which is about as long as handlers take: only a queue that never empties keeps it up.
 *
 *     least delay above the target  ──▶ smaller, by as many as the worker answered in the time that was too long
 *     a delay below half of it      ──▶ one more for each answer and each probe, while exchanges queue
 *
 * In between it rests. One more for each answer means that it at most doubles in the time that a handler takes, as the
 * window of a TCP sender does: it does not outrun handlers that wait first and compute then.
 *
 * Knows no clock: all moments are `performance.now()` of whoever calls.
 */
export class WorkerWindow {
  readonly #most: number;
  #size: number;
  /** When the probe that is under way was sent; `null`: none is. */
  #probeMs: number | null = null;
  #nextProbeMs = 0;
  /** What the worker had when the probe was sent, and how many it has answered since. */
  #busy = 0;
  #answered = 0;
  /** What the last probe found. */
  #delayMs = 0;
  #intervalEndMs = 0;
  #leastDelayMs = Number.POSITIVE_INFINITY;
  /** What the window should be by the probe that found the least delay. */
  #sizeAtLeast = 0;

  /** @param most However quick the worker is, never more. */
  constructor(most: number) {
    this.#most = most;
    this.#size = Math.min(FIRST, most);
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Whether a probe is to be sent now; if so, it counts as sent.
   *
   * @param busy How many unanswered exchanges the worker has.
   */
  takeProbe(busy: number, nowMs: number): boolean {
    if (nowMs < this.#nextProbeMs || this.#probeMs !== null) return false;
    if (busy < PROBE_FROM && busy < this.#size) return false;
    if (this.#most <= LEAST) return false;
    this.#probeMs = nowMs;
    this.#nextProbeMs = nowMs + PROBE_EVERY_MS;
    this.#busy = busy;
    this.#answered = 0;
    return true;
  }

  /** The worker has answered an exchange. `wanted`: others wait for its place. */
  onAnswer(wanted: boolean, nowMs: number): void {
    this.#answered++;
    if (wanted && this.#isCalm(nowMs)) this.#grow(1);
  }

  /**
   * The worker has answered the probe.
   *
   * @param now.latencyMs From the dispatch to the answer, of late.
   */
  onProbed(wanted: boolean, now: { ms: number; latencyMs: number }): void {
    if (this.#probeMs === null) return;
    const delayMs = now.ms - this.#probeMs;
    const intervalMs = Math.min(Math.max(2 * now.latencyMs, LEAST_INTERVAL_MS), MOST_INTERVAL_MS);
    // What was measured before traffic paused says nothing of the interval that begins now.
    if (this.#probeMs > this.#intervalEndMs) this.#beginInterval(this.#probeMs + intervalMs);
    this.#probeMs = null;
    this.#delayMs = delayMs;
    if (delayMs < this.#leastDelayMs) {
      this.#leastDelayMs = delayMs;
      this.#sizeAtLeast = this.#resized(delayMs);
    }
    if (wanted && delayMs < CALM_MS) this.#grow(delayMs < IDLE_MS ? this.#size / 8 : 1);
    if (now.ms < this.#intervalEndMs) return;
    if (this.#leastDelayMs > TARGET_MS) {
      this.#size = Math.max(LEAST, Math.min(this.#size, this.#sizeAtLeast));
    }
    this.#beginInterval(now.ms + intervalMs);
  }

  #beginInterval(endMs: number): void {
    this.#intervalEndMs = endMs;
    this.#leastDelayMs = Number.POSITIVE_INFINITY;
  }

  /**
   * The window with which the probe would have taken no longer than the target. What the worker answered meanwhile had
   * been ahead of the probe. The rest of what it has waits for something else and does not delay anybody.
   */
  #resized(delayMs: number): number {
    const ahead = Math.min(this.#answered, this.#busy);
    return Math.floor(this.#busy - (ahead * (delayMs - TARGET_MS)) / delayMs);
  }

  /** A probe that has not come back will bring no better news than its age. */
  #isCalm(nowMs: number): boolean {
    return this.#delayMs < CALM_MS && (this.#probeMs === null || nowMs - this.#probeMs < CALM_MS);
  }

  #grow(by: number): void {
    this.#size = Math.min(this.#most, this.#size + Math.ceil(by));
  }
}
