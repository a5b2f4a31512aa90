import type { CronJobInfo } from "../control/operations.ts";
import type { ScheduledHandler } from "../handlers/site-routes.ts";
import type { ExchangeId } from "../http/client.ts";
import { CronTimes } from "../lib/cron-times.ts";
import { settledWithin } from "../lib/settled-within.ts";
import type { Logger } from "../log/log.ts";
import { decideDue, decideOverlap, pickStart } from "./decide-due.ts";
import { isAlive } from "./is-alive.ts";
import type { EndedRun, JobRecord, OpenRun, RunJournal, RunResult } from "./journal.ts";
import { sendRun } from "./send-run.ts";

/** Longest wait for the disk before a run begins. */
const DISK_MS = 1_000;

/** A run of another process without a limit for its time counts as running for so long. */
const UNLIMITED_MS = 3_600_000;

export interface CronJobOptions {
  log: Logger;
  journal: RunJournal;
  /** Returns the time in ms since 1970. */
  now: () => number;
  nextId: () => ExchangeId;
  /** Whether the server has stopped to begin runs. */
  isStopped: () => boolean;
}

/** A run that waits for the run before. */
interface WaitingRun {
  readonly time: number;
  readonly isLate: boolean;
}

/**
 * One handler with one of its times.
 *
 *     due ──▶ begins ──▶ a worker runs it ──▶ ended: done, failed, timed out, worker lost, refused
 *      ├──▶ waits ──▲
 *      └──▶ left out
 */
export class CronJob {
  handler: ScheduledHandler;
  readonly #options: CronJobOptions;
  readonly #times: CronTimes;
  /** The last time that has been dealt with. */
  #seenMs: number;
  #nextMs: number | null;
  readonly #running = new Set<Promise<EndedRun>>();
  #waiting: WaitingRun[] = [];
  /** Runs that another process has begun and may still run. */
  #foreign: OpenRun[] = [];
  #last: EndedRun | null = null;
  #lastSuccessMs: number | null = null;
  /** When the last run began: no two runs begin at the same time. */
  #startedMs = 0;
  readonly #results: Partial<Record<RunResult, number>> = {};
  #skipped = 0;
  #missed = 0;

  /** @param record Its state on disk; `undefined`: no server has had it. */
  constructor(handler: ScheduledHandler, record: JobRecord | undefined, options: CronJobOptions) {
    this.handler = handler;
    this.#options = options;
    this.#times = new CronTimes(handler.schedule);
    const nowMs = options.now();
    this.#seenMs = pickStart(record?.seenMs ?? nowMs, nowMs);
    this.#nextMs = this.#times.next(this.#seenMs);
    if (record === undefined) this.#noteSeen();
    else this.#resume(record);
  }

  /** When the next run is due; `null`: never. */
  get nextMs(): number | null {
    return this.#nextMs;
  }

  /** Whether another process may still run it. */
  get isForeign(): boolean {
    return this.#foreign.length > 0;
  }

  /** The runs in flight. They never reject. */
  get running(): readonly Promise<EndedRun>[] {
    return [...this.#running];
  }

  /** Describes the job for operators. */
  get info(): CronJobInfo {
    const { site, pattern, file, pool, schedule } = this.handler;
    const { cron, timeZone } = schedule;
    const last = this.#last;
    return {
      site,
      route: pattern,
      file,
      pool,
      cron,
      timeZone,
      next: toText(this.#nextMs),
      running: this.#running.size + this.#foreign.length,
      waiting: this.#waiting.length,
      last: toText(last?.startedMs ?? null),
      result: last?.result ?? null,
      durationMs: last?.durationMs ?? null,
      lastSuccess: toText(this.#lastSuccessMs),
      runs: { ...this.#results },
      skipped: this.#skipped,
      missed: this.#missed,
    };
  }

  /** Begins the runs whose time has come. */
  tick(): void {
    const { now, log } = this.#options;
    const nowMs = now();
    const startMs = pickStart(this.#seenMs, nowMs);
    if (startMs !== this.#seenMs) {
      log.warn({ ...this.#fields, seen: toText(this.#seenMs) }, "the clock was set back");
      this.#seenMs = startMs;
      this.#nextMs = this.#times.next(startMs);
    }
    if (this.#nextMs === null || this.#nextMs > nowMs) return;
    const { times, hasMore } = this.#times.between(this.#seenMs, nowMs);
    this.#seenMs = times.at(-1) ?? nowMs;
    this.#nextMs = this.#times.next(this.#seenMs);
    const { catchUp } = this.handler.schedule;
    const { runs, missed } = decideDue(times, { nowMs, catchUp });
    if (missed > 0) {
      this.#missed += missed;
      const made = runs.length;
      const fields = { ...this.#fields, missed, ...(hasMore && { andMore: true }), catchUp };
      log.warn({ ...fields, runs: made }, "scheduled runs were missed");
    }
    const fresh = times.length - missed;
    const late = runs.length - Math.min(runs.length, fresh);
    if (runs.length === 0) this.#noteSeen();
    for (const [index, time] of runs.entries()) this.#admit({ time, isLate: index < late });
  }

  /**
   * Runs it now, for an operator.
   *
   * @returns `null`: it runs already, and its overlap is not "allow".
   */
  runNow(): Promise<EndedRun> | null {
    const { overlap } = this.handler.schedule;
    const running = this.#running.size + this.#foreign.length;
    if (running > 0 && overlap !== "allow") return null;
    return this.#begin(this.#options.now(), { isManual: true });
  }

  /** Compares the runs of other processes with the journal. */
  compare(record: JobRecord | undefined): void {
    if (!this.isForeign || record === undefined) return;
    this.#resume(record);
    this.pump();
  }

  /** Lets no further run wait. */
  clear(): void {
    this.#waiting = [];
  }

  get #fields(): object {
    const { site, pattern, file, schedule } = this.handler;
    return { site, route: pattern, handler: file, cron: schedule.cron };
  }

  /** Takes over the state on disk, and finds runs that were interrupted. */
  #resume({ open, last }: JobRecord): void {
    const { now, journal, log } = this.#options;
    const nowMs = now();
    this.#last = last;
    if (last?.result === "done") this.#lastSuccessMs = last.startedMs + last.durationMs;
    const longestMs = this.handler.timeoutMs || UNLIMITED_MS;
    const others = open.filter(({ pid, startedMs }) => {
      return pid !== process.pid || startedMs < performance.timeOrigin;
    });
    this.#foreign = others.filter(({ pid, startedMs }) => {
      return pid !== process.pid && nowMs < startedMs + longestMs && isAlive(pid);
    });
    const lost = others.filter((run) => !this.#foreign.includes(run));
    for (const { time, startedMs, pid } of lost) {
      const durationMs = Math.max(0, nowMs - startedMs);
      const run = { time, startedMs, result: "interrupted", durationMs } as const;
      void journal.add({ at: "end", job: this.handler.id, pid, ...run });
      this.#last = run;
      this.#count("interrupted");
      const fields = { ...this.#fields, scheduledTime: toText(time), catchUp: this.#catchUp };
      log.warn(fields, "a scheduled run was interrupted: its server ended");
    }
    const again = lost.filter(({ manual }) => !manual).map(({ time }) => time);
    const redone = this.#catchUp === "all" ? again : this.#catchUp === "one" ? again.slice(-1) : [];
    for (const time of redone) this.#waiting.push({ time, isLate: true });
  }

  get #catchUp(): ScheduledHandler["schedule"]["catchUp"] {
    return this.handler.schedule.catchUp;
  }

  #admit(run: WaitingRun): void {
    const { overlap } = this.handler.schedule;
    const running = this.#running.size + this.#foreign.length;
    const step = decideOverlap(
      { running, waiting: this.#waiting.length },
      { overlap, isLate: run.isLate },
    );
    switch (step) {
      case "run":
        void this.#begin(run.time, { isManual: false });
        return;
      case "wait":
        this.#waiting.push(run);
        return;
      case "skip": {
        this.#skipped++;
        this.#noteSeen();
        const fields = { ...this.#fields, scheduledTime: toText(run.time), overlap };
        this.#options.log.warn(fields, "scheduled run left out: the run before has not ended");
      }
    }
  }

  #begin(time: number, { isManual }: { isManual: boolean }): Promise<EndedRun> {
    this.#startedMs = Math.max(this.#options.now(), this.#startedMs + 1);
    const run = this.#run(time, { startedMs: this.#startedMs, isManual });
    this.#running.add(run);
    void this.#follow(run);
    return run;
  }

  async #follow(run: Promise<EndedRun>): Promise<void> {
    const ended = await run;
    this.#running.delete(run);
    this.#tell(ended);
    this.pump();
  }

  async #run(
    time: number,
    { startedMs, isManual }: { startedMs: number; isManual: boolean },
  ): Promise<EndedRun> {
    const { journal, now, nextId, isStopped } = this.#options;
    const job = this.handler.id;
    const { pid } = process;
    const begin = { at: "begin", job, time, startedMs, pid, manual: isManual } as const;
    await settledWithin(journal.add(begin), DISK_MS);
    const sent = isStopped() ? null : await sendRun(this.handler, { time, id: nextId() });
    const durationMs = Math.max(0, Math.round(now() - startedMs));
    // The next process sees a run that has begun and not ended.
    const isCut = sent === null || (sent === "refused" && isStopped());
    const result: RunResult = isCut ? "interrupted" : sent;
    const run: EndedRun = { time, startedMs, result, durationMs };
    this.#last = run;
    this.#count(result);
    if (result === "done") this.#lastSuccessMs = startedMs + durationMs;
    if (!isCut) void journal.add({ at: "end", job, pid, ...run });
    return run;
  }

  #tell({ time, durationMs, result }: EndedRun): void {
    const { log } = this.#options;
    const fields = { ...this.#fields, scheduledTime: toText(time), durationMs, result };
    if (result === "done") log.info(fields, "scheduled run ended");
    else log.warn(fields, "scheduled run ended without success");
  }

  /** Begins the next run that waits, unless one runs. */
  pump(): void {
    if (this.#options.isStopped() || this.#running.size > 0 || this.isForeign) return;
    const next = this.#waiting.shift();
    if (next !== undefined) void this.#begin(next.time, { isManual: false });
  }

  #count(result: RunResult): void {
    this.#results[result] = (this.#results[result] ?? 0) + 1;
  }

  #noteSeen(): void {
    void this.#options.journal.add({ at: "seen", job: this.handler.id, time: this.#seenMs });
  }
}

/** RFC 3339. */
function toText(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}
