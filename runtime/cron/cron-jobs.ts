import { isDeepStrictEqual } from "node:util";
import type { CronJobInfo, CronRunReport } from "../control/operations.ts";
import type { ScheduledHandler } from "../handlers/site-routes.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { ExchangeId } from "../http/client.ts";
import type { Logger } from "../log/log.ts";
import { CronJob, type CronJobOptions } from "./cron-job.ts";
import type { RedisStoreSetting } from "../lib/binding-settings.ts";
import type { Store } from "../stores/store.ts";
import { RunJournal } from "./journal.ts";
import { RunLeases } from "./run-leases.ts";

/** Longest time between two looks at the clock: it may be set, and timers stop while the machine sleeps. */
const LOOK_MS = 30_000;

/** Time between two looks at the runs of another process. */
const FOREIGN_MS = 1_000;

/** Waits and the time. Tests have their own. */
export interface CronClock {
  /** Returns the time in ms since 1970. */
  now: () => number;
  /** Calls back once after so many ms, and returns a function that prevents it. */
  after: (ms: number, callback: () => void) => () => void;
}

export interface CronJobsOptions {
  log: Logger;
  stateDir: string;
  nextId: () => ExchangeId;
  /** Called when a run has failed with this status. */
  onFailure: CronJobOptions["onFailure"];
  clock?: CronClock;
  /** Opens a store that servers share. */
  openStore?: (setting: RedisStoreSetting) => Promise<Store>;
  /** Time after which a server that is gone loses its run to another one. */
  leaseMs?: number;
}

/**
 * Begins the runs of all handlers with times, in one process for all workers.
 *
 *     created ──use()──▶ firing ──stop()──▶ no run begins ──close()──▶ the last run has ended
 */
export class CronJobs {
  readonly #options: CronJobsOptions;
  readonly #clock: CronClock;
  readonly #journal: RunJournal;
  /** By their id. */
  readonly #jobs = new Map<string, CronJob>();
  /** The store that decides between several servers; `null`: this server does all runs. */
  #shared: { setting: RedisStoreSetting; leases: RunLeases } | null = null;
  /** Ends the waits for other servers. */
  readonly #stopped = new AbortController();
  /** The calls of `use`, one after the other. */
  #using: Promise<void> = Promise.resolve();
  #cancelTimer: (() => void) | null = null;
  #isStopped = false;
  #hasStarted = false;
  /** Jobs that the present generation does not have, and whose runs have not ended, by their id. */
  readonly #removed = new Map<string, CronJob>();

  constructor(options: CronJobsOptions) {
    const { clock = SYSTEM_CLOCK, log, stateDir } = options;
    this.#options = options;
    this.#clock = clock;
    this.#journal = new RunJournal({
      stateDir,
      onProblem: (error) => log.warn({ err: error }, "runs of handlers are not noted on disk"),
    });
  }

  /** Describes the jobs, sorted by site and route. */
  get info(): CronJobInfo[] {
    const all = [...this.#jobs.values()].map(({ info }) => info);
    return all.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  /**
   * Fires for these handlers from now on. A job that was there before keeps its state, with its runs in flight.
   *
   * @param store The store that decides between several servers; `null`: this server does all runs.
   */
  use(
    handlers: readonly ScheduledHandler[],
    store: RedisStoreSetting | null = null,
  ): Promise<void> {
    this.#using = this.#useAfter(this.#using, { handlers, store });
    return this.#using;
  }

  /**
   * Runs a handler now, and waits for the end.
   *
   * @param name Its path as `edgicorn routes` shows it, or its file, also with the usual folder (`handlers/job.ts`).
   * @param cron Which of its times; `null`: it has only one.
   * @throws RuntimeError `ERR_CONFIG` if no handler or several have this name; `ERR_OVERLOADED` if it runs already.
   */
  async run(name: string, cron: string | null): Promise<CronRunReport> {
    const named = [...this.#jobs.values()].filter(({ handler }) => {
      const { site, pattern, file, schedule } = handler;
      const isFile = file === name || (site === "default" && `handlers/${file}` === name);
      return (pattern === name || isFile) && (cron === null || schedule.cron === cron);
    });
    const [job] = named;
    if (job === undefined || named.length > 1) {
      throw new RuntimeError("ERR_CONFIG", this.#describeChoice(name, named));
    }
    if (this.#isStopped) {
      throw new RuntimeError("ERR_DRAINING", `Cannot run ${name}: the server stops`);
    }
    const run = job.runNow();
    if (run === null) {
      throw new RuntimeError("ERR_OVERLOADED", `Cannot run ${name}: it runs already`);
    }
    const { result, durationMs } = await run;
    return { route: job.handler.pattern, cron: job.handler.schedule.cron, result, durationMs };
  }

  /** Begins no further run. Those in flight go on. */
  stop(): void {
    this.#isStopped = true;
    this.#stopped.abort();
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    for (const job of this.#jobs.values()) job.clear();
  }

  /** Stops, and resolves when the last run has ended and is in the journal. */
  async close(): Promise<void> {
    this.stop();
    // The caller of `use` has its failure.
    await this.#using.catch(() => {});
    const jobs = [...this.#jobs.values(), ...this.#removed.values()];
    await Promise.all(jobs.flatMap(({ running }) => running));
    await this.#journal.flushed();
    await this.#shared?.leases.close();
  }

  async #useAfter(
    before: Promise<void>,
    { handlers, store }: { handlers: readonly ScheduledHandler[]; store: RedisStoreSetting | null },
  ): Promise<void> {
    // The one before has told its own failure.
    await before.catch(() => {});
    await this.#useStore(store);
    await this.#use(handlers);
  }

  async #useStore(setting: RedisStoreSetting | null): Promise<void> {
    const before = this.#shared;
    if (this.#isStopped || isDeepStrictEqual(setting, before?.setting ?? null)) return;
    const { log, leaseMs, openStore = openRedisStore } = this.#options;
    const own = { log, stop: this.#stopped.signal };
    const options = leaseMs === undefined ? own : { ...own, leaseMs };
    this.#shared =
      setting === null
        ? null
        : { setting, leases: new RunLeases(await openStore(setting), options) };
    void before?.leases.replace();
  }

  async #use(handlers: readonly ScheduledHandler[]): Promise<void> {
    if (this.#isStopped) return;
    if (!this.#hasStarted) {
      this.#hasStarted = true;
      await this.#journal.shorten(this.#clock.now());
    }
    const isNew = handlers.some(({ id }) => !this.#jobs.has(id));
    const records = isNew ? await this.#journal.load() : new Map<string, never>();
    const begun = isNew ? await this.#listBegun(handlers) : new Map<string, never>();
    if (this.#isStopped) return;
    const ids = new Set(handlers.map(({ id }) => id));
    for (const [id, job] of this.#jobs) if (!ids.has(id)) this.#remove(id, job);
    for (const handler of handlers) {
      // A job that an earlier reload removed may still run.
      const known = this.#jobs.get(handler.id) ?? this.#removed.get(handler.id);
      this.#removed.delete(handler.id);
      if (known !== undefined) known.handler = handler;
      const job =
        known ??
        this.#create(handler, {
          record: records.get(handler.id),
          begun: begun.get(handler.id) ?? [],
        });
      this.#jobs.set(handler.id, job);
    }
    this.#tick();
  }

  #create(handler: ScheduledHandler, state: ConstructorParameters<typeof CronJob>[1]): CronJob {
    return new CronJob(handler, state, this.#jobOptions());
  }

  /** Returns the runs in flight of new jobs on other servers, by the id of the job. */
  async #listBegun(handlers: readonly ScheduledHandler[]): Promise<Map<string, number[]>> {
    const { leases } = this.#shared ?? {};
    if (leases === undefined) return new Map();
    const ids = handlers.map(({ id }) => id).filter((id) => !this.#jobs.has(id));
    const lists = ids.map(async (id) => [id, await leases.listBegun(id)] as const);
    return new Map(await Promise.all(lists));
  }

  #remove(id: string, job: CronJob): void {
    this.#jobs.delete(id);
    job.clear();
    this.#removed.set(id, job);
    void this.#forget(id, job);
  }

  /** Forgets a removed job once its runs have ended, unless it has come back. */
  async #forget(id: string, job: CronJob): Promise<void> {
    await Promise.all(job.running);
    // It may have come back and be removed again, with runs that have not ended.
    if (this.#removed.get(id) === job && job.running.length === 0) this.#removed.delete(id);
  }

  #jobOptions(): CronJobOptions {
    const { log, nextId, onFailure } = this.#options;
    return {
      onFailure,
      leases: () => this.#shared?.leases ?? null,
      log,
      journal: this.#journal,
      now: () => this.#clock.now(),
      nextId,
      isStopped: () => this.#isStopped,
    };
  }

  #tick(): void {
    if (this.#isStopped) return;
    for (const job of this.#jobs.values()) {
      try {
        job.tick();
      } catch (error) {
        // One job must not keep the others from running.
        this.#options.log.error({ err: error, job: job.handler.id }, "cannot run a job: bug");
      }
    }
    if (this.#journal.isLong) void this.#journal.shorten(this.#clock.now());
    this.#wait();
  }

  /** Sets the timer for the next run, or the next look at the clock. */
  #wait(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const jobs = [...this.#jobs.values()];
    if (jobs.length === 0) return;
    const nowMs = this.#clock.now();
    const isForeign = jobs.some((job) => job.isForeign);
    const longestMs = isForeign ? FOREIGN_MS : LOOK_MS;
    const nextMs = jobs.map((job) => (job.nextMs ?? Infinity) - nowMs);
    const ms = Math.max(1, Math.min(longestMs, ...nextMs));
    this.#cancelTimer = this.#clock.after(ms, () => {
      if (isForeign) void this.#compare();
      this.#tick();
    });
  }

  async #compare(): Promise<void> {
    const records = await this.#journal.load();
    for (const [id, job] of this.#jobs) job.compare(records.get(id));
  }

  #describeChoice(name: string, found: readonly CronJob[]): string {
    const all = found.length > 0 ? found : [...this.#jobs.values()];
    const shown = all.map(({ handler: { pattern, schedule } }) => `${pattern} "${schedule.cron}"`);
    const expected = shown.length === 0 ? "a handler with config.schedule" : shown.join(", ");
    return found.length > 0
      ? `Cannot run ${name}: found ${found.length} times, expected one of ${expected}`
      : `Cannot run ${name}: found no handler with times of this name, expected ${expected}`;
  }
}

function keyOf({ site, route, cron }: CronJobInfo): string {
  return `${site} ${route} ${cron}`;
}

async function openRedisStore(setting: RedisStoreSetting): Promise<Store> {
  const { createRedisStore } = await import("../stores/redis-store.ts");
  return createRedisStore(setting);
}

const SYSTEM_CLOCK: CronClock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
};
