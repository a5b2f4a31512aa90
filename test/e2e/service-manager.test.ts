import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LACKS_TOOLS, openNotifySocket } from "../helpers/notify-socket.ts";
import { runCommand } from "../helpers/run-command.ts";
import { startServer } from "../helpers/start-server.ts";

describe("a service of systemd", { timeout: 180_000 }, () => {
  it("tells of its start, reloads, its successor and its end", { skip: LACKS_TOOLS }, async (t) => {
    const { path, next } = await openNotifySocket(t);
    const server = await startServer(t, {
      handlers: { "index.ts": `export default () => new Response("hello")` },
      workers: 1,
      env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "0" },
    });
    assert.equal((await next())[0], "READY=1");
    server.kill("SIGHUP");
    assert.equal((await next())[0], "RELOADING=1");
    assert.equal((await next())[0], "READY=1");
    server.kill("SIGUSR2");
    const { pid } = await server.until(({ msg }) => msg?.startsWith("took over") === true);
    assert.deepEqual(await next(), [`MAINPID=${String(pid)}`]);
    assert.equal((await next())[0], "READY=1");
    // The old process is not waited for by anybody, and ends.
    assert.equal((await runCommand(["stop"], server.dir)).code, 0);
    assert.equal((await next())[0], "STOPPING=1");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });
});
