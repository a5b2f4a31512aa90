import { open, readdir, readlink } from "node:fs/promises";

/** Room for more than a thousand lines. Listening sockets come first in the table. */
const TABLE_BYTES = 256 * 1024;

/** Returns the ports on which a process listens at 127.0.0.1. Linux only; rejects when the process is gone. */
export async function findLoopbackPorts(pid: number): Promise<number[]> {
  const listeners = parseListeners(await readStart(`/proc/${pid}/net/tcp`));
  if (listeners.length === 0) return [];
  const sockets = new Set(await readSockets(pid));
  return listeners.filter(({ inode }) => sockets.has(inode)).map(({ port }) => port);
}

/** A socket that listens at 127.0.0.1. */
export interface Listener {
  port: number;
  /** Identifies the socket on this machine. */
  inode: string;
}

/** Parses `/proc/net/tcp` (proc_pid_net(5)), which may be cut off anywhere. */
export function parseListeners(table: string): Listener[] {
  return [...table.matchAll(LISTENER)].map(({ groups }) => ({
    port: Number.parseInt(groups?.["port"] ?? "", 16),
    inode: groups?.["inode"] ?? "",
  }));
}

/** Line number, local address and port, remote ones, state 0A (listening), five columns of counters, inode. */
const LISTENER =
  /^ *\d+: (?:0100007F|7F000001):(?<port>[\dA-F]{4}) 0{8}:0{4} 0A \S+ \S+ \S+ +\d+ +\d+ (?<inode>\d+) /gm;

async function readStart(path: string): Promise<string> {
  const file = await open(path);
  try {
    const buffer = Buffer.alloc(TABLE_BYTES);
    let length = 0;
    // The kernel returns a page at a time.
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) return buffer.toString("latin1", 0, length);
    }
  } finally {
    await file.close();
  }
}

/** Returns the inodes of the open sockets of a process. */
async function readSockets(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const targets = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      // A socket may have been closed since the folder was read.
      const target = await readlink(`${folder}/${name}`).catch(() => "");
      return /^socket:\[(?<inode>\d+)\]$/.exec(target)?.groups?.["inode"] ?? [];
    }),
  );
  return targets.flat();
}
