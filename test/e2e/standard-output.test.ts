import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, it, type TestContext } from "node:test";
import { builtProgram } from "../helpers/built-program.ts";
import { eventually } from "../helpers/eventually.ts";
import { cleanEnvironment, type LogLine } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const PRINTS = `
  let asked = 0;
  export default (request) => {
    const bytes = Number(new URL(request.url).searchParams.get("bytes"));
    for (let at = 0; at < bytes; at += 100) console.log(String(asked).padEnd(99, "."));
    console.error("asked", ++asked);
    return Response.json({ pid: process.pid, asked });
  };`;

/** Lines that a worker may keep for a reader: 4 MiB. */
const MORE_THAN_WAITS = 6_000_000;

interface Printing {
  ask: (bytes?: number) => Promise<{ pid: number; asked: number }>;
  logs: () => LogLine[];
  stdout: NodeJS.ReadableStream;
  stderr: NodeJS.ReadableStream;
  stop: () => Promise<number | null>;
}

/** Starts a server whose log is a file, with a handler that prints. */
async function startPrinting(t: TestContext, pipeline = ""): Promise<Printing> {
  const dir = temporaryFolder(t);
  mkdirSync(join(dir, "handlers"));
  writeFileSync(join(dir, "handlers/index.ts"), PRINTS);
  const flags = "start --http 0 --https off --workers 1 --log-file ./log --log-level debug".split(
    " ",
  );
  // The shell makes pipes; Node makes sockets.
  const child = spawn(
    "bash",
    ["-c", `exec "$@" ${pipeline}`, "-", process.execPath, builtProgram(), ...flags],
    {
      cwd: dir,
      env: cleanEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const ended = once(child, "exit");
  t.after(() => void child.kill("SIGKILL"));
  const logs = (): LogLine[] => readLog(join(dir, "log"));
  let port = 0;
  await eventually(t, () => {
    const listening = logs().find(({ msg }) => msg === "listening");
    // The shape of this log line.
    const [listener] = (listening?.["listeners"] ?? []) as { port: number }[];
    port = listener?.port ?? 0;
    return port > 0;
  });
  return {
    async ask(bytes = 0) {
      const response = await fetch(`http://127.0.0.1:${port}/?bytes=${bytes}`);
      assert.equal(response.status, 200);
      return (await response.json()) as { pid: number; asked: number };
    },
    logs,
    stdout: child.stdout,
    stderr: child.stderr,
    async stop() {
      child.kill("SIGTERM");
      const [code] = (await ended) as [number | null];
      return code;
    },
  };
}

function readLog(path: string): LogLine[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as LogLine);
}

describe("what handlers print", { timeout: 600_000 }, () => {
  for (const [kind, pipeline] of [
    ["sockets", ""],
    ["pipes", "> >(head -n 1) 2> >(head -n 1)"],
  ] as const) {
    it(`is lost when its readers are gone, and the worker stays: ${kind}`, async (t) => {
      const { ask, stdout, stderr, logs, stop } = await startPrinting(t, pipeline);
      const { pid } = await ask(100);
      if (pipeline === "") {
        (stdout as Readable).destroy();
        (stderr as Readable).destroy();
      } else {
        // `head` has ended, and its output with it.
        await Promise.all([text(stdout), text(stderr)]);
      }
      for (let asked = 2; asked < 8; asked++) assert.deepEqual(await ask(100), { pid, asked });
      assert.equal(await stop(), 0);
      const trouble = logs().filter(({ msg }) => /exited|uncaught|bug/.test(msg ?? ""));
      assert.deepEqual(
        trouble.map(({ msg }) => msg),
        ["worker exited"],
      );
    });
  }

  for (const [kind, pipeline] of [
    ["sockets", ""],
    ["pipes", "> >(cat)"],
  ] as const) {
    it(`holds nothing up while its reader pauses, and is lost above a bound: ${kind}`, async (t) => {
      const { ask, stdout, stderr, logs, stop } = await startPrinting(t, pipeline);
      stderr.resume();
      const { pid } = await ask(MORE_THAN_WAITS);
      assert.equal((await ask(100)).pid, pid);
      const output = text(stdout);
      await eventually(t, () =>
        logs().some(({ msg }) => /lines of standard output were lost/.test(msg ?? "")),
      );
      assert.equal((await ask(100)).asked, 3);
      assert.equal(await stop(), 0);
      const lines = (await output).split("\n");
      assert.equal(lines[0]?.[0], "0");
      assert.ok(lines.length * 100 < MORE_THAN_WAITS);
      // What is printed once the reader goes on is there again.
      assert.equal(lines.at(-2)?.[0], "2");
    });
  }
});
