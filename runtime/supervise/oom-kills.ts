import { readFileSync } from "node:fs";

/** Text of messages about a worker that the kernel killed for its memory. */
export const OOM_KILL = "the kernel killed it because memory ran out";

/**
 * Longest time between a kill and the exit that it explains: the exit is reported at once, but this process may be
 * busy.
 */
const WINDOW_MS = 2_000;

/**
 * Tells whether the system has killed a process for its memory: the exit only shows a SIGKILL.
 *
 * Reads the counter of the control group or, if the group has none, of the machine. The counter includes kills of other
 * processes. Therefore a kill explains an exit only if it is recent, and each kill explains one exit. All workers of a
 * primary share one object.
 */
export class OomKills {
  readonly #read: () => number;
  /** The counter at the last reading, and at the one before: at least a window ago. */
  #last: { total: number; ms: number };
  #before: number;

  constructor(read: () => number = openCounter()) {
    this.#read = read;
    this.#before = read();
    this.#last = { total: this.#before, ms: -Infinity };
  }

  /**
   * Reads the counter. Call it regularly: a kill that explains no exit by the second reading hit another process.
   */
  look(nowMs: number): void {
    if (nowMs - this.#last.ms < WINDOW_MS) return;
    // Kills that have explained an exit stay used up.
    this.#before = Math.max(this.#before, this.#last.total);
    this.#last = { total: this.#read(), ms: nowMs };
  }

  /** Returns whether there is a recent kill that has not explained another exit, and uses it up. */
  take(): boolean {
    if (this.#read() <= this.#before) return false;
    this.#before++;
    return true;
  }
}

/** Returns the number after `oom_kill` in a file of lines `name number`; `null`: it has none. */
export function parseOomKills(text: string): number | null {
  const digits = /^oom_kill (\d+)$/m.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Returns a reader of the most precise counter; without any, a function that returns 0. */
function openCounter(): () => number {
  const files = [...cgroupFiles(readText("/proc/self/cgroup")), "/proc/vmstat"];
  const file = files.find((each) => parseOomKills(readText(each)) !== null);
  return file === undefined ? () => 0 : () => parseOomKills(readText(file)) ?? 0;
}

/**
 * Returns the counter files of control groups (cgroups(7)): version 2 has `memory.events`, version 1
 * `memory.oom_control`.
 */
export function cgroupFiles(membership: string): string[] {
  return membership.split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === "" && path !== undefined) return [`/sys/fs/cgroup${path}/memory.events`];
    if (controllers?.split(",").includes("memory") !== true) return [];
    return [`/sys/fs/cgroup/memory${path}/memory.oom_control`];
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // Not Linux, or another version of control groups.
    return "";
  }
}
