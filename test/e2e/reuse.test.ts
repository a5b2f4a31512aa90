import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { startServer, type TestServer } from "../helpers/start-server.ts";

function versionOf(version: number): string {
  return `export default () => new Response("version ${version}");`;
}

/** Starts a server in the folder of another one. */
function startBeside(t: TestContext, { dir, handlersDir }: TestServer): Promise<TestServer> {
  return startServer(t, { handlers: handlersDir, cwd: dir, workers: 1 });
}

function generationOf({ logs }: TestServer): unknown {
  return logs.find(({ msg }) => msg === "listening")?.["generation"];
}

describe("a start with the handlers of the last build", { concurrency: 2 }, () => {
  it("uses that build, until a handler has changed", { timeout: 180_000 }, async (t) => {
    const first = await startServer(t, { handlers: { "index.ts": versionOf(1) }, workers: 1 });
    await first.stop();
    const second = await startBeside(t, first);
    assert.equal(generationOf(second), generationOf(first));
    assert.equal(await (await second.fetch("/")).text(), "version 1");
    // A reload builds in any case, and replaces the workers.
    second.kill("SIGHUP");
    const { generation: reloaded } = await second.until(({ msg }) => msg === "reloaded");
    assert.notEqual(reloaded, generationOf(first));
    // As after a crash: nothing is tidied up.
    second.kill("SIGKILL");
    await second.exit;
    writeFileSync(join(first.handlersDir, "index.ts"), versionOf(2));
    const third = await startBeside(t, first);
    assert.notEqual(generationOf(third), reloaded);
    assert.equal(await (await third.fetch("/")).text(), "version 2");
  });

  it("keeps it when its workers cannot boot this time", { timeout: 180_000 }, async (t) => {
    const handlers = {
      "index.ts": `
        import { existsSync } from "node:fs";
        if (existsSync("broken")) throw new Error("the database is down");
        ${versionOf(1)}`,
    };
    const first = await startServer(t, { handlers, workers: 1 });
    await first.stop();
    writeFileSync(join(first.dir, "broken"), "");
    await assert.rejects(startBeside(t, first), /the database is down/);
    assert.ok(existsSync(join(first.dir, ".edgicorn/generations", String(generationOf(first)))));
  });
});
