import { appendFile, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Results of a run. `interrupted`: the server ended during the run; `elsewhere`: another server has dealt
 * with its time; `left out`: a later run makes up for it.
 */
export type RunResult =
  | "done"
  | "failed"
  | "timed out"
  | "worker lost"
  | "refused"
  | "interrupted"
  | "elsewhere"
  | "left out";

/** One line of the journal. Times are in ms since 1970. */
export type JournalEntry =
  /** The job is known from this time on, or the times up to this one have been dealt with. */
  | { at: "seen"; job: string; time: number }
  /** A run for this time waits. */
  | { at: "wait"; job: string; time: number }
  /** The time gets no run. */
  | { at: "drop"; job: string; time: number }
  | { at: "begin"; job: string; time: number; startedMs: number; pid: number; manual: boolean }
  | {
      at: "end";
      job: string;
      time: number;
      startedMs: number;
      pid: number;
      result: RunResult;
      durationMs: number;
    };

/** A run that has begun and not ended. */
export interface OpenRun {
  readonly time: number;
  readonly startedMs: number;
  readonly pid: number;
  readonly manual: boolean;
}

/** The last run of a job that has ended. */
export interface EndedRun {
  readonly time: number;
  readonly startedMs: number;
  readonly result: RunResult;
  readonly durationMs: number;
}

/** The state of a job in the journal. */
export interface JobRecord {
  /** The last time that has been dealt with. */
  readonly seenMs: number;
  readonly open: readonly OpenRun[];
  /** Times whose runs wait, oldest first. */
  readonly waiting: readonly number[];
  readonly last: EndedRun | null;
}

/** Name of the journal in the state folder. */
const JOURNAL_FILE = "cron.jsonl";

/** A journal that is longer is written anew, with the state of each job only. */
const LONGEST_BYTES = 256 * 1024;

/** Jobs that no server has had for this long are forgotten. */
const FORGET_MS = 400 * 24 * 3_600_000;

/** Most runs of one job that are kept as open, and most that wait. */
const MOST_OPEN = 100;

/**
 * Computes the state of each job from the lines of a journal. Damaged lines, such as the last one after a power failure, do
 * not count.
 */
export function foldJournal(text: string): Map<string, JobRecord> {
  const records = new Map<string, JobRecord>();
  for (const line of text.split("\n")) {
    const entry = parseEntry(line);
    if (entry !== null) records.set(entry.job, apply(records.get(entry.job), entry));
  }
  return records;
}

function apply(before: JobRecord = NEW_RECORD, entry: JournalEntry): JobRecord {
  switch (entry.at) {
    case "seen":
      return { ...before, seenMs: Math.max(before.seenMs, entry.time) };
    case "wait": {
      const waiting = [...without(before.waiting, entry.time), entry.time];
      const sorted = waiting.toSorted((a, b) => a - b).slice(-MOST_OPEN);
      return { ...before, seenMs: Math.max(before.seenMs, entry.time), waiting: sorted };
    }
    case "drop": {
      const waiting = without(before.waiting, entry.time);
      return { ...before, seenMs: Math.max(before.seenMs, entry.time), waiting };
    }
    case "begin": {
      const { time, startedMs, pid, manual } = entry;
      const seenMs = manual ? before.seenMs : Math.max(before.seenMs, time);
      const open = [...before.open, { time, startedMs, pid, manual }].slice(-MOST_OPEN);
      const waiting = manual ? before.waiting : without(before.waiting, time);
      return { ...before, seenMs, open, waiting };
    }
    case "end": {
      const { time, startedMs, pid, result, durationMs } = entry;
      const open = before.open.filter((run) => run.startedMs !== startedMs || run.pid !== pid);
      return { ...before, open, last: { time, startedMs, result, durationMs } };
    }
  }
}

function without(times: readonly number[], time: number): number[] {
  return times.filter((each) => each !== time);
}

const NEW_RECORD: JobRecord = { seenMs: 0, open: [], waiting: [], last: null };

/** @returns `null`: the line is empty, damaged, or of another version. */
function parseEntry(line: string): JournalEntry | null {
  if (line === "") return null;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) return null;
    const { at, job, time, startedMs, pid, durationMs, result } = value as Record<string, unknown>;
    if (typeof job !== "string" || typeof time !== "number") return null;
    const isRun = typeof startedMs === "number" && typeof pid === "number";
    const isEnd = isRun && typeof durationMs === "number" && typeof result === "string";
    const isTime = at === "seen" || at === "wait" || at === "drop";
    const isValid = isTime || (at === "begin" && isRun) || (at === "end" && isEnd);
    // Its members have the types of the kind. A result of a later version is shown as it is.
    return isValid ? (value as JournalEntry) : null;
  } catch {
    return null;
  }
}

export interface RunJournalOptions {
  stateDir: string;
  /** Called when the disk refuses a write, and again only after a write has succeeded. */
  onProblem: (error: unknown) => void;
}

/**
 * The runs of all jobs, in a file: one line for each event. Several processes may write to it at the same time, as during an
 * upgrade.
 */
export class RunJournal {
  readonly #path: string;
  readonly #onProblem: (error: unknown) => void;
  /** The writes so far, one after the other. */
  #writing: Promise<void> = Promise.resolve();
  #waiting: JournalEntry[] = [];
  #isFailing = false;
  /** Bytes that were written since the journal was last short. */
  #writtenBytes = 0;

  constructor({ stateDir, onProblem }: RunJournalOptions) {
    this.#path = join(stateDir, JOURNAL_FILE);
    this.#onProblem = onProblem;
  }

  /** Returns the state of each job. A journal that is missing or cannot be read is empty. */
  async load(): Promise<Map<string, JobRecord>> {
    try {
      return foldJournal(await readFile(this.#path, "utf8"));
    } catch (error) {
      if (!isMissing(error)) this.#note(error);
      return new Map();
    }
  }

  /** Whether so much was written that the journal should be written anew. */
  get isLong(): boolean {
    return this.#writtenBytes > LONGEST_BYTES;
  }

  /** Writes a long journal anew. Only the process that fires may do this. */
  shorten(nowMs: number): Promise<void> {
    this.#writing = this.#writing.then(() => this.#shorten(nowMs));
    return this.#writing;
  }

  /**
   * Adds a line. Resolves when the kernel has it, or has refused it; never rejects. A crash of the machine may lose the last
   * lines, a crash of the process none.
   */
  add(entry: JournalEntry): Promise<void> {
    this.#waiting.push(entry);
    if (this.#waiting.length === 1) this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Resolves when all lines so far have been written. */
  flushed(): Promise<void> {
    return this.#writing;
  }

  async #write(): Promise<void> {
    const entries = this.#waiting;
    this.#waiting = [];
    try {
      // A line feed in front ends a line that a power failure has cut off.
      const text = entries.map((entry) => `\n${JSON.stringify(entry)}`).join("");
      await appendFile(this.#path, `${text}\n`, { mode: 0o600 });
      this.#writtenBytes += text.length;
      this.#isFailing = false;
    } catch (error) {
      this.#note(error);
    }
  }

  async #shorten(nowMs: number): Promise<void> {
    this.#writtenBytes = 0;
    try {
      const { size } = await stat(this.#path);
      if (size <= LONGEST_BYTES) return;
      const records = foldJournal(await readFile(this.#path, "utf8"));
      const kept = [...records].filter(([, { seenMs, last }]) => {
        return nowMs - Math.max(seenMs, last?.startedMs ?? 0) < FORGET_MS;
      });
      const lines = kept.flatMap(([job, record]) => toEntries(job, record));
      const draft = `${this.#path}.${process.pid}`;
      await writeFile(draft, lines.map((line) => `${JSON.stringify(line)}\n`).join(""), {
        mode: 0o600,
      });
      await rename(draft, this.#path);
    } catch (error) {
      if (!isMissing(error)) this.#note(error);
    }
  }

  #note(error: unknown): void {
    if (!this.#isFailing) this.#onProblem(error);
    this.#isFailing = true;
  }
}

/** Returns lines from which `foldJournal` computes the record. */
function toEntries(job: string, { seenMs, open, waiting, last }: JobRecord): JournalEntry[] {
  return [
    { at: "seen", job, time: seenMs },
    ...(last === null ? [] : [{ at: "end", job, pid: 0, ...last } as const]),
    ...open.map((run) => ({ at: "begin", job, ...run }) as const),
    ...waiting.map((time) => ({ at: "wait", job, time }) as const),
  ];
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
