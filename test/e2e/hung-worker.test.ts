import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

const HANDLERS = {
  "blocks.ts": `export default (request, { log }) => {
    // The descriptor of the log itself: nothing of this process is written any more.
    process.stderr.write(JSON.stringify({ msg: "began", pid: process.pid }) + "\\n");
    for (;;) {}
  };`,
  "pid.ts": "export default () => new Response(String(process.pid));",
  // Never looks at its signal.
  "ignores.ts": "export default () => new Promise(() => {});",
  "crashes.ts": `export default () => {
    setTimeout(() => { throw new Error("nobody catches this"); });
    return new Promise(() => {});
  };`,
};

/** Asks for what never ends, and waits until a worker is blocked by it. */
async function blockOne(server: TestServer): Promise<{ pid: number; answer: Promise<number> }> {
  const answer = server.fetch("/blocks").then(
    ({ status }) => status,
    // The server is gone.
    () => 0,
  );
  const { pid } = await server.until(({ msg }) => msg === "began");
  return { pid: Number(pid), answer };
}

async function pidsOf(server: TestServer, requests: number): Promise<Set<number>> {
  const pids = new Set<number>();
  for (let number = 0; number < requests; number++) {
    const response = await server.fetch("/pid");
    assert.equal(response.status, 200);
    pids.add(Number(await response.text()));
  }
  return pids;
}

describe("a worker that is blocked", { timeout: 120_000 }, () => {
  it(
    "gets no more requests while others are there, and is killed and replaced",
    { timeout: 30_000 },
    async (t) => {
      const flags = ["--request-timeout", "300ms"];
      const server = await startServer(t, { handlers: HANDLERS, flags });
      const { pid, answer } = await blockOne(server);
      assert.equal(await answer, 504);
      const pids = await pidsOf(server, 50);
      assert.equal(pids.size, 1);
      assert.ok(!pids.has(pid));
      const hung = await server.until(({ msg }) => msg?.startsWith("worker hangs") === true);
      const workerId = Number(hung["workerId"]);
      assert.deepEqual([hung["level"], hung["exchanges"]], ["error", 0]);
      const exited = await server.until(({ msg }) => msg?.startsWith("worker exited") === true);
      assert.deepEqual(
        [exited["workerId"], exited["workerPid"], exited["signal"]],
        [workerId, pid, "SIGKILL"],
      );
      await server.until((line) => line.msg === "worker ready" && line["workerId"] === 3);
      assert.deepEqual((await pidsOf(server, 5)).has(pid), false);
    },
  );

  it("is not taken for one whose handlers are only slow", async (t) => {
    const flags = ["--request-timeout", "100ms"];
    const server = await startServer(t, { handlers: HANDLERS, workers: 1, flags });
    const [[, pid] = [0, 0]] = server.workers;
    assert.equal((await server.fetch("/ignores")).status, 504);
    assert.deepEqual(await pidsOf(server, 5), new Set([pid]));
  });

  it("does not outlive a primary that is told twice to stop", { timeout: 30_000 }, async (t) => {
    const server = await startServer(t, { handlers: HANDLERS });
    await blockOne(server);
    server.kill("SIGTERM");
    const stopping = await server.until(({ msg }) => msg?.startsWith("stopping") === true);
    // Sooner it would be taken for the same signal.
    while (Date.now() < Date.parse(String(stopping["time"])) + 150) await pause();
    server.kill("SIGTERM");
    // That nobody survives is seen by `stop`.
    assert.equal((await server.exit).code, 143);
  });

  it("does not outlive a primary that is killed", { timeout: 30_000 }, async (t) => {
    const server = await startServer(t, { handlers: HANDLERS });
    await blockOne(server);
    server.kill("SIGKILL");
    assert.equal((await server.exit).signal, "SIGKILL");
  });
});

describe("a worker", { timeout: 60_000 }, () => {
  it("ignores the signals that would open the inspector or kill it", async (t) => {
    const server = await startServer(t, { handlers: HANDLERS, workers: 1 });
    const [[, pid] = [0, 0]] = server.workers;
    process.kill(pid, "SIGUSR1");
    process.kill(pid, "SIGUSR2");
    assert.deepEqual(await pidsOf(server, 3), new Set([pid]));
    assert.doesNotMatch(server.stderr, /Debugger/);
  });

  it("logs an uncaught exception as it logs all else, and exits with 70", async (t) => {
    const server = await startServer(t, { handlers: HANDLERS, workers: 1 });
    assert.equal((await server.fetch("/crashes")).status, 502);
    const fatal = await server.until(({ level }) => level === "fatal");
    const { stack } = fatal["err"] as { stack: string };
    assert.match(stack, /^Error: nobody catches this\n +at .*crashes\.ts:2/);
    assert.equal(fatal["workerId"], 1);
    const exited = await server.until(({ msg }) => msg?.startsWith("worker exited") === true);
    assert.equal(exited["code"], 70);
  });

  it("tells its handlers that the server shuts down before the grace is over", async (t) => {
    const flags = ["--drain-grace", "1s"];
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS, flags });
    const answer = server.fetch("/never-answers");
    await server.until(({ msg }) => msg === "began");
    server.kill("SIGTERM");
    assert.equal((await answer).status, 503);
    const aborted = await server.until(({ msg }) => msg === "aborted");
    assert.equal(aborted["reason"], "AbortError");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });
});

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 10);
  });
}
