import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { findLoopbackPorts } from "../../runtime/supervise/hang/loopback-ports.ts";
import { eventually } from "../helpers/eventually.ts";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { withLongerLimits } from "../helpers/longer-limits.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { shareServer } from "../helpers/shared-server.ts";
import { type LogLine, startServer, type TestServer } from "../helpers/start-server.ts";

const HANDLERS = {
  "_spin.ts": `interface Erased { so: "that lines differ" }
  export function spin() {
    // The descriptor of the log itself: nothing of this process is written any more.
    process.stderr.write(JSON.stringify({ msg: "began", pid: process.pid }) + "\\n");
    for (;;) {}
  }`,
  "(group)/blocks.ts": `import { spin } from "../_spin.ts";
  export default {
    async fetch(request) {
      await new Promise((resolve) => setTimeout(resolve));
      spin();
    }
  };
  export const config = { timeoutMs: 1_000 };`,
  // Until the test lets it go on.
  "blocks-for-a-file.ts": `import { existsSync } from "node:fs";
  export default (request) => {
    const file = new URL(request.url).searchParams.get("file");
    while (!existsSync(file));
    return new Response(String(process.pid));
  };`,
  "pid.ts": "export default () => new Response(String(process.pid));",
  // The same, a moment later.
  "slow-pid.ts": `export default () => new Promise((resolve) => {
    setTimeout(() => resolve(new Response(String(process.pid))), 50);
  });`,
  // Never looks at its signal.
  "ignores.ts": `export const config = { timeoutMs: 100 };
  export default () => new Promise(() => {});`,
  "options.ts": "export default () => Response.json(process.execArgv);",
  "crashes.ts": `export default () => {
    setTimeout(() => { throw new Error("nobody catches this"); });
    return new Promise(() => {});
  };`,
};

/** For a server without warnings about silent workers: they need an examination, which opens the inspector. */
const SHARED_FLAGS = ["--log-level", "debug", "--block-warn", "0s"];

/** For tests that leave its worker as it was. */
const shared = shareServer({ handlers: HANDLERS, flags: SHARED_FLAGS });

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

function isHung({ msg }: LogLine): boolean {
  return msg?.startsWith("worker hangs") === true;
}

function isSilent({ msg }: LogLine): boolean {
  return msg?.startsWith("worker is silent") === true;
}

describe("a worker that is blocked", { timeout: 300_000 }, () => {
  it(
    "gets no more requests while it is silent, and is killed and replaced",
    { timeout: 300_000 },
    async (t) => {
      const flags = ["--hang-timeout", "2s", "--log-level", "debug"];
      const server = await startServer(t, { workers: 2, handlers: HANDLERS, flags });
      const { pid, answer } = await blockOne(server);
      await server.until(isSilent);
      // Were they spread by load alone, it would get most of them, because it has one to do. Its line below says that it
      // had none of them.
      const asked = Array.from({ length: 10 }, () => server.fetch("/slow-pid"));
      const answers = await Promise.all(asked.map(async (each) => (await each).text()));
      assert.ok(!answers.includes(String(pid)));
      assert.equal(await answer, 504);
      const hung = await server.until(isHung);
      const workerId = Number(hung["workerId"]);
      const exited = await server.until(({ msg }) => msg?.startsWith("worker exited") === true);
      assert.deepEqual(
        [exited["workerId"], exited["workerPid"], exited["signal"]],
        [workerId, pid, "SIGKILL"],
      );
      await server.until((line) => line.msg === "worker ready" && line["workerId"] === 3);
      assert.deepEqual((await pidsOf(server, 5)).has(pid), false);
      assert.equal(hung["level"], "error");
      assert.equal(hung["processState"], "running");
      assert.equal(hung["handler"], "handlers/(group)/blocks.ts");
      assert.deepEqual(hung["routes"], ["/blocks"]);
      assert.equal(hung["blockedAt"], "handlers/_spin.ts:5:5");
      const [spin, fetch, ...others] = hung["stack"] as string[];
      assert.equal(spin, `spin (${server.handlersDir}/_spin.ts:5:5)`);
      assert.match(fetch ?? "", /^Object\.fetch \(.+\/\(group\)\/blocks\.ts:5:7\)$/);
      assert.deepEqual(others, []);
      assert.equal(hung["exchanges"], 0);
      const [work] = hung["inFlight"] as Record<string, unknown>[];
      assert.deepEqual(
        [work?.["method"], work?.["path"], work?.["route"], work?.["state"]],
        ["GET", "/blocks", "/blocks", "given up"],
      );
      const access = await server.untilAccess({ path: "/blocks" });
      assert.equal(work?.["requestId"], access["requestId"]);
    },
  );

  it("is named with handler, line and request while it is blocked, and serves on", async (t) => {
    // Longer than a worker without a request waits for a processor: the next warning about it would come a minute later.
    const flags = ["--block-warn", "2s", "--live-path", "/livez", "--ready-path", "/readyz"];
    const server = await startServer(t, { workers: 1, handlers: HANDLERS, flags });
    const probe = async (path: string): Promise<number> => {
      const response = await server.fetch(path);
      await response.text();
      return response.status;
    };
    assert.equal(await probe("/livez"), 200);
    // A busy machine may keep the worker silent for a second.
    await eventually(t, async () => (await probe("/readyz")) === 200);
    const [[workerId, pid] = [0, 0]] = server.workers;
    const file = join(temporaryFolder(t), "go-on");
    const answer = server.fetch(`/blocks-for-a-file?file=${encodeURIComponent(file)}`);
    const line = await server.until(({ msg }) => msg === "worker is blocked");
    // All workers are blocked until the file is there: the primary alone answers its probes.
    assert.deepEqual([await probe("/livez"), await probe("/readyz")], [200, 503]);
    writeFileSync(file, "");
    const response = await answer;
    await eventually(t, async () => (await probe("/readyz")) === 200);
    assert.deepEqual([response.status, await response.text()], [200, String(pid)]);
    assert.deepEqual(
      [line["level"], line["workerId"], line["workerPid"], line["handler"], line["routes"]],
      ["warn", workerId, pid, "handlers/blocks-for-a-file.ts", ["/blocks-for-a-file"]],
    );
    assert.match(String(line["blockedAt"]), /^handlers\/blocks-for-a-file\.ts:4:/);
    assert.ok(Number(line["blockedForMs"]) >= 2_000);
    const [work] = line["inFlight"] as Record<string, unknown>[];
    // The query may hold secrets.
    assert.deepEqual([work?.["path"], work?.["state"]], ["/blocks-for-a-file", "waiting"]);
    await eventually(t, async () => (await findLoopbackPorts(pid)).length === 0);
    assert.deepEqual(await pidsOf(server, 2), new Set([pid]));
  });

  it("is killed when it is stopped too", async (t) => {
    const flags = ["--hang-timeout", "1s"];
    const server = await startServer(t, { handlers: HANDLERS, workers: 1, flags });
    const [[, pid] = [0, 0]] = server.workers;
    process.kill(pid, "SIGSTOP");
    const hung = await server.until(isHung);
    assert.deepEqual(
      [hung["workerPid"], hung["processState"], hung["stack"], hung["inFlight"]],
      [pid, "stopped", undefined, []],
    );
    await server.until((line) => line.msg === "worker ready" && line["workerId"] === 2);
    assert.notDeepEqual(await pidsOf(server, 1), new Set([pid]));
  });

  it("serves on when it speaks again, and what came meanwhile has waited for it", async () => {
    const server = await shared();
    const [[workerId, pid] = [0, 0]] = server.workers;
    process.kill(pid, "SIGSTOP");
    await server.until(isSilent);
    const asked = pidsOf(server, 1);
    process.kill(pid, "SIGCONT");
    assert.deepEqual(await asked, new Set([pid]));
    const line = await server.until(({ msg }) => msg?.startsWith("worker was silent") === true);
    assert.deepEqual([line["level"], line["workerId"]], ["warn", workerId]);
    // A tick of the primary is a second, and may be late.
    assert.ok(Number(line["silentForMs"]) > 500);
  });

  it("is left alone at a breakpoint, and by who wants it to be", async (t) => {
    for (const options of [
      { flags: ["--hang-timeout", "100ms"], env: { NODE_OPTIONS: "--inspect=127.0.0.1:0" } },
      { flags: ["--hang-timeout", "0s"] },
    ]) {
      const handlers = {
        ...HANDLERS,
        "blocks-a-while.ts": `export default () => {
          const end = performance.now() + 400;
          while (performance.now() < end);
          return new Response(String(process.pid));
        };`,
      };
      const server = await startServer(t, { handlers, workers: 1, ...options });
      const [[, pid] = [0, 0]] = server.workers;
      const response = await server.fetch("/blocks-a-while");
      assert.deepEqual([response.status, await response.text()], [200, String(pid)]);
      assert.ok(!server.logs.some(isHung));
    }
  });

  it("is not taken for one whose handlers are only slow", async () => {
    const server = await shared();
    const [[, pid] = [0, 0]] = server.workers;
    assert.equal((await server.fetch("/ignores")).status, 504);
    assert.deepEqual(await pidsOf(server, 5), new Set([pid]));
  });

  it("does not outlive a primary that is told twice to stop", { timeout: 300_000 }, async (t) => {
    const server = await startServer(t, { workers: 2, handlers: HANDLERS });
    await blockOne(server);
    server.kill("SIGTERM");
    const stopping = await server.until(({ msg }) => msg?.startsWith("stopping") === true);
    // Sooner it would be taken for the same signal.
    while (Date.now() < Date.parse(String(stopping["time"])) + 150) await pause();
    server.kill("SIGTERM");
    // That nobody survives is seen by `stop`.
    assert.equal((await server.exit).code, 143);
  });

  it("does not outlive a primary that is killed", { timeout: 300_000 }, async (t) => {
    const server = await startServer(t, { workers: 2, handlers: HANDLERS });
    await blockOne(server);
    server.kill("SIGKILL");
    assert.equal((await server.exit).signal, "SIGKILL");
  });
});

describe("a worker", { timeout: 180_000 }, () => {
  it("ignores the signals that would kill it, and leaves no inspector open", async (t) => {
    const server = await shared();
    const [[, pid] = [0, 0]] = server.workers;
    assert.deepEqual(await findLoopbackPorts(pid), []);
    process.kill(pid, "SIGUSR2");
    await eventually(t, async () => {
      // Again and again: it may have been closed before anybody saw it.
      process.kill(pid, "SIGUSR1");
      return (await findLoopbackPorts(pid)).length > 0;
    });
    await eventually(t, async () => (await findLoopbackPorts(pid)).length === 0);
    assert.deepEqual(await pidsOf(server, 3), new Set([pid]));
    assert.doesNotMatch(server.stderr, /Debugger/);
  });

  it("hands the options of its inspector to nobody", async () => {
    const server = await shared();
    const options = (await (await server.fetch("/options")).json()) as string[];
    assert.deepEqual(
      options.filter((option) => !option.startsWith("--max-old-space-size=")),
      [],
    );
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
    const aborted = await withLongerLimits(
      async (grace) => {
        const flags = ["--drain-grace", grace];
        const server = await startServer(t, { workers: 2, handlers: FIXTURE_HANDLERS, flags });
        const answer = server.fetch("/never-answers");
        await server.until(({ msg }) => msg === "began");
        server.kill("SIGTERM");
        assert.equal((await answer).status, 503);
        assert.deepEqual(await server.exit, { code: 0, signal: null });
        return server.logs.find(({ msg }) => msg === "aborted");
      },
      // The handler has a tenth of the grace.
      (line) => line !== undefined,
    );
    assert.equal(aborted?.["reason"], "AbortError");
  });
});

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 10);
  });
}
