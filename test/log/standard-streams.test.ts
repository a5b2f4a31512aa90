import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const run = promisify(execFile);
const MODULE = JSON.stringify(import.meta.resolve("../../runtime/log/standard-streams.ts"));

describe("guardStandardStreams()", { timeout: 180_000 }, () => {
  for (const [kind, pipeline] of [
    ["sockets", ""],
    ["pipes", "2>&1 | cat"],
  ] as const) {
    it(`writes lines that come after end() and destroy(): ${kind}`, async (t) => {
      const file = join(temporaryFolder(t), "prints.mjs");
      writeFileSync(
        file,
        `import { guardStandardStreams } from ${MODULE};
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
      );
      const loader = import.meta.resolve("tsx");
      const command = ["-c", `"$@" ${pipeline}`, "-", process.execPath, "--import", loader, file];
      const { stdout } = await run("bash", command);
      assert.equal(stdout, "first\nended\nafter end\nafter destroy\nafter an error\n");
    });
  }
});
