import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DrillFolder } from "../../runtime/drill/drill-folder.ts";
import { builtProgram } from "../helpers/built-program.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(cwd: string, args: readonly string[]): Promise<Finished> {
  return new Promise((resolve) => {
    execFile(process.execPath, [builtProgram(), ...args], { cwd }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
    });
  });
}

describe("edgicorn drill", { timeout: 300_000 }, () => {
  it("breaks a copy, loses nothing, and leaves the folder as it was", async (t) => {
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "handlers"));
    mkdirSync(join(dir, "lib"));
    writeFileSync(join(dir, "lib/text.ts"), `export const text = "from beside";`);
    writeFileSync(
      join(dir, "handlers/index.ts"),
      `import { text } from "../lib/text.ts"; export default () => new Response(text);`,
    );
    const { code, stdout, stderr } = await run(dir, [
      "drill",
      "--brief",
      "--json",
      "--seconds",
      "0.5",
      "--only",
      "shrink-memory,kill-a-worker,break a deploy",
    ]);
    assert.equal(code, 0, stdout + stderr);
    const results = JSON.parse(stdout) as { name: string; seen: Record<string, number> }[];
    assert.deepEqual(
      results.map(({ name }) => name),
      // In its own order: all exercises are run by `.ci/run`.
      ["kill a worker", "break a deploy", "shrink memory"],
    );
    for (const { name, seen } of results) {
      assert.equal(seen["failed"], 0, name);
      assert.equal(seen["closed"], 0, name);
    }
    assert.deepEqual(readdirSync(dir).toSorted(), ["handlers", "lib"]);
    assert.deepEqual(readdirSync(join(dir, "handlers")), ["index.ts"]);
  });

  it("refuses a path that does not work", async (t) => {
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "handlers"));
    writeFileSync(join(dir, "handlers/index.ts"), `export default () => { throw 1; };`);
    const { code, stderr } = await run(dir, ["drill", "--brief"]);
    assert.equal(code, 78);
    assert.match(stderr, /Cannot drill with GET \/: found status 500/);
    assert.deepEqual(readdirSync(dir), ["handlers"]);
  });

  it("names the operator's files, not those of the copy, when they do not load", async (t) => {
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "src/handlers"), { recursive: true });
    writeFileSync(join(dir, "src/handlers/index.ts"), "export default (;");
    const args = ["drill", "--brief", "--handlers", "src/handlers"];
    const { code, stdout, stderr } = await run(dir, args);
    assert.deepEqual([code, stdout], [70, ""]);
    assert.match(
      stderr,
      /\n {2}Cannot compile src\/handlers: 1 error\n {2}src\/handlers\/index\.ts:1:17: /,
    );
    assert.deepEqual(readdirSync(dir), ["src"]);
  });
});

describe("DrillFolder", () => {
  it("never writes where a link of the operator leads", async (t) => {
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "handlers"));
    writeFileSync(join(dir, "handlers/index.ts"), "export default 1;");
    symlinkSync("handlers", join(dir, "current"));
    const folder = await DrillFolder.open({
      handlersDir: join(dir, "current"),
      stateDir: join(dir, ".edgicorn"),
      cwd: dir,
    });
    await folder.breakHandlers();
    await folder.changeHandlers();
    assert.equal(readFileSync(join(folder.handlersDir, "index.ts"), "utf8"), "export default 1;");
    assert.deepEqual(readdirSync(join(dir, "handlers")), ["index.ts"]);
    await folder.remove();
    assert.deepEqual(readdirSync(dir).toSorted(), ["current", "handlers"]);
  });
});
