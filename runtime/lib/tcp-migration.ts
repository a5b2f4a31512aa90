import { readFileSync } from "node:fs";

/** Whether the kernel gives the waiting connections of a closing listener to another one on the same port (Linux 5.14). */
export function keepsConnections(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").trim() !== "0";
  } catch {
    // An older kernel, or another system.
    return false;
  }
}
