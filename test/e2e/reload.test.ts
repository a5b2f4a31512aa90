import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HttpClient } from "../helpers/http-client.ts";
import { Load } from "../helpers/load.ts";
import { startServer, type LogLine, type TestServer } from "../helpers/start-server.ts";

function versionOf(number: number): string {
  return `export default () => new Response("version ${number}")`;
}

/** Answers a request with `file` in its query once that file exists. */
function waitingVersionOf(version: number): string {
  return `
      import { existsSync } from "node:fs";
      export default async (request, { log }) => {
        const { searchParams } = new URL(request.url);
        if (searchParams.has("file")) {
          log.info("began");
          while (!existsSync(searchParams.get("file"))) await new Promise((r) => setTimeout(r, 5));
        }
        return new Response("version ${version}");
      }`;
}

function write(server: TestServer, path: string, source: string): void {
  writeFileSync(join(server.handlersDir, path), source);
}

/** Sends SIGHUP and waits for what came of it. */
async function reload(server: TestServer): Promise<LogLine> {
  const seen = server.logs.length;
  server.kill("SIGHUP");
  return server.until(
    (line) =>
      server.logs.indexOf(line) >= seen &&
      (line.msg === "reloaded" || line.msg?.startsWith("reload refused") === true),
  );
}

async function textOf(server: TestServer, path = "/"): Promise<string> {
  return (await server.fetch(path)).text();
}

describe("SIGHUP", { timeout: 600_000 }, () => {
  it("moves to changed handlers under load and loses nothing", async (t) => {
    const flags = ["--access-log", "off", "--log-level", "debug"];
    const server = await startServer(t, {
      workers: 2,
      handlers: { "index.ts": versionOf(1) },
      flags,
    });
    const client = new HttpClient(t, server.http, { connections: 16 });
    const load = new Load(t, 16, async () => {
      const { status, body } = await client.request("/");
      return { status, text: String(body) };
    });
    for (let version = 1; version <= 3; version++) {
      write(server, "index.ts", versionOf(version));
      assert.equal((await reload(server)).msg, "reloaded");
      // What is asked from now on is answered by the new one.
      assert.equal(await textOf(server), `version ${version}`);
      await load.until(100, ({ text }) => text === `version ${version}`);
    }
    const results = await load.stop();
    assert.ok(results.every(({ status, text }) => status === 200 && /^version [123]$/.test(text)));
    // The workers of old generations are gone, in order.
    for (let id = 1; id <= 6; id++) {
      const line = await server.until(
        ({ msg, workerId }) => msg === "worker exited" && workerId === id,
      );
      assert.deepEqual([line["code"], line["signal"]], [0, null]);
    }
    assert.equal(server.workers.size, 2);
  });

  it("lets the old handlers finish what they have", async (t) => {
    const server = await startServer(t, {
      workers: 2,
      handlers: { "index.ts": waitingVersionOf(1) },
    });
    const file = "go";
    const held = server.fetch(`/?file=${join(server.dir, file)}`);
    await server.until(({ msg }) => msg === "began");
    write(server, "index.ts", waitingVersionOf(2));
    await reload(server);
    assert.equal(await textOf(server), "version 2");
    // Even when the server is told to stop meanwhile.
    server.kill("SIGTERM");
    await server.until(({ msg }) => msg?.startsWith("stopping") === true);
    writeFileSync(join(server.dir, file), "");
    const response = await held;
    assert.deepEqual([response.status, await response.text()], [200, "version 1"]);
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("finds routes that came and went", async (t) => {
    const handlers = { "index.ts": versionOf(1), "old.ts": versionOf(1) };
    const server = await startServer(t, { workers: 2, handlers });
    write(server, "new.ts", versionOf(2));
    rmSync(join(server.handlersDir, "old.ts"));
    await reload(server);
    assert.equal(await textOf(server, "/new"), "version 2");
    assert.equal((await server.fetch("/old")).status, 404);
  });

  it("refuses handlers that are broken, says where, and serves on with the old ones", async (t) => {
    const server = await startServer(t, { workers: 2, handlers: { "index.ts": versionOf(1) } });
    const ids = [...server.workers.keys()];
    const broken = {
      "a syntax error": ["export default () => {\n  return new Response(;\n};\n", /index\.ts:2/],
      "a throw at the top": [
        '\n\nthrow new Error("at the top");\nexport default 1;',
        /index\.ts:3.*at the top/s,
      ],
      "a wrong export": ["\nexport default 42;", /index\.ts/],
      "an import of nothing": [
        'import "./missing.ts";\nexport default () => {};',
        /index\.ts:1.*missing/s,
      ],
      "an exit": ["process.exit(0);", /index\.ts:1:9: process\.exit\(0\)/],
    } as const;
    for (const [name, [source, message]] of Object.entries(broken)) {
      await t.test(name, async () => {
        write(server, "index.ts", source);
        const line = await reload(server);
        assert.equal(line["level"], "error");
        assert.match(line.msg ?? "", /^reload refused/);
        assert.match(line.msg ?? "", message);
        assert.equal(await textOf(server), "version 1");
        assert.deepEqual([...server.workers.keys()], ids);
      });
    }
    write(server, "index.ts", versionOf(2));
    assert.equal((await reload(server)).msg, "reloaded");
    assert.equal(await textOf(server), "version 2");
  });

  it("again while it reloads is obeyed too", async (t) => {
    const server = await startServer(t, { workers: 2, handlers: { "index.ts": versionOf(1) } });
    server.kill("SIGHUP");
    await server.until(({ msg, workerId }) => msg === "worker ready" && workerId === 3);
    write(server, "index.ts", versionOf(2));
    server.kill("SIGHUP");
    const reloads = (): number => server.logs.filter(({ msg }) => msg === "reloaded").length;
    await server.until(() => reloads() >= 2);
    assert.equal(await textOf(server), "version 2");
  });
});
