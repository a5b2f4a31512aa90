import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface Idle {
  readonly sockets: readonly Socket[];
  /** How many connections are still open. */
  readonly left: () => number;
  readonly close: () => void;
}

/** Opens connections and gets one answer on each: a server may keep more memory for those than for silent ones. */
export async function openIdle(options: {
  readonly url: string;
  readonly connections: number;
}): Promise<Idle> {
  const { url, connections } = options;
  const sockets: Socket[] = [];
  while (sockets.length < connections) {
    const count = Math.min(BATCH, connections - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: count }, () => openOne(url)))));
  }
  return {
    sockets,
    left: () => sockets.filter((socket) => socket.readyState === "open").length,
    close: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Connections opened at once: more would fill the server's accept queue. */
const BATCH = 100;

async function openOne(url: string): Promise<Socket> {
  const { hostname, port, host, pathname } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  try {
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    // The answer is a few hundred bytes and leaves a server in one piece.
    const [answer] = (await once(socket, "data")) as [Buffer];
    if (!answer.toString("latin1").startsWith("HTTP/1.1 200 ")) throw new Error("not a 200");
  } catch (error) {
    socket.destroy();
    throw error;
  }
  // The server closed it. `left` shows this.
  socket.on("error", () => undefined);
  socket.resume();
  return socket;
}
