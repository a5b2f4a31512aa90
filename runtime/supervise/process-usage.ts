import { readFileSync } from "node:fs";

/** Unit of times in `/proc/PID/stat`: sysconf(_SC_CLK_TCK) is 100 on all systems that Node runs on. */
const MS_PER_TICK = 10;

/** Returns the resident memory of a process, in bytes; `null` when it is gone or this is not Linux. */
export function readRssBytes(pid: number): number | null {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(read(pid, "status"))?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}

/** Returns the CPU time of a process, in ms; `null` when it is gone or this is not Linux. */
export function readCpuMs(pid: number): number | null {
  const stat = read(pid, "stat");
  // proc_pid_stat(5): the second field is a name in parentheses, which may contain anything. 14 and 15 are the times.
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
