import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What each file descriptor of a process leads to: `/path/of/a/file`, `socket:[1234]`. */
export function openFilesOf(pid: number): string[] {
  const dir = `/proc/${pid}/fd`;
  return readdirSync(dir).flatMap((name) => {
    try {
      return [readlinkSync(`${dir}/${name}`)];
    } catch {
      // Closed since the folder was read.
      return [];
    }
  });
}

/** How many sockets a process has open. */
export function socketsOf(pid: number): number {
  return openFilesOf(pid).filter((target) => target.startsWith("socket:")).length;
}

/** How much memory a process has in use, in bytes. */
export function residentBytesOf(pid: number): number {
  const [, kib = ""] =
    /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}

/** How much memory a process has had in use at most, in bytes. */
export function peakBytesOf(pid: number): number {
  const [, kib = ""] =
    /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}
