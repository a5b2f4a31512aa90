import { spawnSync } from "node:child_process";

/**
 * Sets the buffers of all future TCP sockets ($1, least and most), then becomes the program that follows.
 *
 * Over loopback the system otherwise buffers 4 MB of unread data: no server would ever wait for its client.
 */
const SCRIPT = `set -e
ip link set lo up
echo "4096 $1 $1" > /proc/sys/net/ipv4/tcp_wmem
echo "4096 $1 $1" > /proc/sys/net/ipv4/tcp_rmem
shift
exec "$@"`;

/** Commands that create a network namespace, for the superuser and for other users with that right. */
const UNSHARE = [
  ["unshare", "--net"],
  ["unshare", "--map-root-user", "--net"],
] as const;

/**
 * Returns a command prefix that gives a program, and its children, a loopback whose sockets have small buffers.
 *
 * @returns `null` if the system forbids it or lacks util-linux or iproute2, as most containers do.
 */
export function findSmallBuffers(bytes: number): readonly string[] | null {
  for (const unshare of UNSHARE) {
    const [program, ...args] = [...unshare, "sh", "-c", SCRIPT, "sh", String(bytes)];
    if (spawnSync(program, [...args, "true"]).status === 0) return [program, ...args];
  }
  return null;
}
