import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { Owner } from "./temporary-folder.ts";

/**
 * A connection over loopback whose server reads nothing.
 *
 * @returns The server's port, once the kernel has taken all of the bytes.
 */
export async function holdUnread(t: Owner, bytes: number): Promise<number> {
  const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  t.after(() => void server.close());
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const client = connect(address.port, "127.0.0.1");
  t.after(() => void client.destroy());
  await once(client, "connect");
  const [socket] = await accepted;
  t.after(() => void socket.destroy());
  await new Promise<void>((resolve) => client.write(Buffer.alloc(bytes), () => resolve()));
  return address.port;
}
