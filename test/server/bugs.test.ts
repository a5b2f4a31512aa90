import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { describeFailure } from "../../runtime/server/bugs.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { compileProgram } from "../helpers/compile-program.ts";

describe("describeFailure()", () => {
  it("tells a person's mistake without a stack", () => {
    const wrong = new RuntimeError("ERR_CONFIG", "Cannot use --http");
    assert.deepEqual(describeFailure(wrong), { text: "Cannot use --http", exitCode: 78 });
    const taken = new RuntimeError("ERR_LISTEN", "Cannot listen");
    assert.deepEqual(describeFailure(taken), { text: "Cannot listen", exitCode: 70 });
  });

  it("tells a bug with its stack", () => {
    const { text, exitCode } = describeFailure(new TypeError("x is not a function"));
    assert.equal(exitCode, 70);
    assert.match(text, /^TypeError: x is not a function\n\s+at .*bugs\.test\.ts/);
    assert.deepEqual(describeFailure("text"), { text: "threw text", exitCode: 70 });
  });
});

describe("exitOnBug()", { timeout: 180_000 }, () => {
  for (const [what, code] of [
    ["an exception", `setImmediate(() => { throw new Error("lost"); });`],
    ["a rejection", `Promise.reject(new Error("lost"));`],
  ] as const) {
    it(`reports ${what} that nobody caught and exits with 70`, (t) => {
      const text = `import { exitOnBug } from "./runtime/server/bugs.ts";
        exitOnBug((error) => console.error("reported", error.message));
        setInterval(() => {}, 1000);
        ${code}`;
      const args = [compileProgram(t, { text })];
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
      assert.deepEqual([status, stderr], [70, "reported lost\n"]);
    });
  }
});
