import { readdirSync, readFileSync } from "node:fs";

/** The kernel's facts about one process in `/proc/PID/stat`. */
export interface ProcessStat {
  readonly state: string;
  /** Its session. For a server: all processes that one of its commands started. */
  readonly session: number;
  /** Processor time of the process and of its ended, waited-for children. */
  readonly cpuMs: number;
  /** Processor time of the ended, waited-for children alone. */
  readonly childrenCpuMs: number;
}

/** The processor time of the whole machine, all cores together, since it started. */
export interface MachineCpu {
  readonly busyMs: number;
  /** Taken by other guests of the same host. */
  readonly stolenMs: number;
}

/** Parses a line of `/proc/PID/stat`; `undefined` if it is not one. */
export function parseStat(text: string): ProcessStat | undefined {
  // The second field is the program's name in parentheses, which may contain spaces and parentheses.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .trim()
    .split(" ");
  const [state, , , session] = fields;
  const [own = NaN, ownKernel = NaN, children = NaN, childrenKernel = NaN] = fields
    .slice(11, 15)
    .map((ticks) => Number(ticks) * TICK_MS);
  const childrenCpuMs = children + childrenKernel;
  const cpuMs = own + ownKernel + childrenCpuMs;
  if (state === undefined || session === undefined || Number.isNaN(cpuMs)) return undefined;
  return { state, session: Number(session), cpuMs, childrenCpuMs };
}

/** Parses the first line of `/proc/stat`. */
export function parseMachineCpu(text: string): MachineCpu {
  const ticks = /^cpu +(.*)$/m.exec(text)?.[1]?.split(" ").map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , interrupt = 0, softInterrupt = 0, steal = 0] = ticks;
  return {
    busyMs: (user + nice + system + interrupt + softInterrupt) * TICK_MS,
    stolenMs: steal * TICK_MS,
  };
}

/** Parses the proportional share of memory in `/proc/PID/smaps_rollup`, in bytes; 0 if it has none. */
export function parsePss(text: string): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/** Parses the limit of open files in `/proc/PID/limits`; `undefined` if it has none. */
export function parseOpenFilesLimit(text: string): number | undefined {
  const limit = /^Max open files\s+(\S+)/m.exec(text)?.[1];
  if (limit === undefined) return undefined;
  return limit === "unlimited" ? Infinity : Number(limit);
}

/** Returns the living processes of some sessions, by process id. */
export function readSessions(sessions: ReadonlySet<number>): ReadonlyMap<number, ProcessStat> {
  const found = new Map<number, ProcessStat>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = parseStat(readOrEmpty(`/proc/${name}/stat`));
    if (stat && stat.state !== "Z" && sessions.has(stat.session)) found.set(Number(name), stat);
  }
  return found;
}

/** Returns the processor time of the living processes of some sessions. */
export function readCpuMs(sessions: ReadonlySet<number>): number {
  return [...readSessions(sessions).values()].reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

/** Returns the memory of some processes together. Shared pages count once. */
export function readMemoryBytes(pids: Iterable<number>): number {
  let bytes = 0;
  for (const pid of pids) bytes += parsePss(readOrEmpty(`/proc/${pid}/smaps_rollup`));
  return bytes;
}

/** Returns the processor time of the programs that this process has started and that have ended. */
export function readOwnChildrenCpuMs(): number {
  return parseStat(readOrEmpty("/proc/self/stat"))?.childrenCpuMs ?? 0;
}

/**
 * Returns how many files, and so connections, a child of this process may have open.
 *
 * Node raises this process's limit to the maximum at its start, and children inherit it.
 */
export function readOpenFilesLimit(): number {
  return parseOpenFilesLimit(readOrEmpty("/proc/self/limits")) ?? Infinity;
}

export function readMachineCpu(): MachineCpu {
  return parseMachineCpu(readOrEmpty("/proc/stat"));
}

/** The kernel counts time in ticks of USER_HZ, which is 100 on every architecture that Node runs on. */
const TICK_MS = 10;

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // The process has ended between the listing and the reading.
  }
}
