import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The process that listens on a port of this machine, or of this container. */
export interface PortOwner {
  /** Process id; `null`: the process belongs to another user, and the kernel hides it. */
  pid: number | null;
  /** Name of its program, such as `nginx`; `null`: unknown. */
  program: string | null;
}

/**
 * Finds the process that listens on a TCP port, without connecting to it. For error messages.
 *
 * @returns `null` when no process listens, and on systems without `/proc` (all but Linux).
 */
export function findPortOwner(port: number): PortOwner | null {
  const inode = findListeningInode(port);
  if (inode === null) return null;
  const pid = findHolder(`socket:[${inode}]`);
  return { pid, program: pid === null ? null : read(`/proc/${pid}/comm`)?.trim() || null };
}

/** Returns `process 123 (nginx)`, or as much of it as is known. */
export function describePortOwner({ pid, program }: PortOwner): string {
  if (pid === null) return "a program of another user";
  return program === null ? `process ${pid}` : `process ${pid} (${program})`;
}

/**
 * Tells whether this process may listen on a port. Ports below `net.ipv4.ip_unprivileged_port_start` need a capability.
 * Returns `true` where that value cannot be read.
 */
export function mayListen(port: number): boolean {
  const first = read("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  const effective = /^CapEff:\s*([\da-f]+)$/m.exec(read("/proc/self/status") ?? "")?.[1];
  if (first === null || effective === undefined || port >= Number(first)) return true;
  return (BigInt(`0x${effective}`) & CAP_NET_BIND_SERVICE) !== 0n;
}

const CAP_NET_BIND_SERVICE = 1n << 10n;

/** The state of a socket that listens, in `/proc/net/tcp`. */
const LISTEN = "0A";

function findListeningInode(port: number): string | null {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of read(table)?.split("\n").slice(1) ?? []) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (state === LISTEN && local.endsWith(suffix)) return inode;
    }
  }
  return null;
}

/** Returns the process that has this file descriptor open; `null` when it belongs to another user. */
function findHolder(target: string): number | null {
  for (const name of list("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    for (const descriptor of list(`/proc/${name}/fd`)) {
      if (readLink(`/proc/${name}/fd/${descriptor}`) === target) return Number(name);
    }
  }
  return null;
}

// These three functions return nothing when the process is gone or belongs to another user.

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readLink(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
