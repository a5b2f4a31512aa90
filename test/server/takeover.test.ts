import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { TAKEOVER_VARIABLE } from "../../runtime/lib/takeover-variable.ts";
import { compileProgram } from "../helpers/compile-program.ts";

describe("Takeover", { timeout: 180_000 }, () => {
  it("asks its parent once for upgrades that are wanted at the same time", async (t) => {
    const program = compileProgram(t, {
      text: `import { Takeover } from "./runtime/server/takeover.ts";
      const takeover = Takeover.receive({ onOrphaned: process.exit, onLeave: () => {} });
      const upgrades = [takeover.upgrade(50_000), takeover.upgrade(50_000)];
      process.channel.ref();
      process.send({ outcomes: await Promise.all(upgrades) }, () => process.disconnect());`,
    });
    const child = fork(program, {
      execArgv: [],
      env: { ...process.env, [TAKEOVER_VARIABLE]: JSON.stringify({ serving: 1, listeners: [] }) },
    });
    t.after(() => child.kill("SIGKILL"));
    const messages: unknown[] = [];
    child.on("message", (message) => {
      messages.push(message);
      if (messages.length === 1) child.send({ type: "not-upgraded", message: "no handlers" });
    });
    // The last message may be read after the exit, and before this.
    await once(child, "close");
    const refused = { kind: "refused", message: "no handlers" };
    assert.deepEqual(messages, [{ type: "upgrade" }, { outcomes: [refused, refused] }]);
  });
});
