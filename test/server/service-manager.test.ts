import assert from "node:assert/strict";
import childProcess from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { describe, it } from "node:test";
import pino from "pino";
import { ServiceManager, watchdogIntervalMs } from "../../runtime/server/service-manager.ts";
import { LACKS_TOOLS, openNotifySocket } from "../helpers/notify-socket.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const log = pino({ level: "silent" });

describe("ServiceManager", { timeout: 180_000 }, () => {
  it("tells a service manager how the service is, in order", { skip: LACKS_TOOLS }, async (t) => {
    const { path, next } = await openNotifySocket(t);
    const env = { ...process.env, NOTIFY_SOCKET: path };
    const manager = ServiceManager.find({ env, log });
    assert.ok(manager !== null);
    const startedAt = process.hrtime.bigint() / 1000n;
    void manager.ready("serving");
    void manager.reloading();
    void manager.ready("serving");
    void manager.stopping();
    await manager.handOver(4711);
    assert.deepEqual(await next(), ["READY=1", "STATUS=serving"]);
    const [reloading, at, status] = await next();
    assert.deepEqual([reloading, status], ["RELOADING=1", "STATUS=reloading"]);
    const microseconds = BigInt(/^MONOTONIC_USEC=(\d+)$/.exec(at ?? "")?.[1] ?? "");
    assert.ok(microseconds >= startedAt && microseconds <= process.hrtime.bigint() / 1000n);
    assert.deepEqual(await next(), ["READY=1", "STATUS=serving"]);
    assert.deepEqual(await next(), ["STOPPING=1", "STATUS=finishing open requests"]);
    assert.deepEqual(await next(), ["MAINPID=4711"]);
  });

  it("goes on when the system makes no process", async (t) => {
    const spawn = t.mock.method(childProcess, "spawn", () => {
      throw new Error("spawn ENOMEM");
    });
    syncBuiltinESMExports();
    const manager = ServiceManager.find({ env: { NOTIFY_SOCKET: "/nowhere" }, log });
    await manager?.ready("serving");
    await manager?.stopping();
    assert.equal(spawn.mock.callCount(), 2);
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });

  it(
    "says that it is alive, once it serves and until it ends",
    { skip: LACKS_TOOLS },
    async (t) => {
      const { path, next } = await openNotifySocket(t);
      const env = { ...process.env, NOTIFY_SOCKET: path, WATCHDOG_USEC: "100000" };
      const manager = ServiceManager.find({ env, log });
      assert.ok(manager !== null);
      // The timer of the watchdog keeps no process alive; something else does.
      const alive = setInterval(() => {}, 1000);
      t.after(() => clearInterval(alive));
      await manager.ready("serving");
      await next();
      assert.deepEqual(await next(), ["WATCHDOG=1"]);
      assert.deepEqual(await next(), ["WATCHDOG=1"]);
      manager.close();
    },
  );

  it("is not there when nobody wants to know", () => {
    assert.equal(ServiceManager.find({ env: {}, log }), null);
    assert.equal(ServiceManager.find({ env: { NOTIFY_SOCKET: "" }, log }), null);
  });

  it("warns once where there is no systemd-notify, and goes on", async () => {
    const warnings: string[] = [];
    const listening = pino(
      { level: "warn" },
      { write: (line: string) => void warnings.push(line) },
    );
    const manager = ServiceManager.find({
      env: { NOTIFY_SOCKET: "/run/nobody" },
      log: listening,
      program: "/nowhere/systemd-notify",
    });
    await manager?.ready("serving");
    await manager?.stopping();
    assert.equal(warnings.length, 1);
  });

  it("keeps few messages waiting", async (t) => {
    const dir = temporaryFolder(t);
    const program = join(dir, "counting");
    writeFileSync(program, `#!/bin/sh\necho "$1" >> ${dir}/sent\n`, { mode: 0o755 });
    const env = { ...process.env, NOTIFY_SOCKET: "/run/nobody" };
    const manager = ServiceManager.find({ env, log, program });
    assert.ok(manager !== null);
    await Promise.all(Array.from({ length: 100 }, () => manager.ready("serving")));
    assert.equal(readFileSync(join(dir, "sent"), "utf8"), "READY=1\n".repeat(16));
  });
});

describe("watchdogIntervalMs()", () => {
  const own = String(process.pid);
  const cases: [env: Record<string, string>, isSuccessor: boolean, ms: number | null][] = [
    [{}, false, null],
    [{ WATCHDOG_USEC: "30000000" }, false, 15_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: own }, false, 15_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "1" }, false, null],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "1" }, true, 15_000],
    [{ WATCHDOG_USEC: "0" }, false, null],
    [{ WATCHDOG_USEC: "often" }, false, null],
    [{ WATCHDOG_USEC: "1000" }, false, 1],
  ];
  for (const [env, isSuccessor, ms] of cases) {
    it(`is ${ms} for ${JSON.stringify(env)}${isSuccessor ? " of a successor" : ""}`, () => {
      assert.equal(watchdogIntervalMs(env, { isSuccessor }), ms);
    });
  }
});
