import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import type { Deputy } from "../../runtime/server/shutdown.ts";
import type { StartCommand } from "../../runtime/server/start-command.ts";
import { NO_FACTS } from "../../runtime/server/takeover.ts";
import { Successor, Upgrader, type UpgraderOptions } from "../../runtime/server/upgrade.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const PLACE = { serving: 42, listeners: [{ scheme: "http" as const, port: 80 }] };

const READY = `process.send({ type: "ready", listeners: [{ scheme: "http", port: 80 }] });`;

const STAYS_UP = `setInterval(() => {}, 1000);`;

/** Writes the program of the new process. In it, `place` is the place that it is to take. */
function program(t: TestContext, code: string): StartCommand {
  const cwd = temporaryFolder(t);
  const file = join(cwd, "successor.mjs");
  writeFileSync(file, `const place = JSON.parse(process.env.EDGICORN_TAKEOVER);\n${code}`);
  return { cwd, startedIn: cwd, command: [process.execPath, file] };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Returns all that a server of this machine sends to a new connection. */
async function answerOf(port: number): Promise<string> {
  return (await connect({ port, host: "127.0.0.1" }).setEncoding("utf8").toArray()).join("");
}

async function start(
  command: StartCommand,
  { stop = new AbortController().signal, timeoutMs = 20_000, killAfterMs = 5_000 } = {},
): Promise<Successor> {
  const successor = new Successor(command, PLACE);
  await successor.ready(stop, { timeoutMs, killAfterMs });
  return successor;
}

describe("Successor", { timeout: 180_000 }, () => {
  it("learns its place, reports what it serves, and survives a parent that leaves", async (t) => {
    const command = program(
      t,
      `if (place.serving !== 42 || place.listeners[0].port !== 80) process.exit(1);
      ${READY}
      process.once("message", (message) => {
        const told = JSON.stringify(message);
        process.once("disconnect", () => import("node:fs").then((fs) => fs.writeFileSync("told", told)));
      });
      ${STAYS_UP}`,
    );
    const successor = await start(command);
    t.after(() => process.kill(successor.pid, "SIGKILL"));
    assert.deepEqual(successor.listeners, PLACE.listeners);
    await successor.takeOver({ stays: false });
    await eventually(t, () => existsSync(join(command.cwd, "told")));
    assert.ok(isAlive(successor.pid));
  });

  it("keeps its channel to a parent that stays, and leaves when it is told to", async (t) => {
    const successor = await start(
      program(
        t,
        `${READY}
        const seen = [];
        process.on("message", (message) => {
          seen.push(message.type);
          if (message.type === "leave") process.exit(seen.join() === "take-over,leave" ? 3 : 1);
        });`,
      ),
    );
    await successor.takeOver({ stays: true });
    await successor.send({ type: "leave", next: { pid: 1, facts: NO_FACTS } });
    assert.deepEqual(await successor.exited, { code: 3, signal: null });
    // The process is gone: no message reaches it, and the call does not wait.
    await successor.send({ type: "leave", next: { pid: 1, facts: NO_FACTS } });
  });

  it("lends its sockets to the next process without this one accepting connections", async (t) => {
    const serves = `const { createServer } = await import("node:net");
      const server = createServer((socket) => socket.end(place.serving + ""));
      const { descriptor } = place.listeners[0];
      server.listen(descriptor === undefined ? { port: 0, host: "127.0.0.1" } : { fd: descriptor }, () => {
        const listeners = [{ scheme: "http", port: server.address().port }];
        process.send({ type: "ready", listeners, passes: true });
      });
      process.on("message", ({ type }) => {
        if (type === "leave") server.close();
        if (type !== "pass-sockets") return;
        process.send({ type: "socket", scheme: "http", port: server.address().port }, server._handle);
        process.send({ type: "sockets-passed" });
      });`;
    const first = await start(program(t, serves));
    t.after(() => first.kill("SIGKILL"));
    await first.takeOver({ stays: true });
    const listeners = await first.borrowSockets();
    const second = new Successor(program(t, serves), { serving: 43, listeners });
    t.after(() => second.kill("SIGKILL"));
    first.returnSockets();
    await second.ready(new AbortController().signal, { timeoutMs: 60_000 });
    assert.deepEqual(second.listeners, first.listeners);
    await first.send({ type: "leave" });
    const [{ port } = { port: 0 }] = second.listeners;
    // Until the first process has closed its server, either may answer.
    await eventually(t, async () => (await answerOf(port)) === "43");
    second.kill("SIGKILL");
    await second.exited;
    await assert.rejects(answerOf(port), { code: "ECONNREFUSED" });
  });

  const failures: [name: string, code: string, message: RegExp][] = [
    ["exits", "process.exit(7)", /ended with code 7 before it was ready/],
    ["is killed", `process.kill(process.pid, "SIGKILL")`, /ended with SIGKILL/],
    [
      "says why",
      `process.send({ type: "failed", message: "index.ts:3: no" }, () => process.exit(70))`,
      /^Cannot upgrade: index\.ts:3: no$/,
    ],
    ["closes its channel and ends", "process.disconnect()", /ended with code 0/],
  ];
  for (const [name, code, message] of failures) {
    it(`is refused when it ${name}`, async (t) => {
      await assert.rejects(start(program(t, code)), { code: "ERR_BOOT_LOOP", message });
    });
  }

  it("is refused when there is no such program", async (t) => {
    const command = { ...program(t, ""), command: ["/nowhere/node"] as const };
    await assert.rejects(start(command), { code: "ERR_BOOT_LOOP", message: /ENOENT/ });
  });

  it("is ended when it takes too long", async (t) => {
    const code = `import("node:fs").then((fs) => fs.writeFileSync("pid", String(process.pid))); ${STAYS_UP}`;
    const command = program(t, code);
    await assert.rejects(start(command, { timeoutMs: 1_000 }), {
      code: "ERR_BOOT_LOOP",
      message: /not ready within 1000 ms/,
    });
    if (existsSync(join(command.cwd, "pid"))) {
      assert.equal(isAlive(Number(readFileSync(join(command.cwd, "pid"), "utf8"))), false);
    }
  });

  it("is killed when it is given up and ignores SIGTERM", async (t) => {
    const code = `process.on("SIGTERM", () => {}); ${STAYS_UP} import("node:fs").then((fs) => fs.writeFileSync("up", ""));`;
    const command = program(t, code);
    const stop = new AbortController();
    const starting = start(command, { stop: stop.signal, killAfterMs: 200 });
    const settled = assert.rejects(starting, { code: "ERR_DRAINING" });
    await eventually(t, () => existsSync(join(command.cwd, "up")));
    stop.abort();
    await settled;
  });

  it("is ended when the server stops already", async (t) => {
    const stop = AbortSignal.abort();
    await assert.rejects(start(program(t, READY), { stop }), { code: "ERR_DRAINING" });
  });
});

interface Trial {
  upgrader: Upgrader;
  messages: string[];
  /** The deputy, once the upgrader has set it. */
  deputy: () => Deputy | null;
  /** Exit codes with which this process would have ended. */
  exits: () => unknown[];
}

/** Creates an upgrader whose new processes run the code. The end of this process is only recorded. */
function trial(t: TestContext, code: string, options: Partial<UpgraderOptions> = {}): Trial {
  const messages: string[] = [];
  const exit = t.mock.method(process, "exit", () => undefined as never);
  let deputy: Deputy | null = null;
  const upgrader = new Upgrader({
    log: pino(
      {},
      { write: (line) => void messages.push((JSON.parse(line) as { msg: string }).msg) },
    ),
    start: program(t, code),
    timeoutMs: 20_000,
    stays: true,
    listeners: () => PLACE.listeners,
    setDeputy: (next) => (deputy = next),
    handOver: () => Promise.resolve(),
    leave: () => Promise.resolve(),
    close: () => Promise.resolve(),
    answered: () => Promise.resolve(),
    ...options,
  });
  return {
    upgrader,
    messages,
    deputy: () => deputy,
    exits: () => exit.mock.calls.map(({ arguments: [exitCode] }) => exitCode),
  };
}

/** A server that serves until it is told to leave, and exits then with 0. */
const SERVES = `${READY}
  process.on("message", ({ type }) => { if (type === "leave") process.exit(0); });`;

describe("Upgrader", { timeout: 180_000 }, () => {
  it("shares the outcome of an upgrade that runs", async (t) => {
    const { upgrader, messages } = trial(
      t,
      `process.send({ type: "failed", message: "no handlers" });`,
    );
    const upgrading = [upgrader.upgrade(), upgrader.upgrade()];
    assert.equal(upgrader.isUpgrading, true);
    const refused = { kind: "refused", message: "Cannot upgrade: no handlers" };
    assert.deepEqual(await Promise.all(upgrading), [refused, refused]);
    assert.equal(messages.filter((line) => line.startsWith("upgrading:")).length, 1);
    assert.equal(upgrader.isUpgrading, false);
  });

  it("starts the next process in the place of the one that serves, and ends as that one", async (t) => {
    // Each process checks the place that it is to take: that of this process, then that of the first one.
    const { upgrader, messages, exits } = trial(
      t,
      `const own = place.serving === ${process.pid};
      ${SERVES}
      process.on("message", ({ type }) => { if (type === "take-over" && !own) process.exit(9); });`,
    );
    const first = await upgrader.upgrade();
    const second = await upgrader.upgrade();
    assert.ok(first.kind === "moved" && second.kind === "moved");
    assert.notEqual(first.pid, second.pid);
    // The first one exited with 0, which is not the end of the service.
    await eventually(t, () => exits().length > 0);
    assert.deepEqual(exits(), [9]);
    assert.ok(messages.includes("the previous process finishes its requests"));
  });

  it("starts a process for the one that serves, or refuses it", async (t) => {
    const { upgrader, messages, exits } = trial(
      t,
      `if (place.serving !== ${process.pid}) process.exit(7);
      ${READY}
      process.on("message", ({ type, message }) => {
        if (type === "take-over") process.send({ type: "upgrade" });
        if (type === "not-upgraded") process.exit(/code 7/.test(message) ? 3 : 4);
      });`,
    );
    assert.equal((await upgrader.upgrade()).kind, "moved");
    await eventually(t, () => exits().length > 0);
    assert.deepEqual(exits(), [3]);
    assert.ok(messages.some((line) => /^upgrade refused.*code 7/.test(line)));
  });

  it("refuses when the server stops, also later", async (t) => {
    const { upgrader, messages } = trial(t, STAYS_UP);
    const upgrading = upgrader.upgrade();
    await upgrader.abort();
    const refused = { kind: "refused", message: "Cannot upgrade: the server stops" };
    assert.deepEqual(await upgrading, refused);
    assert.match(messages.at(-1) ?? "", /^upgrade given up/);
    assert.deepEqual(await upgrader.upgrade(), refused);
  });

  it("exits with 0 after an upgrade where it does not stay", async (t) => {
    const { upgrader, exits } = trial(
      t,
      `${READY} process.once("disconnect", () => process.exit());`,
      { stays: false },
    );
    assert.equal((await upgrader.upgrade()).kind, "moved");
    await eventually(t, () => exits().length > 0);
    assert.deepEqual(exits(), [0]);
  });

  it("passes signals on, and ends with the exit code of the process that serves", async (t) => {
    const marker = join(temporaryFolder(t), "reloaded");
    const { upgrader, deputy, exits } = trial(
      t,
      `import { writeFileSync } from "node:fs";
      let hasReloaded = false;
      process.on("SIGHUP", () => {
        hasReloaded = true;
        writeFileSync(${JSON.stringify(marker)}, "");
      });
      process.on("SIGTERM", () => process.exit(hasReloaded ? 5 : 6));
      ${READY} ${STAYS_UP}`,
    );
    await upgrader.upgrade();
    const { pass, close } = deputy() ?? assert.fail("no deputy");
    pass("SIGHUP");
    // Of two signals that wait for a process, either may be handled first.
    await eventually(t, () => existsSync(marker));
    assert.equal(await close("SIGTERM"), 5);
    assert.deepEqual(exits(), [5]);
  });

  it("kills a process that ignores the signal when this one ends at once", async (t) => {
    const { upgrader, deputy, exits } = trial(
      t,
      `process.on("SIGTERM", () => {}); ${READY} ${STAYS_UP}`,
    );
    await upgrader.upgrade();
    await (deputy() ?? assert.fail("no deputy")).force("SIGTERM");
    await eventually(t, () => exits().length > 0);
    assert.deepEqual(exits(), [137]);
  });

  it("exits as the new process when that is killed before it has the place", async (t) => {
    const { upgrader, exits } = trial(
      t,
      `process.send({ type: "ready", listeners: [] }, () => process.kill(process.pid, "SIGKILL"));`,
    );
    await upgrader.upgrade();
    await eventually(t, () => exits().length > 0);
    assert.deepEqual(exits(), [137]);
  });

  it("leaves its place though it cannot report that, and survives its own bugs", async (t) => {
    let hasLeft = false;
    const { upgrader, messages, exits } = trial(
      t,
      `${READY} process.on("message", ({ type }) => { if (type === "take-over") process.exit(3); });`,
      {
        handOver: () => Promise.reject(new Error("no such socket")),
        leave: () => {
          hasLeft = true;
          throw new TypeError("a bug");
        },
      },
    );
    assert.equal((await upgrader.upgrade()).kind, "refused");
    await eventually(t, () => exits().length > 0);
    assert.deepEqual(exits(), [3]);
    assert.equal(hasLeft, true);
    assert.ok(messages.includes("cannot report which process serves"), messages.join("\n"));
    assert.ok(messages.includes("upgrade failed: bug"), messages.join("\n"));
  });
});
