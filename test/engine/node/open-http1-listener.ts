import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { ExchangeId } from "../../../runtime/channel/messages.ts";
import type { Listener, ListenerOptions } from "../../../runtime/engine/engine.ts";
import { createNodeEngine } from "../../../runtime/engine/node/node-engine.ts";
import type { Client } from "../../../runtime/http/client.ts";
import { RequestsPerAddress } from "../../../runtime/http/requests-per-address.ts";
import { TurnClock } from "../../../runtime/lib/turn-clock.ts";
import { Counters } from "../../../runtime/observe/counters.ts";

const KIB = 1024;

/** Opens a listener of the Node engine on a free port of this machine. It closes after the test. */
export async function openListener(
  t: TestContext,
  onRequest: (client: Client) => void,
  own: Partial<ListenerOptions> = {},
): Promise<Listener> {
  let id = 0;
  const listener = await createNodeEngine().open({
    host: "127.0.0.1",
    port: 0,
    certificates: null,
    tls: { tlsCiphers: "ECDHE+AESGCM:ECDHE+CHACHA20", tlsMinVersion: "1.2" },
    maxConnections: 100,
    counters: new Counters(),
    perAddress: new RequestsPerAddress(),
    clock: new TurnClock(),
    // Ids are made in tests only here.
    nextId: () => id++ as ExchangeId,
    limits: {
      bodyTimeoutMs: 0,
      minBodyRateBytesPerSecond: 0,
      sendTimeoutMs: 0,
      headerLimitBytes: 16 * KIB,
      headerCountLimit: 98,
      urlLimitBytes: 8 * KIB,
    },
    timeouts: { headTimeoutMs: 600_000, keepAliveTimeoutMs: 600_000 },
    onRequest,
    onFinished() {},
    onCut() {},
    onLimited() {},
    onConnectionRefused() {},
    onHeadRefused() {},
    onError(error) {
      throw error;
    },
    ...own,
  });
  t.after(() => listener.close());
  return listener;
}

/** Answers with the method, the target and the body of the request. */
export function echo(client: Client): void {
  const chunks: Buffer[] = [];
  client.receiveBody({
    chunk: (bytes) => void chunks.push(Buffer.from(bytes)),
    end() {
      const { method, target } = client.head;
      const body = `${method} ${target} ${Buffer.concat(chunks).toString("latin1")}\n`;
      client.reply({ status: 200, statusText: "", fields: "", body, lengthBytes: null });
    },
  });
}

/** Connects to a listener. The connection closes after the test. */
export async function connectTo(t: TestContext, { port }: Listener): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  // A reset is an end as well.
  socket.on("error", () => {});
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Returns all that a socket receives until its peer ends or resets the connection, one character per byte. */
export async function readAll(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
  await new Promise<void>((resolve) => {
    socket.once("end", resolve);
    socket.once("close", () => resolve());
  });
  return text;
}
