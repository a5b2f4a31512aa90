import type { CronJobInfo } from "../control/operations.ts";
import type { ScheduledHandler } from "../handlers/site-routes.ts";
import type { ExchangeId } from "../http/client.ts";
import { CronTimes } from "../lib/cron-times.ts";
import { isAlive } from "../lib/is-alive.ts";
import { settledWithin } from "../lib/settled-within.ts";
import type { Logger } from "../log/log.ts";
import { decideDue, decideOverlap, LATE_MS, mayBegin, pickStart } from "./decide-due.ts";
import type { EndedRun, JobRecord, OpenRun, RunJournal, RunResult } from "./journal.ts";
import { sendRun, type SendRunOptions } from "./send-run.ts";

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
  /** Called when a run has failed with this status. */
  onFailure: SendRunOptions["onFailure"];
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
  /** Times without a finished run that the next look decides about. */
  #owed: number[] = [];
  #runningLate = 0;
  /** Runs that another process has begun and may still run. */
  #foreign: OpenRun[] = [];
  #last: EndedRun | null = null;
  #lastSuccessMs: number | null = null;
  /** When the last run began: no two runs begin at the same time. */
  #startedMs = 0;
  readonly #results: Partial<Record<RunResult, number>> = {};
  #skipped = 0;
  #missed = 0;

  /** @param record Its state in the journal; `undefined`: no server has had it. */
  constructor(handler: ScheduledHandler, record: JobRecord | undefined, options: CronJobOptions) {
    this.handler = handler;
    this.#options = options;
    this.#times = new CronTimes(handler.schedule);
    const nowMs = options.now();
    this.#seenMs = pickStart(record?.seenMs ?? nowMs, nowMs);
    this.#nextMs = this.#times.next(this.#seenMs);
    if (record === undefined) this.#noteSeen();
    else {
      this.#owed = [...record.waiting];
      this.#resume(record);
    }
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
    const isDue = this.#nextMs !== null && this.#nextMs <= nowMs;
    if (isDue || this.#owed.length > 0) this.#decide(nowMs, { isDue });
    this.pump();
  }

  #decide(nowMs: number, { isDue }: { isDue: boolean }): void {
    const { times, hasMore } = isDue
      ? this.#times.between(this.#seenMs, nowMs)
      : { times: [], hasMore: false };
    if (isDue) {
      this.#seenMs = times.at(-1) ?? nowMs;
      this.#nextMs = this.#times.next(this.#seenMs);
    }
    const { catchUp } = this.handler.schedule;
    const owed = this.#owed;
    this.#owed = [];
    const { runs, missed } = decideDue(times, { nowMs, catchUp, owed });
    if (missed > 0) {
      this.#missed += missed;
      const made = runs.length;
      const fields = { ...this.#fields, missed, ...(hasMore && { andMore: true }), catchUp };
      this.#options.log.warn({ ...fields, runs: made }, "scheduled runs were missed");
    }
    for (const time of owed) if (!runs.includes(time)) this.#note("drop", time);
    if (runs.length === 0 && isDue) this.#noteSeen();
    for (const time of runs) {
      this.#admit({ time, isLate: nowMs - time > LATE_MS || owed.includes(time) });
    }
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
    return this.#begin({ time: this.#options.now(), isLate: false }, { isManual: true });
  }

  /** Compares the runs of other processes with the journal. */
  compare(record: JobRecord | undefined): void {
    if (!this.isForeign || record === undefined) return;
    this.#resume(record);
    this.tick();
  }

  /** Lets no further run wait. The journal has those that waited. */
  clear(): void {
    this.#owed.push(...this.#waiting.map(({ time }) => time));
    this.#waiting = [];
  }

  get #fields(): object {
    const { site, pattern, file, schedule } = this.handler;
    return { site, route: pattern, handler: file, cron: schedule.cron };
  }

  /** Takes over the state in the journal, and finds runs that were interrupted. */
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
    for (const { time, startedMs, pid, manual } of lost) {
      // Before the line that ends it: a crash in between must not lose the time.
      if (!manual) this.#note("wait", time);
      const durationMs = Math.max(0, nowMs - startedMs);
      const run = { time, startedMs, result: "interrupted", durationMs } as const;
      void journal.add({ at: "end", job: this.handler.id, pid, ...run });
      this.#last = run;
      this.#count("interrupted");
      const fields = { ...this.#fields, scheduledTime: toText(time), catchUp: this.#catchUp };
      log.warn(fields, "a scheduled run was interrupted: its server ended");
    }
    this.#owed.push(...lost.filter(({ manual }) => !manual).map(({ time }) => time));
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
        void this.#begin(run, { isManual: false });
        return;
      case "wait":
        this.#note("wait", run.time);
        this.#waiting.push(run);
        return;
      case "skip": {
        this.#skipped++;
        this.#note("drop", run.time);
        const fields = { ...this.#fields, scheduledTime: toText(run.time), overlap };
        this.#options.log.warn(fields, "scheduled run left out: the run before has not ended");
      }
    }
  }

  #begin({ time, isLate }: WaitingRun, { isManual }: { isManual: boolean }): Promise<EndedRun> {
    this.#startedMs = Math.max(this.#options.now(), this.#startedMs + 1);
    const run = this.#run(time, { startedMs: this.#startedMs, isManual });
    this.#running.add(run);
    if (isLate) this.#runningLate++;
    void this.#follow(run, { isLate });
    return run;
  }

  async #follow(run: Promise<EndedRun>, { isLate }: { isLate: boolean }): Promise<void> {
    const ended = await run;
    this.#running.delete(run);
    if (isLate) this.#runningLate--;
    this.#tell(ended);
    this.pump();
  }

  async #run(
    time: number,
    { startedMs, isManual }: { startedMs: number; isManual: boolean },
  ): Promise<EndedRun> {
    const { journal, now, nextId, isStopped, onFailure } = this.#options;
    const job = this.handler.id;
    const { pid } = process;
    const begin = { at: "begin", job, time, startedMs, pid, manual: isManual } as const;
    await settledWithin(journal.add(begin), DISK_MS);
    const sent = isStopped()
      ? null
      : await sendRun(this.handler, { time, id: nextId(), onFailure });
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

  /** Begins the runs that wait, as far as they may begin. */
  pump(): void {
    const { overlap } = this.handler.schedule;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const running = this.#running.size + this.#foreign.length;
      const runningLate = this.#runningLate;
      const { isLate } = next;
      if (this.#options.isStopped()) return;
      if (!mayBegin({ running, runningLate }, { overlap, isLate })) return;
      this.#waiting.shift();
      void this.#begin(next, { isManual: false });
    }
  }

  #count(result: RunResult): void {
    this.#results[result] = (this.#results[result] ?? 0) + 1;
  }

  #noteSeen(): void {
    this.#note("seen", this.#seenMs);
  }

  #note(at: "seen" | "wait" | "drop", time: number): void {
    void this.#options.journal.add({ at, job: this.handler.id, time });
  }
}

/** RFC 3339. */
function toText(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}
