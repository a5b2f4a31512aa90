import { readFileSync } from "node:fs";

/** Of `/proc/PID/stat`, whatever the kernel counts in: sysconf(_SC_CLK_TCK), 100 on all that Node runs on. */
const MS_PER_TICK = 10;

/** How much memory a process holds, resident set, in bytes; `null` when it is gone or this is not Linux. */
export function readRssBytes(pid: number): number | null {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(read(pid, "status"))?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}

/** How much CPU time a process has used, in ms; `null` when it is gone or this is not Linux. */
export function readCpuMs(pid: number): number | null {
  const stat = read(pid, "stat");
  // proc_pid_stat(5): the second field is a name in parentheses and may hold anything; the 14th and 15th are the times.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isNaN(ticks) ? null : ticks * MS_PER_TICK;
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}
