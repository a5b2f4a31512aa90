import { readCpuMs } from "./process-usage.ts";
import type { WorkerFacts } from "./recycle-policy.ts";

/** What whoever gives a worker its exchanges knows of it. */
export interface WorkerLoad {
  /** How many it was given since it became ready. */
  readonly requests: number;
  readonly inFlight: number;
}

/** Measures one worker that serves, at intervals. */
export class WorkerGauge {
  readonly #pid: number;
  readonly #readySinceMs: number;
  readonly #rssAtFirstBytes: number | null;
  readonly #luck = Math.random();
  #requests = 0;
  #busyAtMs: number;
  #cpu: { ms: number | null; atMs: number };

  /** To be made when it becomes ready. */
  constructor(pid: number, { rssBytes, nowMs }: { rssBytes: number | null; nowMs: number }) {
    this.#pid = pid;
    this.#readySinceMs = nowMs;
    this.#busyAtMs = nowMs;
    this.#rssAtFirstBytes = rssBytes;
    this.#cpu = { ms: readCpuMs(pid), atMs: nowMs };
  }

  /** @param now Its memory, and the time. */
  facts(
    { requests, inFlight }: WorkerLoad,
    { rssBytes, nowMs }: { rssBytes: number | null; nowMs: number },
  ): WorkerFacts {
    // One that was given something since it was last asked was busy in between, at some time.
    if (inFlight > 0 || requests !== this.#requests) this.#busyAtMs = nowMs;
    this.#requests = requests;
    return {
      readyForMs: nowMs - this.#readySinceMs,
      requests,
      idleForMs: nowMs - this.#busyAtMs,
      rssBytes,
      rssAtFirstBytes: this.#rssAtFirstBytes,
      luck: this.#luck,
    };
  }

  /** Which part of the time since it was last asked it was on a CPU, at most 1; 0 where the system does not tell. */
  utilization(nowMs: number): number {
    const before = this.#cpu;
    this.#cpu = { ms: readCpuMs(this.#pid), atMs: nowMs };
    if (before.ms === null || this.#cpu.ms === null || nowMs <= before.atMs) return 0;
    return Math.min(1, (this.#cpu.ms - before.ms) / (nowMs - before.atMs));
  }
}
