import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { compileProgram } from "../helpers/compile-program.ts";

const run = promisify(execFile);

describe("guardStandardStreams()", { timeout: 180_000 }, () => {
  for (const [kind, pipeline] of [
    ["sockets", ""],
    ["pipes", "2>&1 | cat"],
  ] as const) {
    it(`writes lines that come after end() and destroy(): ${kind}`, async (t) => {
      const file = compileProgram(t, {
        text: `import { guardStandardStreams } from "./runtime/log/standard-streams.ts";
        guardStandardStreams();
        const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
        console.log("first");
        process.stdout.end("ended\\n");
        await turn();
        console.log("after end");
        process.stdout.destroy();
        await turn();
        console.log("after destroy");
        process.stdout.destroy(new Error("a handler's"));
        await turn();
        console.log("after an error");`,
      });
      const command = ["-c", `"$@" ${pipeline}`, "-", process.execPath, file];
      const { stdout } = await run("bash", command);
      assert.equal(stdout, "first\nended\nafter end\nafter destroy\nafter an error\n");
    });
  }
});
