import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { describe, it, type TestContext } from "node:test";
import { isAlive } from "../../runtime/lib/is-alive.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Starts a process and a group that hold standard output, and a process that it has released. Prints their ids. */
const TESTS = `
import { spawn } from "node:child_process";
import { killAtEnd, killChildAtEnd } from "./test/helpers/guardian.ts";
const start = (stdout, options) => spawn("sleep", ["1000"], { stdio: ["ignore", stdout, "ignore"], ...options });
const children = [start("ignore"), start("inherit"), start("inherit", { detached: true })];
const release = killAtEnd(children[0].pid);
killChildAtEnd(children[1]);
killChildAtEnd(children[2], { isGroup: true });
release();
release();
console.log(JSON.stringify({ tests: process.pid, released: children[0].pid }));
setInterval(() => {}, 1_000);
`;

/** Runs a program, as a runner does, and ends with nothing of its own. */
const RUNNER = `
import { spawn } from "node:child_process";
const [, ...args] = process.argv;
spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, NODE_TEST_CONTEXT: "child" } });
setInterval(() => {}, 1_000);
`;

const FLAGS = ["--import", "tsx", "--input-type=module", "-e", TESTS];

/** Starts a process, and returns it with the ids that it prints, and all that comes after these. */
async function start(
  t: TestContext,
  args: readonly string[],
): Promise<{ child: ChildProcess; tests: number; released: number; rest: Promise<string> }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const lines = createInterface(child.stdout);
  // The event of a line has its text.
  const [line] = (await once(lines, "line")) as [string];
  lines.close();
  // The program above prints these.
  const ids = JSON.parse(line) as { tests: number; released: number };
  t.after(() => process.kill(ids.released, "SIGKILL"));
  return { child, ...ids, rest: text(child.stdout) };
}

describe("killAtEnd()", { timeout: 120_000 }, () => {
  it("kills what the process of the tests leaves behind when it is killed", async (t) => {
    const { child, released, rest } = await start(t, FLAGS);
    child.kill("SIGKILL");
    // The pipe ends when the last process that holds it is gone.
    assert.equal(await rest, "");
    assert.ok(isAlive(released));
  });

  it("ends the process of the tests, too, when their runner is killed", async (t) => {
    const runner = ["--input-type=module", "-e", RUNNER, "--", ...FLAGS];
    const { child, tests, released, rest } = await start(t, runner);
    assert.notEqual(tests, child.pid);
    child.kill("SIGKILL");
    assert.equal(await rest, "");
    assert.ok(isAlive(released));
  });
});
