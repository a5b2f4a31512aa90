import { readCpuMs } from "./process-usage.ts";
import type { WorkerFacts } from "./recycle-policy.ts";

/** The dispatcher's facts about a worker. */
export interface WorkerLoad {
  /** How many requests were dispatched to it since it became ready. */
  readonly requests: number;
  /** Requests, and WebSockets that end with the worker. */
  readonly inFlight: number;
}

/** Measures one ready worker, at intervals. */
export class WorkerGauge {
  readonly #pid: number;
  readonly #readySinceMs: number;
  readonly #rssAtFirstBytes: number | null;
  readonly #luck = Math.random();
  #requests = 0;
  #busyAtMs: number;
  #cpu: { ms: number | null; atMs: number };

  /** Call it when the worker becomes ready. */
  constructor(pid: number, { rssBytes, nowMs }: { rssBytes: number | null; nowMs: number }) {
    this.#pid = pid;
    this.#readySinceMs = nowMs;
    this.#busyAtMs = nowMs;
    this.#rssAtFirstBytes = rssBytes;
    this.#cpu = { ms: readCpuMs(pid), atMs: nowMs };
  }

  /** Returns the facts that decide whether the worker is worn. */
  facts(
    { requests, inFlight }: WorkerLoad,
    measured: { rssBytes: number | null; heapUsedBytes: number | null; nowMs: number },
  ): WorkerFacts {
    const { rssBytes, heapUsedBytes, nowMs } = measured;
    // A worker that got a request since the last call was busy in between.
    if (inFlight > 0 || requests !== this.#requests) this.#busyAtMs = nowMs;
    this.#requests = requests;
    return {
      readyForMs: nowMs - this.#readySinceMs,
      requests,
      idleForMs: nowMs - this.#busyAtMs,
      rssBytes,
      heapUsedBytes,
      rssAtFirstBytes: this.#rssAtFirstBytes,
      luck: this.#luck,
    };
  }

  /**
   * Returns the share of the time since the last call that the worker spent on a CPU, at most 1; 0 if the system does
   * not tell.
   */
  utilization(nowMs: number): number {
    const before = this.#cpu;
    this.#cpu = { ms: readCpuMs(this.#pid), atMs: nowMs };
    if (before.ms === null || this.#cpu.ms === null || nowMs <= before.atMs) return 0;
    return Math.min(1, (this.#cpu.ms - before.ms) / (nowMs - before.atMs));
  }
}
