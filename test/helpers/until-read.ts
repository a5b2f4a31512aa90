import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** Resolves when the process at the other end of a loopback connection has read all bytes that were sent to it. */
export async function untilRead(socket: Socket): Promise<void> {
  while (unreadBytes(socket) > 0) await delay(10);
}

/** Returns the size of the receive queue at the other end; 0: it is empty, or the connection has ended. */
function unreadBytes({ localPort = 0, remotePort = 0 }: Socket): number {
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readFileSync(table, "utf8").split("\n").slice(1)) {
      // Columns of proc_pid_net(5): number, own address, address of the peer, state, send queue and receive queue.
      const [, own = "", peer = "", , queues = ""] = line.trim().split(/\s+/);
      if (portOf(own) !== remotePort || portOf(peer) !== localPort) continue;
      return Number.parseInt(queues.split(":")[1] ?? "0", 16);
    }
  }
  return 0;
}

function portOf(address: string): number {
  return Number.parseInt(address.split(":")[1] ?? "", 16);
}
