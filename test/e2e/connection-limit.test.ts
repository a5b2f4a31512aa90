import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { send } from "../helpers/send.ts";
import { startServer } from "../helpers/start-server.ts";

describe("--max-connections", { timeout: 300_000 }, () => {
  it("counts the connections of all listeners together", async (t) => {
    const flags = ["--max-connections", "2"];
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS, https: true, flags });
    const kept = [await server.connect(), await server.connect()];
    for (const connection of kept) {
      connection.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assert.equal((await connection.response()).status, 200);
    }
    // By its address: for the name, a client that is late connects twice.
    const encrypted = `https://127.0.0.1:${server.port("https")}/`;
    await assert.rejects(send(encrypted), { code: "ECONNRESET" });
    const line = await server.until(({ setting }) => setting === "maxConnections");
    assert.deepEqual([line["level"], line["value"], line["refused"]], ["warn", 2, 1]);
    kept[0]?.destroy();
    // Its place is free once the server has seen it leave.
    await eventually(t, () =>
      send(encrypted).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  });
});
