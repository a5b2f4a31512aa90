import { readFileSync } from "node:fs";

/**
 * Tells whether the system has killed a process for its memory: the process itself only sees a SIGKILL.
 *
 * The counter is that of the control group, when it keeps one, else that of the machine; so a kill elsewhere on it may be
 * taken for one here.
 */
export class OomKills {
  readonly #read: () => number;
  #seen: number;

  constructor(read: () => number = openCounter()) {
    this.#read = read;
    this.#seen = read();
  }

  /** Whether there were any since it was asked or made. */
  grew(): boolean {
    const before = this.#seen;
    this.#seen = this.#read();
    return this.#seen > before;
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
