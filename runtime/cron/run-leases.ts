import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../log/log.ts";
import { HeldEntry } from "../stores/held-entry.ts";
import type { Store } from "../stores/store.ts";
import type { RunResult } from "./journal.ts";

/** Time after which a server that is gone loses its run to another one. */
const LEASE_MS = 15_000;

/** How long the store remembers that a time has had its run. */
const KEPT_MS = 6 * 3_600_000;

/** How long the store remembers the last time of a job. */
const SEEN_MS = 400 * 24 * 3_600_000;

/** Most runs in flight of a job that a server learns at its start. */
const MOST_BEGUN = 100;

/** Attempts to tell the store that a run has ended. */
const MOST_ENDS = 20;

/** Failed attempts, one after the other, until a store that a reload has replaced is given up. They take as long as a lease. */
const MOST_LOST = 5;

const LEASES = "cron-leases";
const ENDED = "cron-ended";
const SEEN = "cron-seen";
const BEGUN = "cron-begun";

/** Attempts to write the last time of a job while other servers write it. */
const MOST_ATTEMPTS = 5;

/** A time of a job. */
export interface RunTime {
  job: string;
  time: number;
  /** Runs of this job may overlap. */
  mayOverlap: boolean;
  /** The time was missed here: a server that has dealt with later times has dealt with it. */
  isMissed: boolean;
}

/**
 * The answer to a claim: this server runs it, the time has been dealt with, the store was replaced and gives no answer, or this
 * server stopped before.
 */
export type Claim =
  | { readonly kind: "mine"; readonly lease: RunLease }
  | { readonly kind: "dealt with"; readonly by: string }
  | { readonly kind: "replaced" }
  | { readonly kind: "stopped" };

export interface RunLeasesOptions {
  log: Logger;
  /** Ends the waits of all claims. */
  stop: AbortSignal;
  leaseMs?: number;
}

/**
 * Decides between several servers which one does a run. A lease belongs to a job, or to one of its times if runs may overlap.
 *
 *     claimed ──lease is free──▶ mine ──end()──▶ remembered as ended
 *        ├──another server has it──▶ waits ──the lease is free──▶ mine
 *        └──────────────────────────────────┴──remembered as ended──▶ dealt with
 */
export class RunLeases {
  readonly #store: Store;
  readonly #options: Required<RunLeasesOptions>;
  /** Claims and runs that have not ended. */
  readonly #open = new Set<Promise<unknown>>();
  #isFailing = false;
  /** A reload has replaced the store. */
  #isReplaced = false;

  constructor(store: Store, options: RunLeasesOptions) {
    this.#store = store;
    this.#options = { leaseMs: LEASE_MS, ...options };
  }

  /** Waits until this server may do a run, or the time has been dealt with. Never rejects: without the store it waits. */
  claim(run: RunTime): Promise<Claim> {
    const claim = this.#claim(run);
    this.#open.add(claim);
    void claim.finally(() => this.#open.delete(claim));
    return claim;
  }

  /**
   * Returns the times of a job that some server has begun and none has ended. A server that starts waits for them too: the server
   * that began them may be gone. Never rejects.
   */
  async listBegun(job: string): Promise<number[]> {
    const prefix = `${job}\n`;
    const range = { prefix, after: null, limit: MOST_BEGUN, withoutValues: true };
    const entries = await this.#attempt(() => this.#store.list(BEGUN, range));
    return (entries ?? []).map(({ key }) => Number(key.slice(prefix.length)));
  }

  /** Remembers that a time needs no run. Never rejects. */
  async noteResult({ job, time }: Pick<RunTime, "job" | "time">, result: RunResult): Promise<void> {
    await this.#attempt(() => this.#noteEnded(job, { time, text: result }));
  }

  /** Remembers that all times up to this one have been dealt with. Never rejects. */
  async noteSeen(job: string, timeMs: number): Promise<void> {
    await this.#attempt(async () => {
      for (let count = 0; count < MOST_ATTEMPTS; count++) {
        // oxlint-disable-next-line no-await-in-loop -- Each attempt follows the one before.
        const entry = await this.#store.get(SEEN, job);
        if (entry !== null && toNumber(entry.value) >= timeMs) return;
        const version = entry?.version ?? null;
        const value = Buffer.from(String(timeMs));
        // oxlint-disable-next-line no-await-in-loop -- As above.
        const written = await this.#store.put(SEEN, job, {
          value,
          metadata: null,
          ttlMs: SEEN_MS,
          version,
        });
        if (written !== null) return;
      }
    });
  }

  /**
   * Notes that a reload has replaced the store, and closes it as `close` does. Claims and runs keep it for as long as it
   * answers: other servers may still decide with it.
   */
  async replace(): Promise<void> {
    this.#isReplaced = true;
    await this.close();
  }

  /** Closes the store once all claims and runs have ended. */
  async close(): Promise<void> {
    while (this.#open.size > 0) {
      // oxlint-disable-next-line no-await-in-loop -- A claim that ends may begin a run.
      await Promise.all(this.#open);
    }
    await this.#store.close();
  }

  async #claim(run: RunTime): Promise<Claim> {
    const { job, time, mayOverlap } = run;
    const { leaseMs, stop } = this.#options;
    const key = mayOverlap ? `${job}\n${time}` : job;
    const held = new HeldEntry(this.#store, { space: LEASES, key, ttlMs: leaseMs });
    let lost = 0;
    while (!stop.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- Each attempt follows the one before.
      const claim = await this.#attempt(() => this.#tryOnce(run, held));
      if (claim !== null) return claim;
      lost = this.#isLost ? lost + 1 : 0;
      if (lost === MOST_LOST) return { kind: "replaced" };
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await this.#pause();
    }
    // An attempt without an answer may have taken the lease.
    await this.#attempt(() => held.release());
    return { kind: "stopped" };
  }

  /** Whether the store was replaced, and gives no answer. */
  get #isLost(): boolean {
    return this.#isReplaced && this.#isFailing;
  }

  /** Waits before the next attempt. Returns whether one makes sense. */
  async #pause(): Promise<boolean> {
    const { leaseMs, stop } = this.#options;
    await delay(leaseMs / 5, undefined, { signal: stop, ref: false }).catch(() => {});
    return !stop.aborted;
  }

  /** Returns `null` while another server has the lease. */
  async #tryOnce({ job, time, isMissed }: RunTime, held: HeldEntry): Promise<Claim | null> {
    const before = await this.#findEnd(job, { time, isMissed });
    if (before !== null) return { kind: "dealt with", by: before };
    if (!(await held.take())) return null;
    // Another server may have ended the run in between.
    const by = await this.#findEnd(job, { time, isMissed });
    if (by === null) {
      await this.#noteBegun(job, time);
      return { kind: "mine", lease: this.#openLease({ job, time }, held) };
    }
    await held.release();
    return { kind: "dealt with", by };
  }

  /** Returns how a time was dealt with; `null`: it was not. */
  async #findEnd(
    job: string,
    { time, isMissed }: { time: number; isMissed: boolean },
  ): Promise<string | null> {
    const ended = await this.#store.get(ENDED, `${job}\n${time}`);
    if (ended !== null) return Buffer.from(ended.value).toString();
    const seen = isMissed ? await this.#store.get(SEEN, job) : null;
    return seen !== null && toNumber(seen.value) >= time ? "seen" : null;
  }

  async #noteEnded(job: string, { time, text }: { time: number; text: string }): Promise<void> {
    await this.#store.put(ENDED, `${job}\n${time}`, {
      value: Buffer.from(text),
      metadata: null,
      ttlMs: KEPT_MS,
    });
    await this.#store.delete(BEGUN, `${job}\n${time}`);
  }

  async #noteBegun(job: string, time: number): Promise<void> {
    const entry = { value: new Uint8Array(0), metadata: null, ttlMs: KEPT_MS };
    await this.#store.put(BEGUN, `${job}\n${time}`, entry);
  }

  #openLease({ job, time }: { job: string; time: number }, held: HeldEntry): RunLease {
    const { log, leaseMs } = this.#options;
    const lease = new RunLease(held, {
      everyMs: leaseMs / 3,
      onLost: () => log.warn({ job, scheduledTime: new Date(time).toISOString() }, LOST),
      attempt: (operation) => this.#attempt(operation),
      isLost: () => this.#isLost,
      pause: () => this.#pause(),
      noteEnded: (text) => this.#noteEnded(job, { time, text }),
    });
    this.#open.add(lease.ended);
    void lease.ended.then(() => this.#open.delete(lease.ended));
    return lease;
  }

  /** Returns `null` when the store gives no answer. The log has the first of several failures. */
  async #attempt<T>(operation: () => Promise<T>): Promise<T | null> {
    try {
      const result = await operation();
      this.#isFailing = false;
      return result;
    } catch (error) {
      if (!this.#isFailing) this.#options.log.error({ err: error }, UNREACHABLE);
      this.#isFailing = true;
      return null;
    }
  }
}

const LOST = "the lease of a scheduled run was lost: another server may run it too";
const UNREACHABLE = "cannot reach the store of cronStore: scheduled runs wait for it";

interface RunLeaseOptions {
  everyMs: number;
  onLost: () => void;
  /** Whether the store was replaced, and gives no answer. */
  isLost: () => boolean;
  /** Returns whether another attempt makes sense. */
  pause: () => Promise<boolean>;
  attempt: <T>(operation: () => Promise<T>) => Promise<T | null>;
  noteEnded: (text: string) => Promise<void>;
}

/** A lease that is extended until the run ends. */
export class RunLease {
  /** Resolves when the lease has been given back. */
  readonly ended: Promise<void>;
  readonly #held: HeldEntry;
  readonly #options: RunLeaseOptions;
  readonly #timer: NodeJS.Timeout;
  #onEnded: () => void = () => {};

  constructor(held: HeldEntry, options: RunLeaseOptions) {
    this.#held = held;
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
    this.#timer = setInterval(() => void this.#extend(), options.everyMs).unref();
  }

  /**
   * Gives the lease back, and extends it until the store has learned the result. Gives up after some attempts: then another server
   * runs it again. Never rejects.
   *
   * @param result `null`: the run was cut off, and another server may do it.
   */
  async end(result: RunResult | null): Promise<void> {
    const { attempt, isLost, noteEnded, pause } = this.#options;
    let lost = 0;
    for (let count = 0; count < MOST_ENDS; count++) {
      // oxlint-disable-next-line no-await-in-loop -- Each attempt follows the one before.
      const isNoted = await attempt(async () => {
        if (result !== null) await noteEnded(result);
        clearInterval(this.#timer);
        await this.#held.release();
        return true;
      });
      lost = isLost() ? lost + 1 : 0;
      // oxlint-disable-next-line no-await-in-loop -- As above.
      if (isNoted === true || lost === MOST_LOST || !(await pause())) break;
    }
    clearInterval(this.#timer);
    this.#onEnded();
  }

  async #extend(): Promise<void> {
    const isHeld = await this.#options.attempt(() => this.#held.extend());
    if (isHeld !== false) return;
    clearInterval(this.#timer);
    this.#options.onLost();
  }
}

function toNumber(value: Uint8Array): number {
  return Number(Buffer.from(value).toString("latin1"));
}
