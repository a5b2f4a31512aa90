import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { describe, it, type TestContext } from "node:test";
import {
  INSPECTOR_OPTION,
  INSPECTOR_PORT_OPTION,
} from "../../../runtime/supervise/hang/inspector-options.ts";
import { examine, toProcessState } from "../../../runtime/supervise/hang/examine.ts";
import { findLoopbackPorts } from "../../../runtime/supervise/hang/loopback-ports.ts";
import { eventually } from "../../helpers/eventually.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

const PROGRAM = `
  const begin = () => require("node:fs").writeSync(1, "began");
  function spin() { begin(); for (;;) {} }
  const ways = {
    loop: () => spin(),
    regex: () => (begin(), /^(a+)+$/.test("a".repeat(60) + "b")),
    wait: () => (begin(), Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)),
    listens: () => require("node:net").createServer().listen(0, "127.0.0.1", spin),
    formats: () => { Error.prepareStackTrace = () => { throw new Error("mine"); }; spin(); },
    waits: () => {
      Error.stackTraceLimit = 3;
      Error.prepareStackTrace = undefined;
      begin();
      while (!require("node:fs").existsSync(process.argv[3]));
      const { stackTraceLimit } = Error;
      setInterval(() => {}, 1_000);
      require("node:fs").writeSync(1, JSON.stringify({ stackTraceLimit, port: process.debugPort }));
    },
    ignores: () => { process.on("SIGUSR1", () => {}); spin(); },
  };
  setTimeout(function handler() { ways[process.argv[2]](); });
`;

/** A process that blocks in a named way. */
async function block(
  t: TestContext,
  way: string,
  ...more: string[]
): Promise<ChildProcess & { pid: number; stdout: Readable }> {
  const file = join(temporaryFolder(t), "program.cjs");
  writeFileSync(file, PROGRAM);
  const child = spawn(
    process.execPath,
    [INSPECTOR_OPTION, INSPECTOR_PORT_OPTION, file, way, ...more],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  t.after(() => child.kill("SIGKILL"));
  child.stderr.resume();
  await once(child.stdout, "data");
  assert.ok(child.pid !== undefined);
  return Object.assign(child, { pid: child.pid });
}

const HOW = { canInspect: true };

async function namesOf(t: TestContext, way: string): Promise<(string | null)[]> {
  const { pid } = await block(t, way);
  const { stack } = await examine(pid, { ...HOW, signal: AbortSignal.timeout(60_000) });
  return stack.map(({ name }) => name);
}

describe("examine()", { timeout: 180_000, skip: process.platform !== "linux" }, () => {
  it("tells where a process is blocked, innermost first", async (t) => {
    assert.deepEqual(await namesOf(t, "loop"), [
      "spin",
      "Object.loop",
      "Timeout.handler [as _onTimeout]",
    ]);
    const regex = await namesOf(t, "regex");
    assert.deepEqual(regex.slice(0, 2), ["RegExp.test", "Object.regex"]);
    const wait = await namesOf(t, "wait");
    assert.deepEqual(wait.slice(0, 2), ["Atomics.wait", "Object.wait"]);
  });

  it("closes the inspector, and leaves the process as it was, to go on", async (t) => {
    const release = join(temporaryFolder(t), "release");
    const child = await block(t, "waits", release);
    for (const time of ["first", "second"]) {
      const { stack } = await examine(child.pid, { ...HOW, signal: AbortSignal.timeout(60_000) });
      assert.ok(
        stack.some(({ name }) => name === "Object.waits"),
        `${time}: ${JSON.stringify(stack)}`,
      );
      await eventually(t, async () => (await findLoopbackPorts(child.pid)).length === 0);
    }
    writeFileSync(release, "");
    const [text] = (await once(child.stdout, "data")) as [Buffer];
    assert.deepEqual(JSON.parse(text.toString()), { stackTraceLimit: 3, port: 0 });
  });

  it("is not misled by other ports of the process, nor by its own format of stacks", async (t) => {
    assert.equal((await namesOf(t, "listens"))[0], "Server.spin");
    assert.equal((await namesOf(t, "formats"))[0], "spin");
  });

  it("ends with its signal when the process does not open its inspector", async (t) => {
    const { pid } = await block(t, "ignores");
    const signal = AbortSignal.timeout(300);
    assert.deepEqual((await examine(pid, { ...HOW, signal })).stack, []);
    assert.ok(signal.aborted);
  });

  it("tells at once that a process is stopped", async (t) => {
    const { pid } = await block(t, "loop");
    process.kill(pid, "SIGSTOP");
    const { signal } = new AbortController();
    await eventually(t, async () => {
      const findings = await examine(pid, { canInspect: false, signal });
      return findings.processState === "stopped";
    });
    assert.deepEqual(await examine(pid, { ...HOW, signal }), {
      processState: "stopped",
      stack: [],
    });
  });

  it("sends no signal to a process that it may not inspect, and finds nothing for a process that is gone", async (t) => {
    const { pid } = await block(t, "loop");
    const { signal } = new AbortController();
    assert.deepEqual((await examine(pid, { canInspect: false, signal })).stack, []);
    // A process id of 0 would mean the whole group.
    assert.deepEqual(await examine(0, { ...HOW, signal }), { processState: null, stack: [] });
  });

  it("survives the end of the process", async (t) => {
    const child = await block(t, "ignores");
    const examining = examine(child.pid, { ...HOW, signal: AbortSignal.timeout(60_000) });
    child.kill("SIGKILL");
    assert.deepEqual((await examining).stack, []);
  });
});

describe("toProcessState()", () => {
  const cases = [
    ["7 (node) R 1 7 7", "running"],
    ["7 (MainThread) S 1 7 7", "waiting"],
    ["7 (node) D 1 7 7", "waiting"],
    ["7 (node) T 1 7 7", "stopped"],
    ["7 (node) t 1 7 7", "stopped"],
    ["7 (node) Z 1 7 7", "exited"],
    ["7 (a) R (b) S 1 7 7", "waiting"],
    ["", null],
    ["nonsense", null],
  ] as const;
  for (const [stat, state] of cases) {
    it(`reads "${stat}" as ${state}`, () => assert.equal(toProcessState(stat), state));
  }
});
