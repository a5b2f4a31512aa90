import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { Successor, type SuccessorOptions } from "../../runtime/server/successor.ts";
import { NO_FACTS } from "../../runtime/server/takeover.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const READY = `process.send({ type: "ready", listeners: [{ scheme: "http", port: 80 }] });`;

/** What runs in the new process: `place` is what it was told to take. */
function program(t: TestContext, code: string): SuccessorOptions {
  const cwd = temporaryFolder(t);
  const file = join(cwd, "successor.mjs");
  writeFileSync(file, `const place = JSON.parse(process.env.EDGICORN_TAKEOVER);\n${code}`);
  const place = { serving: 42, listeners: [{ scheme: "http" as const, port: 80 }] };
  return { place, timeoutMs: 20_000, cwd, command: [process.execPath, file] };
}

const running = new AbortController();

function raise(
  options: SuccessorOptions,
  signal: AbortSignal = running.signal,
): Promise<Successor> {
  return Successor.raise(options, { signal });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("Successor", { timeout: 60_000 }, () => {
  it("is told what it takes, says what it serves, and outlives its parent's interest", async (t) => {
    const options = program(
      t,
      `if (place.serving !== 42 || place.listeners[0].port !== 80) process.exit(1);
      ${READY}
      process.once("message", (message) => {
        const told = JSON.stringify(message);
        process.once("disconnect", () => import("node:fs").then((fs) => fs.writeFileSync("told", told)));
      });
      setInterval(() => {}, 1000);`,
    );
    const successor = await raise(options);
    t.after(() => process.kill(successor.pid, "SIGKILL"));
    assert.deepEqual(successor.listeners, [{ scheme: "http", port: 80 }]);
    await successor.takeOver({ stays: false });
    await eventually(t, () => existsSync(join(options.cwd, "told")));
    assert.ok(isAlive(successor.pid));
  });

  it("keeps its channel to a parent that stays, and can be told to leave", async (t) => {
    const options = program(
      t,
      `${READY}
      const seen = [];
      process.on("message", (message) => {
        seen.push(message.type);
        if (message.type === "leave") process.exit(seen.join() === "take-over,leave" ? 3 : 1);
      });`,
    );
    const successor = await raise(options);
    await successor.takeOver({ stays: true });
    await successor.leave({ pid: 1, facts: NO_FACTS });
    assert.deepEqual(await successor.exited, { code: 3, signal: null });
    // It is gone: nothing more reaches it, and nobody waits.
    await successor.leave({ pid: 1, facts: NO_FACTS });
  });

  const failures: [name: string, code: string, message: RegExp][] = [
    ["exits", "process.exit(7)", /ended with code 7 before it was ready/],
    ["is killed", `process.kill(process.pid, "SIGKILL")`, /ended with SIGKILL/],
    [
      "says why",
      `process.send({ type: "failed", message: "index.ts:3: no" }, () => process.exit(70))`,
      /^Cannot upgrade: index\.ts:3: no$/,
    ],
    ["closes its channel and ends", "process.disconnect()", /ended with code 0/],
  ];
  for (const [name, code, message] of failures) {
    it(`is refused when it ${name}`, async (t) => {
      await assert.rejects(raise(program(t, code)), { code: "ERR_BOOT_LOOP", message });
    });
  }

  it("is refused when there is no such program", async (t) => {
    const options = { ...program(t, ""), command: ["/nowhere/node"] as const };
    await assert.rejects(raise(options), { code: "ERR_BOOT_LOOP", message: /ENOENT/ });
  });

  it("is ended when it takes too long", async (t) => {
    const code = `import("node:fs").then((fs) => fs.writeFileSync("pid", String(process.pid))); setInterval(() => {}, 1000);`;
    const options = { ...program(t, code), timeoutMs: 1_000 };
    await assert.rejects(raise(options), {
      code: "ERR_BOOT_LOOP",
      message: /not ready within 1000 ms/,
    });
    if (existsSync(join(options.cwd, "pid"))) {
      assert.equal(isAlive(Number(readFileSync(join(options.cwd, "pid"), "utf8"))), false);
    }
  });

  it("is ended when it is not wanted any more, even one that is deaf", async (t) => {
    const code = `process.on("SIGTERM", () => {}); process.stdout.write(""); setInterval(() => {}, 1000); import("node:fs").then((fs) => fs.writeFileSync("up", ""));`;
    const options = { ...program(t, code), killAfterMs: 200 };
    const stop = new AbortController();
    const raising = raise(options, stop.signal);
    const settled = assert.rejects(raising, { code: "ERR_DRAINING" });
    await eventually(t, () => existsSync(join(options.cwd, "up")));
    stop.abort();
    await settled;
  });

  it("is not started when nobody wants it any more", async (t) => {
    const stop = AbortSignal.abort();
    await assert.rejects(raise(program(t, READY), stop), { code: "ERR_DRAINING" });
  });

  it("hears signals", async (t) => {
    const code = `process.on("SIGHUP", () => process.exit(9)); setInterval(() => {}, 1000); ${READY}`;
    const successor = await raise(program(t, code));
    successor.kill("SIGHUP");
    assert.deepEqual(await successor.exited, { code: 9, signal: null });
  });
});
