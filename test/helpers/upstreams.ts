import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Owner } from "./temporary-folder.ts";

/** An upstream server of a test. */
export interface TestUpstream {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
}

/** Starts a server of Node as an upstream. Its connections are cut after the test. */
export async function startUpstream(t: Owner, listener: RequestListener): Promise<TestUpstream> {
  const server = createHttpServer(listener);
  // Longer than the proxy keeps connections.
  server.keepAliveTimeout = 600_000;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return listen(server);
}

/** Starts a server whose connections the test handles itself, byte by byte. */
export async function startRawUpstream(
  t: Owner,
  onConnection: (socket: Socket) => void,
): Promise<TestUpstream> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    // The proxy may cut it at any moment.
    socket.on("error", () => {});
    onConnection(socket);
  });
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return listen(server);
}

async function listen(server: Server): Promise<TestUpstream> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port };
}

/**
 * Returns a port on which no server listens. It is a random one below those that the kernel gives to servers that ask for
 * port 0 and to clients: other tests, which do so all the time, get none of these.
 */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    server.listen(randomInt(15_000, 32_000));
    try {
      await once(server, "listening");
    } catch {
      // In use.
      continue;
    }
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    return port;
  }
}
