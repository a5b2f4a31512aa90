import { WorkerWindow } from "../../runtime/dispatch/worker-window.ts";

/** A handler: computes, waits for something else, computes again, answers. */
export interface Work {
  beforeMs: number;
  waitMs: number;
  afterMs: number;
}

/** One worker in simulated time: an event loop that does one thing after another. */
export class SimulatedWorker {
  readonly window: WorkerWindow;
  nowMs = 0;
  /** When the event loop has done all its present work. */
  #freeAtMs = 0;
  /** Events in the future, in no order. */
  #events: { atMs: number; run: () => void }[] = [];
  #busy = 0;
  #latencyMs = 100;
  #queue: Work[] = [];
  answered = 0;
  /** Longest delay of a probe since the last reset. */
  worstDelayMs = 0;

  constructor(most: number) {
    this.window = new WorkerWindow(most);
  }

  get busy(): number {
    return this.#busy;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** A request arrives. It is sent at once if the window has room. */
  arrive(work: Work): void {
    this.#queue.push(work);
    this.#pump();
  }

  at(atMs: number, run: () => void): void {
    this.#events.push({ atMs, run });
  }

  runUntil(endMs: number): void {
    for (;;) {
      let next: { atMs: number; run: () => void } | undefined;
      for (const event of this.#events)
        if (next === undefined || event.atMs < next.atMs) next = event;
      if (next === undefined || next.atMs > endMs) break;
      const { atMs, run } = next;
      this.#events = this.#events.filter((event) => event !== next);
      this.nowMs = Math.max(this.nowMs, atMs);
      run();
    }
    this.nowMs = endMs;
  }

  #pump(): void {
    while (this.#queue.length > 0 && this.#busy < this.window.size) {
      const work = this.#queue.shift();
      if (work === undefined) return;
      this.#busy++;
      const sentMs = this.nowMs;
      this.#compute(work.beforeMs, () => {
        this.at(this.nowMs + work.waitMs, () =>
          this.#compute(work.afterMs, () => this.#answer(sentMs)),
        );
      });
      this.#probe();
    }
    // As the dispatcher does for every request that it has to queue.
    if (this.#queue.length > 0) this.#probe();
  }

  #probe(): void {
    if (!this.window.takeProbe(this.#busy, this.nowMs)) return;
    const sentMs = this.nowMs;
    this.#compute(0, () => {
      this.worstDelayMs = Math.max(this.worstDelayMs, this.nowMs - sentMs);
      this.window.onProbed(this.#queue.length > 0, {
        ms: this.nowMs,
        latencyMs: this.#latencyMs,
      });
      this.#pump();
    });
  }

  #answer(sentMs: number): void {
    this.#busy--;
    this.answered++;
    this.#latencyMs += (this.nowMs - sentMs - this.#latencyMs) / 64;
    this.window.onAnswer(this.#queue.length > 0, this.nowMs);
    this.#pump();
  }

  /** Adds work to the event loop, which does it after all earlier work. */
  #compute(durationMs: number, done: () => void): void {
    this.#freeAtMs = Math.max(this.#freeAtMs, this.nowMs) + durationMs;
    this.at(this.#freeAtMs, done);
  }
}
