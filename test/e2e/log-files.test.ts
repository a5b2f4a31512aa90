import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { HttpClient } from "../helpers/http-client.ts";
import { Load } from "../helpers/load.ts";
import { runCommand } from "../helpers/run-command.ts";
import {
  type LogLine,
  spawnServer,
  startServer,
  type TestServer,
} from "../helpers/start-server.ts";

const LOGS = `export default (request, context) => {
  context.log.info("handled");
  return new Response("hi");
};`;

/** All lines of a log and of what it was before it was rotated. Throws for what is no JSON, as half a line is. */
function linesOf(dir: string, name: string): LogLine[] {
  return readdirSync(dir)
    .filter((file) => file.startsWith(name))
    .flatMap((file) => readFileSync(join(dir, file), "utf8").split("\n").slice(0, -1))
    .map((line) => JSON.parse(line) as LogLine);
}

/** A server that logs to files only: what it listens on is there too. */
async function startLoggingTo(t: TestContext, flags: string[]): Promise<Started> {
  const server = spawnServer(t, { handlers: { "index.ts": LOGS }, workers: 2, flags });
  const path = join(server.dir, "all.log");
  let listening: LogLine | undefined;
  await eventually(t, () => {
    if (!existsSync(path)) return false;
    listening = linesOf(server.dir, "all.log").find(({ msg }) => msg === "listening");
    return listening !== undefined;
  });
  // The shape of this log line.
  const [{ port }] = (listening?.["listeners"] ?? []) as [{ port: number }];
  return { server, url: `http://127.0.0.1:${port}` };
}

interface Started {
  server: TestServer;
  url: string;
}

describe("log files", { timeout: 600_000 }, () => {
  it("have every line, whole, however often they are rotated under load, also by an upgrade", async (t) => {
    const flags = ["--log-file", "all.log", "--access-log", "access.log"];
    const { server, url } = await startLoggingTo(t, flags);
    const { dir } = server;
    const client = new HttpClient(t, url, { connections: 8 });
    const load = new Load(t, 8, async () => (await client.request("/")).status);
    let rotations = 0;
    const rotate = async (): Promise<void> => {
      rotations++;
      for (const name of ["all.log", "access.log"]) {
        renameSync(join(dir, name), join(dir, `${name}.${rotations}`));
      }
      server.kill("SIGUSR1");
      await eventually(t, () =>
        ["all.log", "access.log"].every(
          (name) => (statSync(join(dir, name), { throwIfNoEntry: false })?.size ?? 0) > 0,
        ),
      );
    };
    await load.until(50);
    for (let round = 0; round < 3; round++) await rotate();
    server.kill("SIGUSR2");
    await eventually(t, () =>
      linesOf(dir, "all.log").some(({ msg }) => msg?.startsWith("took over") === true),
    );
    for (let round = 0; round < 3; round++) await rotate();
    const results = await load.stop();
    assert.ok(results.every((status) => status === 200));
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });

    const access = linesOf(dir, "access.log");
    assert.equal(access.length, results.length);
    assert.equal(new Set(access.map(({ requestId }) => requestId)).size, results.length);
    const handled = linesOf(dir, "all.log").filter(({ msg }) => msg === "handled");
    assert.equal(handled.length, results.length);
    assert.equal(statSync(join(dir, "access.log")).mode & 0o777 & ~0o640, 0);
    assert.equal(server.stderr, "");
  });

  it("refuses to start with one that cannot be written, in one line", async (t) => {
    const cases: [flag: string, path: string, found: RegExp][] = [
      ["--log-file", "none/all.log", /^Cannot use --log-file: found no folder .*none, expected/],
      ["--access-log", ".", /^Cannot use --access-log: found "\.", expected|found a folder/],
      ["--access-log", "/proc/none.log", /^Cannot use accessLog: .*ENOENT.*expected a file/],
    ];
    for (const [flag, path, found] of cases) {
      const server = spawnServer(t, { handlers: { "index.ts": LOGS }, flags: [flag, path] });
      assert.deepEqual(await server.exit, { code: 78, signal: null }, path);
      assert.match(server.stderr, found);
      assert.equal(server.stderr.trimEnd().split("\n").length, 1);
    }
  });

  it("serves on when the disk is full, says so once, and ends in order", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.ts": LOGS },
      workers: 1,
      flags: ["--access-log", "/dev/full"],
    });
    await server.fetch("/");
    await server.until(({ msg }) => msg?.includes("ENOSPC") === true);
    for (let count = 0; count < 20; count++) assert.equal((await server.fetch("/")).status, 200);
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assert.equal(server.stderr.split("ENOSPC").length, 2, server.stderr);
    assert.match(server.stderr, /21 lines are lost/);
  });

  it("follows a reload to another file, and refuses one to a file that cannot be written", async (t) => {
    const file = "edgicorn.config.json";
    const files = { [file]: JSON.stringify({ accessLog: "first.log" }) };
    const server = await startServer(t, { handlers: { "index.ts": LOGS }, workers: 1, files });
    const reload = async (accessLog: unknown): Promise<number | null> => {
      writeFileSync(join(server.dir, file), JSON.stringify({ accessLog }));
      return (await runCommand(["reload"], server.dir)).code;
    };
    await server.fetch("/");
    mkdirSync(join(server.dir, "logs"));
    assert.equal(await reload("logs/second.log"), 0);
    await server.fetch("/");
    await eventually(t, () => linesOf(join(server.dir, "logs"), "second.log").length === 1);
    await eventually(t, () => linesOf(server.dir, "first.log").length === 1);
    assert.equal(await reload("nowhere/third.log"), 78);
    await server.fetch("/");
    await eventually(t, () => linesOf(join(server.dir, "logs"), "second.log").length === 2);
    assert.equal(await reload(true), 0);
    await server.fetch("/");
    await server.untilAccess({ path: "/" });
  });
});
