import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import pino from "pino";
import { staysAsParent, Upgrader } from "../../runtime/server/upgrade.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("staysAsParent()", () => {
  const cases: [facts: Parameters<typeof staysAsParent>[0], stays: boolean][] = [
    [{ pid: 7, hasPidFile: false, hasServiceManager: false }, true],
    [{ pid: 7, hasPidFile: true, hasServiceManager: false }, false],
    [{ pid: 7, hasPidFile: false, hasServiceManager: true }, false],
    [{ pid: 7, hasPidFile: true, hasServiceManager: true }, false],
    [{ pid: 1, hasPidFile: false, hasServiceManager: false }, true],
    [{ pid: 1, hasPidFile: true, hasServiceManager: true }, true],
  ];
  for (const [facts, stays] of cases) {
    it(`is ${stays} for ${JSON.stringify(facts)}`, () => {
      assert.equal(staysAsParent(facts), stays);
    });
  }
});

describe("Upgrader", { timeout: 30_000 }, () => {
  it("answers commands that come during an upgrade with its outcome", async (t) => {
    const cwd = temporaryFolder(t);
    const file = join(cwd, "successor.mjs");
    writeFileSync(file, `process.send({ type: "failed", message: "no handlers" });`);
    const logs: string[] = [];
    const upgrader = new Upgrader({
      log: pino({}, { write: (line) => void logs.push(line) }),
      start: { cwd, command: [process.execPath, file] },
      bootTimeoutMs: 10_000,
      stays: true,
      guardian: null,
      listeners: () => [],
      passSignals: () => {},
      handOver: () => Promise.resolve(),
      leave: () => Promise.resolve(),
      close: () => Promise.resolve(),
      answered: () => Promise.resolve(),
    });
    const outcomes = await Promise.all([upgrader.upgradeAndLeave(), upgrader.upgradeAndLeave()]);
    const refused = { kind: "refused", message: "Cannot upgrade: no handlers" };
    assert.deepEqual(outcomes, [refused, refused]);
    assert.equal(logs.filter((line) => line.includes("upgrading:")).length, 1);
    await upgrader.abort();
  });

  it("leaves its place though it cannot tell others, and its own bugs end nobody", async (t) => {
    const cwd = temporaryFolder(t);
    const file = join(cwd, "successor.mjs");
    const code = `process.send({ type: "ready", listeners: [] });
      process.on("message", ({ type }) => { if (type === "take-over") process.exit(3); });`;
    writeFileSync(file, code);
    const logs: { msg: string }[] = [];
    const exit = t.mock.method(process, "exit", () => undefined as never);
    let hasLeft = false;
    const upgrader = new Upgrader({
      log: pino({}, { write: (line) => void logs.push(JSON.parse(line) as { msg: string }) }),
      start: { cwd, command: [process.execPath, file] },
      bootTimeoutMs: 10_000,
      stays: true,
      guardian: null,
      listeners: () => [],
      passSignals: () => {},
      handOver: () => Promise.reject(new Error("no such socket")),
      leave: () => {
        hasLeft = true;
        throw new TypeError("a bug");
      },
      close: () => Promise.resolve(),
      answered: () => Promise.resolve(),
    });
    upgrader.upgrade();
    // Its successor was told to take over; what is rejected and not caught would end this process.
    await eventually(t, () => exit.mock.callCount() > 0);
    assert.deepEqual(exit.mock.calls[0]?.arguments, [3]);
    await upgrader.abort();
    assert.equal(hasLeft, true);
    const messages = logs.map(({ msg }) => msg);
    assert.ok(messages.includes("cannot tell others which process serves"), messages.join("\n"));
    assert.ok(messages.includes("upgrade failed: bug"), messages.join("\n"));
  });
});
