import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { spawnServer, startServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const NEVER_LOADS = `console.error("loading"); await new Promise(() => setInterval(() => {}, 1000));`;

const LOADS_LATE = `
  import { existsSync } from "node:fs";
  console.error("loading");
  while (!existsSync(process.env.GO)) await new Promise((resolve) => setTimeout(resolve, 5));
  export default () => new Response("hello");`;

const LOADS_NOW = `export default () => new Response("hello");`;

describe("a signal while the server starts", { timeout: 600_000 }, () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) {
    it(`ends it in order: ${signal} while workers load`, async (t) => {
      const server = spawnServer(t, { handlers: { "index.ts": NEVER_LOADS } });
      await server.until(({ msg }) => msg === "loading");
      server.kill(signal);
      assert.deepEqual(await server.exit, { code: 0, signal: null });
      const generations = join(server.dir, ".edgicorn/generations");
      const files = readdirSync(generations, { recursive: true, encoding: "utf8" });
      assert.deepEqual(
        files.filter((name) => name.includes("lease-")),
        [],
      );
    });
  }

  it("ends it in order while the config file is read", async (t) => {
    const handlers = { "../edgicorn.config.mjs": NEVER_LOADS, "index.ts": "" };
    const server = spawnServer(t, { handlers });
    await server.until(({ msg }) => msg === "loading");
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assert.doesNotMatch(server.stderr, /Error/);
  });

  it("reloads once it has started: SIGHUP", async (t) => {
    const go = join(temporaryFolder(t), "go");
    const server = spawnServer(t, { handlers: { "index.ts": LOADS_LATE }, env: { GO: go } });
    await server.until(({ msg }) => msg === "loading");
    server.kill("SIGHUP");
    await server.until(({ msg }) => msg?.startsWith("received a signal while starting") === true);
    writeFileSync(go, "");
    await server.until(({ msg }) => msg === "listening");
    await server.until(({ msg }) => msg === "reloaded");
    assert.equal(await (await server.fetch("/")).text(), "hello");
  });
});

describe("a signal to a server", { timeout: 600_000 }, () => {
  it("stops it in order: SIGQUIT", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": LOADS_NOW } });
    server.kill("SIGQUIT");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("neither ends it nor opens the inspector: SIGUSR1", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": LOADS_NOW } });
    server.kill("SIGUSR1");
    assert.equal(await (await server.fetch("/")).text(), "hello");
    assert.doesNotMatch(server.stderr, /Debugger/);
  });

  it("does not stop it as it would a job of a terminal: SIGTTIN, SIGTTOU", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": LOADS_NOW } });
    server.kill("SIGTTIN");
    server.kill("SIGTTOU");
    assert.equal(await (await server.fetch("/")).text(), "hello");
  });
});
