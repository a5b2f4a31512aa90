import { readFileSync } from "node:fs";

/**
 * Tells whether the kernel moves waiting connections from a closing listener to another one on the same port (Linux
 * 5.14).
 */
export function keepsConnections(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").trim() !== "0";
  } catch {
    // An older kernel, or another system.
    return false;
  }
}
