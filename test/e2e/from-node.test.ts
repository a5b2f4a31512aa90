import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fieldValue, send } from "../helpers/send.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

const HANDLERS = join(import.meta.dirname, "../fixtures/node-style");

describe("a Node-style application behind the server", { timeout: 180_000 }, () => {
  it("answers, streams both ways, and is told when the client leaves or its time is up", async (t) => {
    const server = await startServer(t, { handlers: HANDLERS, https: true, workers: 1 });

    assert.equal((await send(`${server.http}/who`)).text, "false 127.0.0.1");
    assert.match((await send(`${server.https}/who`)).text, /^true (127\.0\.0\.1|::1)$/);
    const length = await send(`${server.http}/length`);
    assert.deepEqual([fieldValue(length, "content-length"), length.text], ["6", "abcdef"]);
    const head = await send(`${server.http}/length`, { method: "HEAD" });
    assert.deepEqual([fieldValue(head, "content-length"), head.text], ["6", ""]);
    assert.equal((await send(`${server.http}/nowhere`)).text, "nothing here");

    const body = Buffer.alloc(2_000_000, "0123456789");
    const echo = await send(`${server.http}/echo`, { method: "POST", body });
    assert.ok(echo.body.equals(body), "the body came back as it was sent");
    const tooLarge = await send(`${server.http}/echo`, {
      method: "POST",
      body: Buffer.alloc(4_000_000),
    });
    assert.equal(tooLarge.status, 413);

    const leaving = new AbortController();
    const endless = await server.fetch("/endless", { signal: leaving.signal });
    await endless.body?.getReader().read();
    leaving.abort();
    await untilPrinted(server, "closed /endless finished false");

    assert.equal((await send(`${server.http}/silent`)).status, 504);
    await untilPrinted(server, "aborted /silent");
    await assert.rejects(send(`${server.http}/breaks`));
    await server.until(({ msg }) => msg === "response stream failed");

    await untilPrinted(server, "closed /who finished true");
    assert.equal(server.workers.size, 1, "no worker was lost");
  });
});

/** Waits for a line that the handler prints to standard error. */
async function untilPrinted(server: TestServer, text: string): Promise<void> {
  await server.until(({ msg }) => msg === text);
}
