/** Window of a worker that is not measured yet. */
const FIRST = 64;

/** Smallest window: with one exchange that runs and one that waits, a worker is never idle while others queue. */
const LEAST = 2;

/** Longest time that a message may wait for the worker's event loop. Above it the window shrinks. */
const TARGET_MS = 20;

/** Below this delay the window may grow. In the band between it stays. */
const CALM_MS = TARGET_MS / 2;

/** An event loop with less delay is idle: its exchanges wait for something else. */
const IDLE_MS = 2;

/** Least time between probes: 100 messages a second cost nothing, and 10 ms are soon enough. */
const PROBE_EVERY_MS = 10;

/** With fewer exchanges there is no wait to measure: most traffic never sees a probe. */
const PROBE_FROM = 4;

/** How long the delay must stay above the target: lower and upper bound. */
const LEAST_INTERVAL_MS = 100;
const MOST_INTERVAL_MS = 1_000;

/**
 * How many unanswered exchanges a worker gets at a time.
 *
 * A worker has an invisible queue: the messages that wait for its event loop. Handlers that wait for a database need a
 * thousand exchanges at a time to be busy. Handlers that compute need two, and every further exchange waits where it
 * can neither be refused nor given to another worker. The delay of the event loop tells the two apart. A probe is sent
 * behind a request and answered when it is read, so it takes as long as the next request would wait. It does not
 * include the time for which handlers themselves wait.
 *
 * Event loops are busy in bursts, so one long delay says little. As in CoDel (RFC 8289), the least delay within an
 * interval counts, which is about as long as handlers take: only a queue that never empties keeps it up.
 *
 *     least delay above the target  ──▶ smaller, by as many as the worker answered in the time that was too long
 *     a delay below half of it      ──▶ one more for each answer and each probe, while exchanges queue
 *
 * In between the window stays. One more for each answer means that it at most doubles in the time that a handler takes,
 * like the window of a TCP sender: it does not outrun handlers that wait first and compute then.
 *
 * Reads no clock: the caller passes all times, from `performance.now()`.
 */
export class WorkerWindow {
  readonly #most: number;
  #size: number;
  /** When the outstanding probe was sent; `null`: there is none. */
  #probeMs: number | null = null;
  #nextProbeMs = 0;
  /** The worker's unanswered exchanges when the probe was sent, and how many it has answered since. */
  #busy = 0;
  #answered = 0;
  /** The delay that the last probe measured. */
  #delayMs = 0;
  #intervalEndMs = 0;
  #leastDelayMs = Number.POSITIVE_INFINITY;
  /** The window that the probe with the least delay asks for. */
  #sizeAtLeast = 0;

  /** @param most The upper bound, however fast the worker is. */
  constructor(most: number) {
    this.#most = most;
    this.#size = Math.min(FIRST, most);
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Tells whether to send a probe now. If true, the probe counts as sent.
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

  /** Notes an answer. `wanted`: exchanges queue for a worker. */
  onAnswer(wanted: boolean, nowMs: number): void {
    this.#answered++;
    if (wanted && this.#isCalm(nowMs)) this.#grow(1);
  }

  /**
   * Notes the answer to the probe.
   *
   * @param now.latencyMs Average time from dispatch to answer.
   */
  onProbed(wanted: boolean, now: { ms: number; latencyMs: number }): void {
    if (this.#probeMs === null) return;
    const delayMs = now.ms - this.#probeMs;
    const intervalMs = Math.min(Math.max(2 * now.latencyMs, LEAST_INTERVAL_MS), MOST_INTERVAL_MS);
    // A measurement from before a pause in traffic does not count for the interval that begins now.
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
   * Returns the window with which the probe would have met the target. Exchanges that were answered meanwhile had been
   * ahead of the probe. The other exchanges wait for something else, and delay nothing.
   */
  #resized(delayMs: number): number {
    const ahead = Math.min(this.#answered, this.#busy);
    return Math.floor(this.#busy - (ahead * (delayMs - TARGET_MS)) / delayMs);
  }

  /** A probe that is still out has a delay of at least its age. */
  #isCalm(nowMs: number): boolean {
    return this.#delayMs < CALM_MS && (this.#probeMs === null || nowMs - this.#probeMs < CALM_MS);
  }

  #grow(by: number): void {
    this.#size = Math.min(this.#most, this.#size + Math.ceil(by));
  }
}
