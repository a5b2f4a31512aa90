import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { HttpClient } from "../helpers/http-client.ts";
import { Load } from "../helpers/load.ts";
import { runCommand } from "../helpers/run-command.ts";
import { send } from "../helpers/send.ts";
import { type LogLine, startServer, type TestServer } from "../helpers/start-server.ts";

/** Says which primary has started the worker. */
const PARENT = `export default () => new Response(String(process.ppid))`;

const WAITS = `export default () => { console.error("waiting"); return new Promise(() => {}); }`;

const NEVER_LOADS = `console.error("loading"); await new Promise(() => setInterval(() => {}, 1000));`;

function write(server: TestServer, source: string): void {
  writeFileSync(join(server.handlersDir, "index.ts"), source);
}

/** Sends SIGUSR2 and waits for a log line of its own that matches. */
function upgrade(server: TestServer, message: RegExp): Promise<LogLine> {
  const seen = server.logs.length;
  server.kill("SIGUSR2");
  return server.until((line) => server.logs.indexOf(line) >= seen && message.test(line.msg ?? ""));
}

const DONE = /^took over/;

/** Until then it listens as well, and a connection that is being made in the moment in which it no longer does may be lost. */
async function untilLeft(server: TestServer): Promise<void> {
  await server.until(({ msg }) => msg?.startsWith("waiting for the process that serves") === true);
}

async function serving(server: TestServer): Promise<number> {
  // On a connection of its own: the old process would wait 5 s for one that is kept.
  return Number((await send(`${server.http}/`)).text);
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.trim().split(" ").filter(Boolean).map(Number);
}

/** The text of a file in `/proc/PID/`; empty if the process has exited. */
function textOf(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}

/** Whether a process is a primary: its arguments are those of a start. */
function isServer(pid: number): boolean {
  return textOf(pid, "cmdline").split("\0").includes("--handlers");
}

describe("SIGUSR2", { timeout: 300_000 }, () => {
  it("moves to a new process under load, loses nothing, and stays as its parent", async (t) => {
    const flags = ["--access-log", "off"];
    const server = await startServer(t, { handlers: { "index.ts": PARENT }, workers: 1, flags });
    const client = new HttpClient(t, server.http, { connections: 8 });
    const load = new Load(t, 8, async () => {
      const { status, body } = await client.request("/");
      return { status, pid: Number(String(body)) };
    });
    await load.until(50, ({ pid }) => pid === server.pid);
    const pids = [server.pid];
    for (let round = 0; round < 2; round++) {
      const { pid: next } = await upgrade(server, DONE);
      assert.ok(typeof next === "number" && !pids.includes(next));
      pids.push(next);
      await load.until(50, ({ pid }) => pid === next);
    }
    const results = await load.stop();
    assert.ok(results.every(({ status, pid }) => status === 200 && pids.includes(pid)));
    // Signals reach the one that serves.
    server.kill("SIGHUP");
    const [, , last] = pids;
    await server.until(({ msg, pid }) => msg === "reloaded" && pid === last);
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("ends the old process where a pid file names the new one", async (t) => {
    const flags = ["--pid-file", "edgicorn.pid"];
    const server = await startServer(t, { handlers: { "index.ts": PARENT }, workers: 1, flags });
    const path = join(server.dir, "edgicorn.pid");
    assert.equal(readFileSync(path, "utf8"), `${server.pid}\n`);
    const { pid } = await upgrade(server, DONE);
    await eventually(t, () => readFileSync(path, "utf8") === `${String(pid)}\n`);
    await eventually(t, () => !existsSync(`/proc/${server.pid}/exe`));
    assert.equal(await serving(server), pid);
    assert.equal((await runCommand(["stop"], server.dir)).code, 0);
    assert.equal(existsSync(path), false);
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("changes nothing when the new process cannot start, and says why", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": PARENT }, workers: 1 });
    write(server, "\n\nexport default () => {{");
    const line = await upgrade(server, /^upgrade refused/);
    assert.match(line.msg ?? "", /handlers\/index\.ts:3/);
    assert.equal(line["level"], "error");
    assert.equal(await serving(server), server.pid);
    assert.equal((await runCommand(["status"], server.dir)).code, 0);
    write(server, PARENT);
    const { pid } = await upgrade(server, DONE);
    await untilLeft(server);
    assert.equal(await serving(server), pid);
  });

  it("is ignored while another one is under way, and given up when the server stops", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": PARENT }, workers: 1 });
    write(server, NEVER_LOADS);
    await upgrade(server, /^loading$/);
    await upgrade(server, /^upgrade ignored/);
    assert.equal(await serving(server), server.pid);
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assert.ok(server.logs.some(({ msg }) => msg?.startsWith("upgrade given up") === true));
  });

  it("while handlers are reloaded leaves both in order", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": PARENT }, workers: 1 });
    server.kill("SIGHUP");
    const { pid } = await upgrade(server, DONE);
    // A connection that is being made in the moment in which the old one leaves the port may be lost.
    await server.until(
      ({ msg }) => msg?.startsWith("waiting for the process that serves") === true,
    );
    assert.equal(await serving(server), pid);
  });

  it("is refused when the new process is killed while it starts, also by a parent that stays", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": PARENT }, workers: 1 });
    const killNext = async (): Promise<void> => {
      write(server, NEVER_LOADS);
      await upgrade(server, /^loading$/);
      const next = childrenOf(server.pid).findLast((pid) => isServer(pid));
      assert.ok(next !== undefined);
      const refused = server.logs.length;
      process.kill(next, "SIGKILL");
      const { msg } = await server.until(
        (line) =>
          server.logs.indexOf(line) >= refused && line.msg?.startsWith("upgrade refused") === true,
      );
      assert.match(msg ?? "", /ended with SIGKILL before it was ready$/);
      write(server, PARENT);
    };
    await killNext();
    assert.equal(await serving(server), server.pid);
    const { pid } = await upgrade(server, DONE);
    await untilLeft(server);
    await killNext();
    assert.equal(await serving(server), pid);
    // The end of the process that serves is the end of its parent.
    process.kill(Number(pid), "SIGKILL");
    assert.deepEqual(await server.exit, { code: 137, signal: null });
  });

  it("leaves no process behind when the parent is killed, before or after", async (t) => {
    const before = await startServer(t, { handlers: { "index.ts": PARENT }, workers: 1 });
    write(before, NEVER_LOADS);
    await upgrade(before, /^loading$/);
    before.kill("SIGKILL");
    assert.deepEqual(await before.exit, { code: null, signal: "SIGKILL" });

    const after = await startServer(t, { handlers: { "index.ts": PARENT }, workers: 1 });
    await upgrade(after, DONE);
    // It has two children by then: the server, and one that is to take its place.
    write(after, NEVER_LOADS);
    await upgrade(after, /^loading$/);
    after.kill("SIGKILL");
    assert.deepEqual(await after.exit, { code: null, signal: "SIGKILL" });
  });

  it("leaves no process behind when the parent is killed before it has left its place", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": PARENT }, workers: 1 });
    const loads = `await (await import("node:fs/promises")).access(${JSON.stringify(join(server.dir, "load"))});`;
    write(server, `console.error("loading"); for (;;) try { ${loads} break; } catch {}\n${PARENT}`);
    await upgrade(server, /^loading$/);
    // The new process becomes ready, and the old one cannot read that.
    server.kill("SIGSTOP");
    writeFileSync(join(server.dir, "load"), "");
    // The kernel gives some connections to the new process. The others wait for the old one, until it is killed.
    const answered = new Set<number>();
    await eventually(t, () => {
      void serving(server).then(
        (pid) => answered.add(pid),
        () => {},
      );
      return answered.size > 0;
    });
    assert.equal(answered.has(server.pid), false);
    server.kill("SIGKILL");
    assert.deepEqual(await server.exit, { code: null, signal: "SIGKILL" });
  });

  it("needs the old process no more once the new one has its place", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.ts": PARENT, "waits.ts": WAITS },
      workers: 1,
      flags: ["--pid-file", "edgicorn.pid"],
    });
    const open = await server.connect();
    open.send("GET /waits HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await server.until(({ msg }) => msg === "waiting");
    const { pid } = await upgrade(server, DONE);
    // The request keeps the old process, which finishes it.
    server.kill("SIGKILL");
    assert.equal(await open.untilClosed(), "");
    // The kernel may still close sockets of the killed process: it resets a connection that waits at one.
    await eventually(t, async () => (await serving(server).catch(() => null)) === pid);
    assert.equal((await runCommand(["stop"], server.dir)).code, 0);
    assert.deepEqual(await server.exit, { code: null, signal: "SIGKILL" });
  });
});

const canUnshare = spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "true"]).status === 0;

describe("process 1 of a container", { timeout: 180_000 }, () => {
  it(
    "obeys signals, and stays until the process that took over ends",
    { skip: canUnshare ? false : "needs unshare and the right to make a namespace" },
    async (t) => {
      const server = await startServer(t, {
        handlers: { "index.ts": PARENT },
        workers: 1,
        flags: ["--pid-file", "edgicorn.pid"],
        prefix: ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"],
      });
      const first = Number(readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "utf8"));
      assert.equal(await serving(server), 1);
      process.kill(first, "SIGUSR2");
      const { pid } = await server.until(({ msg }) => DONE.test(msg ?? ""));
      assert.notEqual(pid, 1);
      await untilLeft(server);
      assert.equal(await serving(server), pid);
      assert.equal(readFileSync(join(server.dir, "edgicorn.pid"), "utf8"), "1\n");
      process.kill(first, "SIGTERM");
      assert.deepEqual(await server.exit, { code: 0, signal: null });
      assert.equal(existsSync(join(server.dir, "edgicorn.pid")), false);
    },
  );

  it(
    "has no zombie of the compiler after a reload",
    { skip: canUnshare ? false : "needs unshare and the right to make a namespace" },
    async (t) => {
      const server = await startServer(t, {
        handlers: { "index.ts": PARENT },
        workers: 1,
        prefix: ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"],
      });
      const [first] = childrenOf(server.pid);
      assert.ok(first !== undefined);
      process.kill(first, "SIGHUP");
      await server.until(({ msg }) => msg === "reloaded");
      const names = () => childrenOf(first).map((pid) => textOf(pid, "comm").trim());
      assert.ok(names().includes("node"), "a worker");
      // A compiler that is about to exit is gone in a moment. A zombie stays for good.
      await eventually(t, () => !names().includes("esbuild"));
      // The server itself: `unshare` ignores the signal that would end it after the test.
      process.kill(first, "SIGTERM");
      assert.deepEqual(await server.exit, { code: 0, signal: null });
    },
  );
});
