import { readFileSync } from "node:fs";

/** How far back a kill may be that explains an exit: the exit is told at once, but this process may be busy. */
const WINDOW_MS = 2_000;

/**
 * Tells whether the system has killed a process for its memory: the process itself only sees a SIGKILL.
 *
 * The counter is that of the control group, when it keeps one, else that of the machine: it counts the kills of others
 * too, so a kill explains an exit only if it was of late, and each explains one. All workers of a primary share one of
 * these.
 */
export class OomKills {
  readonly #read: () => number;
  /** What the counter was when it was looked at last, and before that: at least a window ago. */
  #last: { total: number; ms: number };
  #before: number;

  constructor(read: () => number = openCounter()) {
    this.#read = read;
    this.#before = read();
    this.#last = { total: this.#before, ms: -Infinity };
  }

  /** To be called every now and then: kills that nobody has asked about by the second time are not ours. */
  look(nowMs: number): void {
    if (nowMs - this.#last.ms < WINDOW_MS) return;
    this.#before = this.#last.total;
    this.#last = { total: this.#read(), ms: nowMs };
  }

  /** Whether there was one of late that has not explained another exit. */
  take(): boolean {
    if (this.#read() <= this.#before) return false;
    this.#before++;
    return true;
  }
}

/** The number after `oom_kill` in a file of lines `name number`; `null`: it has none. */
export function parseOomKills(text: string): number | null {
  const digits = /^oom_kill (\d+)$/m.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Returns what reads the most precise counter that is there; without any, what always says 0. */
function openCounter(): () => number {
  const files = [...cgroupFiles(readText("/proc/self/cgroup")), "/proc/vmstat"];
  const file = files.find((each) => parseOomKills(readText(each)) !== null);
  return file === undefined ? () => 0 : () => parseOomKills(readText(file)) ?? 0;
}

/** Where a control group may count (cgroups(7)): version 2 in `memory.events`, version 1 in `memory.oom_control`. */
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
