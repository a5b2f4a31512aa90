import type { CronJobInfo } from "../control/operations.ts";
import type { ScheduledHandler } from "../handlers/site-routes.ts";
import type { ExchangeId } from "../http/client.ts";
import { CronTimes } from "../lib/cron-times.ts";
import { isAlive } from "../lib/is-alive.ts";
import { settledWithin } from "../lib/settled-within.ts";
import type { Logger } from "../log/log.ts";
import {
  decideDue,
  decideOverlap,
  LATE_MS,
  mayBegin,
  MOST_WAITING,
  pickStart,
} from "./decide-due.ts";
import type { EndedRun, JobRecord, OpenRun, RunJournal, RunResult } from "./journal.ts";
import type { Claim, RunLease, RunLeases, RunTime } from "./run-leases.ts";
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
  /** Returns the leases that decide between several servers; `null`: this server does all runs. */
  leases: () => RunLeases | null;
  /** Whether the server has stopped to begin runs. */
  isStopped: () => boolean;
}

/** A run that waits for the run before. */
interface WaitingRun {
  readonly time: number;
  /** It makes up for a missed or interrupted one. */
  readonly isLate: boolean;
  /** No run for this time has begun here. */
  readonly isMissed: boolean;
}

/**
 * One handler with one of its times.
 *
 *     due ──▶ begins ──▶ a worker runs it ──▶ ended: done, failed, timed out, worker lost, refused
 *      ├──▶ waits ──▲  └──▶ another server has dealt with it: elsewhere
 *      └──▶ left out
 */
export class CronJob {
  handler: ScheduledHandler;
  readonly #options: CronJobOptions;
  readonly #times: CronTimes;
  /** The last time that has been dealt with. */
  #seenMs: number;
  #nextMs: number | null;
  /** The runs that have begun, with their times. */
  readonly #running = new Map<Promise<EndedRun>, number>();
  /** Number of these whose time another server may be dealing with. */
  #claiming = 0;
  #waiting: WaitingRun[] = [];
  /** Times without a finished run that the next look decides about. */
  #owed: number[] = [];
  #runningLate = 0;
  /** Changes when the waiting runs are cleared. */
  #epoch = 0;
  /** Runs that another process has begun and may still run. */
  #foreign: OpenRun[] = [];
  #last: EndedRun | null = null;
  #lastSuccessMs: number | null = null;
  /** When the last run began: no two runs begin at the same time. */
  #startedMs = 0;
  readonly #results: Partial<Record<RunResult, number>> = {};
  #skipped = 0;
  #missed = 0;

  /**
   * @param state.record Its state in the journal; `undefined`: no server has had it.
   * @param state.begun Times whose runs other servers have begun and not ended.
   */
  constructor(
    handler: ScheduledHandler,
    { record, begun }: { record: JobRecord | undefined; begun: readonly number[] },
    options: CronJobOptions,
  ) {
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
    this.#owed.push(...begun);
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
    return [...this.#running.keys()];
  }

  /** Runs that this server or an earlier process of it does. */
  get #runningHere(): number {
    return this.#running.size - this.#claiming + this.#foreign.length;
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
      running: this.#runningHere,
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
      const isOwed = owed.includes(time);
      const isMissed = nowMs - time > LATE_MS && !isOwed;
      this.#admit({ time, isLate: isMissed || isOwed, isMissed });
    }
  }

  /**
   * Runs it now, for an operator.
   *
   * @returns `null`: it runs already, and its overlap is not "allow".
   */
  runNow(): Promise<EndedRun> | null {
    const { overlap } = this.handler.schedule;
    if (this.#runningHere > 0 && overlap !== "allow") return null;
    const run = { time: this.#options.now(), isLate: false, isMissed: false };
    return this.#begin(run, { isManual: true });
  }

  /** Compares the runs of other processes with the journal. */
  compare(record: JobRecord | undefined): void {
    if (!this.isForeign || record === undefined) return;
    this.#resume(record);
    this.tick();
  }

  /** Lets no further run wait, neither here nor for another server. The journal has those that waited. */
  clear(): void {
    this.#epoch++;
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
    if (this.#claiming >= MOST_WAITING) {
      this.#leaveOut(run.time);
      return;
    }
    const step = decideOverlap(
      { running: this.#runningHere, waiting: this.#waiting.length },
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
      case "skip":
        this.#leaveOut(run.time);
        void this.#options
          .leases()
          ?.noteResult({ job: this.handler.id, time: run.time }, "left out");
    }
  }

  #leaveOut(time: number): void {
    this.#skipped++;
    this.#note("drop", time);
    const { overlap } = this.handler.schedule;
    const fields = { ...this.#fields, scheduledTime: toText(time), overlap };
    this.#options.log.warn(fields, "scheduled run left out: the run before has not ended");
  }

  #begin(given: WaitingRun, { isManual }: { isManual: boolean }): Promise<EndedRun> {
    const { time, isLate } = given;
    const leases = isManual ? null : this.#options.leases();
    const run = leases === null ? this.#run(time, { isManual }) : this.#claim(given, leases);
    this.#running.set(run, time);
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

  /** Runs it, unless another server does. */
  async #claim({ time, isMissed }: WaitingRun, leases: RunLeases): Promise<EndedRun> {
    const { isStopped, now } = this.#options;
    const { id, schedule } = this.handler;
    const startedMs = now();
    this.#note("wait", time);
    this.#claiming++;
    const mayOverlap = schedule.overlap === "allow";
    const epoch = this.#epoch;
    const run = { job: id, time, mayOverlap, isMissed };
    const { claim, by } = await this.#claimFrom(leases, run);
    this.#claiming--;
    const isCleared = isStopped() || epoch !== this.#epoch;
    const lease = claim.kind === "mine" ? claim.lease : null;
    const isMine = lease !== null || claim.kind === "replaced";
    if (isMine && !isCleared && !this.#isMadeUpFor(time)) {
      const ended = await this.#run(time, { isManual: false, lease });
      this.#share(ended, by);
      return ended;
    }
    const durationMs = Math.max(0, now() - startedMs);
    if (isCleared) {
      await lease?.end(null);
      // It waits again: the journal has it.
      this.#owed.push(time);
      return { time, startedMs, result: "left out", durationMs };
    }
    const result = isMine ? "left out" : "elsewhere";
    if (isMine) {
      await lease?.end(result);
      this.#leaveOut(time);
    } else this.#note("drop", time);
    this.#count(result);
    this.#last = { time, startedMs, result, durationMs };
    return this.#last;
  }

  /**
   * Asks a store whether this server may do a run. If a reload has replaced a store that gives no answer, the present one decides.
   *
   * @returns `by`: the store that has decided; `null`: there is none any more, and this server does all runs.
   */
  async #claimFrom(
    leases: RunLeases,
    run: RunTime,
  ): Promise<{ claim: Claim; by: RunLeases | null }> {
    const claim = await leases.claim(run);
    if (claim.kind !== "replaced") return { claim, by: leases };
    const present = this.#options.leases();
    return present === null ? { claim, by: null } : this.#claimFrom(present, run);
  }

  /** Whether a later run makes up for a time that comes late, as after the store was gone. */
  #isMadeUpFor(time: number): boolean {
    const { overlap, catchUp } = this.handler.schedule;
    if (overlap !== "skip" || catchUp === "all") return false;
    const isLate = this.#options.now() - time > LATE_MS;
    return isLate && [...this.#running.values()].some((other) => other > time);
  }

  /** Tells other servers about a run that has ended. A store that a reload has chosen meanwhile learns of the run here. */
  #share({ time, result }: EndedRun, by: RunLeases | null): void {
    const leases = this.#options.leases();
    if (leases === null) return;
    if (leases !== by && result !== "interrupted") {
      void leases.noteResult({ job: this.handler.id, time }, result);
    }
    // Up to this time, this server has dealt with all.
    const open = [...this.#running.values(), ...this.#waiting.map((run) => run.time)];
    const earliest = Math.min(...open.filter((other) => other !== time), ...this.#owed);
    void leases.noteSeen(this.handler.id, Math.min(this.#seenMs, earliest - 1));
  }

  async #run(
    time: number,
    { isManual, lease = null }: { isManual: boolean; lease?: RunLease | null },
  ): Promise<EndedRun> {
    const { journal, now, nextId, isStopped, onFailure } = this.#options;
    const job = this.handler.id;
    const { pid } = process;
    this.#startedMs = Math.max(now(), this.#startedMs + 1);
    const startedMs = this.#startedMs;
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
    await lease?.end(isCut ? null : result);
    return run;
  }

  #tell({ time, durationMs, result }: EndedRun): void {
    const { log } = this.#options;
    const fields = { ...this.#fields, scheduledTime: toText(time), durationMs, result };
    if (result === "done") log.info(fields, "scheduled run ended");
    else if (result === "elsewhere") log.info(fields, "another server does the scheduled run");
    // Left out: the log has it already.
    else if (result !== "left out") log.warn(fields, "scheduled run ended without success");
  }

  /** Begins the runs that wait, as far as they may begin. */
  pump(): void {
    const { overlap } = this.handler.schedule;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const running = this.#runningHere;
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
