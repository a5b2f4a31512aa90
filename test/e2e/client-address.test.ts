import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { eventually } from "../helpers/eventually.ts";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { Load } from "../helpers/load.ts";
import { RawConnection } from "../helpers/raw-connection.ts";
import { startServer } from "../helpers/start-server.ts";

/** Addresses of this machine, by which a client can come. */
const CLIENTS = [
  { from: "127.0.0.1", to: "127.0.0.1" },
  { from: "127.0.0.2", to: "127.0.0.1" },
  { from: "127.1.2.3", to: "127.0.0.1" },
  { from: "::1", to: "::1" },
] as const;

async function open(port: number, { from, to }: (typeof CLIENTS)[number]): Promise<RawConnection> {
  const socket = connect({ port, host: to, localAddress: from, allowHalfOpen: true });
  await once(socket, "connect");
  return RawConnection.over(socket);
}

async function askAddress(connection: RawConnection): Promise<unknown> {
  connection.send("GET /inspect HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const seen = JSON.parse(String((await connection.response()).body)) as Record<string, unknown>;
  return seen["clientAddress"];
}

describe("context.clientAddress", { timeout: 300_000 }, () => {
  it("is that of the client, also among others that come, go and break off", async (t) => {
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS });
    const port = server.port("http");

    for (const client of CLIENTS) {
      const connection = await open(port, client);
      assert.equal(await askAddress(connection), client.from);
      connection.destroy();
    }

    const load = new Load(t, 8, async (number) => {
      const client = CLIENTS[(number * 7) % CLIENTS.length] ?? CLIENTS[0];
      const connection = await open(port, client);
      const requests = number % 3;
      for (let request = 0; request < requests; request++) {
        assert.equal(await askAddress(connection), client.from);
      }
      if (number % 2 === 0) connection.reset();
      else connection.destroy();
    });
    await load.until(300);
    await load.stop();
  });

  it("is right through TLS, also beside clients that never shake hands", async (t) => {
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS, https: true });
    const port = server.port("https");
    const load = new Load(t, 6, async (number) => {
      const client = CLIENTS[(number * 7) % CLIENTS.length] ?? CLIENTS[0];
      const { from, to } = client;
      if (number % 3 === 0) {
        (await open(port, client)).reset();
        return;
      }
      const plain = connect({ port, host: to, localAddress: from });
      const socket = connectTls({ socket: plain, rejectUnauthorized: false });
      await once(socket, "secureConnect");
      const connection = RawConnection.over(socket);
      assert.equal(await askAddress(connection), from);
      connection.destroy();
    });
    await load.until(60);
    await load.stop();
  });

  it("stays right when connections above the limit are turned away", async (t) => {
    const flags = ["--max-connections", "4"];
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS, flags });
    const port = server.port("http");
    const [one, two] = CLIENTS;
    /** Takes free places. The place of a client that left is free once the server has seen it. */
    const take = async (client: (typeof CLIENTS)[number], places: number) => {
      let taken: RawConnection[] = [];
      await eventually(t, async () => {
        for (const connection of taken) connection.destroy();
        taken = await Promise.all(Array.from({ length: places }, () => open(port, client)));
        const addresses = await Promise.all(
          taken.map((each) => askAddress(each).catch(() => null)),
        );
        for (const address of addresses) if (address !== null) assert.equal(address, client.from);
        return addresses.every((address) => address !== null);
      });
      return taken;
    };
    for (let round = 0; round < 5; round++) {
      const kept = await take(one, 4);
      const turnedAway = await Promise.all([two, two, two].map((client) => open(port, client)));
      for (const connection of turnedAway) assert.equal(await connection.untilClosed(), "");
      for (const connection of kept) assert.equal(await askAddress(connection), one.from);
      kept[0]?.destroy();
      const next = await take(two, 1);
      assert.equal(await askAddress(kept[1] ?? (await open(port, one))), one.from);
      for (const connection of [...kept, ...next]) connection.destroy();
      for (const connection of await take(two, 4)) connection.destroy();
    }
  });
});
