import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { existsSync, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { askControl, type ControlAnswer } from "../../runtime/control/control-client.ts";
import { ControlServer, type ControlServerOptions } from "../../runtime/control/control-server.ts";
import type { Greeting, Operations, ReloadReport } from "../../runtime/control/operations.ts";
import { MAX_SOCKET_PATH_BYTES, toControlSocket } from "../../runtime/control/socket-path.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const log = pino({ level: "silent" });

const REPORT: ReloadReport = {
  generation: "b",
  previous: "a",
  durationMs: 12,
  pools: [{ name: "default", change: "replaced", reasons: ["changed: index.ts"], workers: 2 }],
  settings: [],
  warnings: [],
  moved: null,
};

const greet = (): Greeting => ({
  pid: process.pid,
  version: "1.2.3",
  folder: "/x",
  startedIn: "/x",
  handlersDir: "/x/handlers",
  addresses: ["http://localhost:80"],
});

/** Opens one that others find; closed after the test. */
async function open(
  t: TestContext,
  stateDir: string,
  options: Partial<ControlServerOptions> & { offer?: Partial<Operations> } = {},
): Promise<ControlServer> {
  const { offer = {}, ...others } = options;
  const control = await ControlServer.open({
    stateDir,
    log,
    greet,
    operations: Promise.resolve(offer),
    stop: () => {},
    ...others,
  });
  t.after(() => control.close());
  control.publish();
  return control;
}

function ask(
  stateDir: string,
  method: "GET" | "POST",
  path: string,
  body?: unknown,
): Promise<ControlAnswer> {
  return askControl(stateDir, { method, path, body, timeoutMs: 200_000 });
}

/** Sends bytes as they are, and returns all that comes back until the end. */
async function raw(stateDir: string, bytes: string): Promise<string> {
  const socket = connect(toControlSocket(stateDir));
  await once(socket, "connect");
  socket.write(bytes);
  return text(socket);
}

describe("ControlServer", { timeout: 240_000 }, () => {
  it("answers what is offered, and says what is not", async (t) => {
    const stateDir = temporaryFolder(t);
    const ids: (string | undefined)[] = [];
    const offer: Partial<Operations> = {
      reload: async () => REPORT,
      rollback: async (id) => {
        ids.push(id);
        return REPORT;
      },
    };
    await open(t, stateDir, { offer });
    const done = { kind: "done", value: REPORT };
    assert.deepEqual(await ask(stateDir, "POST", "/reload"), done);
    assert.deepEqual(await ask(stateDir, "POST", "/rollback"), done);
    assert.deepEqual(await ask(stateDir, "POST", "/rollback", { id: "a" }), done);
    assert.deepEqual(ids, [undefined, "a"]);
    assert.deepEqual(await ask(stateDir, "GET", "/"), {
      kind: "done",
      value: greet(),
    });
    const missing = await ask(stateDir, "GET", "/generations");
    assert.ok(missing.kind === "refused");
    assert.match(missing.message, /does not offer it/);
  });

  it("passes on why a reload was refused", async (t) => {
    const stateDir = temporaryFolder(t);
    const message = "Cannot compile handlers\nhandlers/index.ts:3:1: Unexpected end of file";
    const reload = (): Promise<never> => {
      throw new RuntimeError("ERR_HANDLER_LOAD", message);
    };
    await open(t, stateDir, { offer: { reload } });
    const answer = await ask(stateDir, "POST", "/reload");
    assert.deepEqual(answer, { kind: "refused", code: "ERR_HANDLER_LOAD", message });
  });

  it("lets a command wait for the server to start", async (t) => {
    const stateDir = temporaryFolder(t);
    const starts = new EventEmitter();
    const operations = once(starts, "start").then(() => ({ reload: async () => REPORT }));
    await open(t, stateDir, { operations });
    const answer = ask(stateDir, "POST", "/reload");
    // It is there already and says who it is.
    assert.equal((await ask(stateDir, "GET", "/")).kind, "done");
    starts.emit("start");
    assert.equal((await answer).kind, "done");
  });

  const refused: [name: string, bytes: string, answer: RegExp][] = [
    ["what is no HTTP", "\x16\x03\x01garbage\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["an unknown path", "GET /secrets HTTP/1.1\r\nHost: x\r\n\r\n", /^HTTP\/1\.1 404 /],
    ["a path that is no URL", "GET // HTTP/1.1\r\nHost: x\r\n\r\n", /^HTTP\/1\.1 404 /],
    ["another method", "GET /reload HTTP/1.1\r\nHost: x\r\n\r\n", /^HTTP\/1\.1 405 .*allow: POST/s],
    [
      "a body that is no JSON",
      "POST /rollback HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{id",
      /^HTTP\/1\.1 400 /,
    ],
    [
      "an id that is a path",
      'POST /rollback HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{"id": "../..""',
      /^HTTP\/1\.1 400 /,
    ],
    [
      "a body that is too long",
      `POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n${"x".repeat(5000)}`,
      /^HTTP\/1\.1 413 /,
    ],
    [
      "a head that is too long",
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(5000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 /,
    ],
  ];
  for (const [name, bytes, answer] of refused) {
    it(`refuses ${name} and goes on`, async (t) => {
      const stateDir = temporaryFolder(t);
      await open(t, stateDir, {
        offer: { reload: async () => REPORT, rollback: async () => REPORT },
      });
      assert.match(await raw(stateDir, bytes), answer);
      assert.equal((await ask(stateDir, "POST", "/reload")).kind, "done");
    });
  }

  it("is for its user only", async (t) => {
    const stateDir = join(temporaryFolder(t), "made/for/it");
    await open(t, stateDir);
    const { mode } = statSync(toControlSocket(stateDir));
    assert.equal(mode & 0o777, 0o600);
  });

  it("is not there before it is published, nor after it was closed", async (t) => {
    const stateDir = temporaryFolder(t);
    const options = { stateDir, log, greet, operations: new Promise<never>(() => {}) };
    const control = await ControlServer.open({ ...options, stop: () => {} });
    t.after(() => control.close());
    assert.equal(existsSync(toControlSocket(stateDir)), false);
    control.publish();
    assert.equal((await ask(stateDir, "GET", "/")).kind, "done");
    control.close();
    const answer = await ask(stateDir, "GET", "/");
    assert.ok(answer.kind === "unreachable" && answer.why === "none");
  });

  it("refuses a state folder whose server lives, and names it", async (t) => {
    const stateDir = temporaryFolder(t);
    await open(t, stateDir);
    await assert.rejects(open(t, stateDir), {
      code: "ERR_LISTEN",
      message: new RegExp(`already running: process ${process.pid} serves at http://localhost:80 `),
    });
    assert.equal((await ask(stateDir, "GET", "/")).kind, "done");
  });

  it("refuses one whose server does not answer, too", async (t) => {
    const stateDir = temporaryFolder(t);
    const silent = createServer(() => {}).listen(toControlSocket(stateDir));
    t.after(() => silent.close());
    await once(silent, "listening");
    await assert.rejects(open(t, stateDir), {
      code: "ERR_LISTEN",
      message: /a process that does not say which/,
    });
  });

  it("takes the place of the one that it succeeds, which then leaves it alone", async (t) => {
    const stateDir = temporaryFolder(t);
    const before = await open(t, stateDir, { offer: {} });
    const offer = { reload: async () => REPORT };
    await open(t, stateDir, { offer, successorOf: process.pid });
    before.close();
    assert.equal((await ask(stateDir, "POST", "/reload")).kind, "done");
  });

  it("replaces what a dead server left behind", async (t) => {
    const stateDir = temporaryFolder(t);
    // A socket that nobody listens on: libuv removes it with the server, so it is bound under another name.
    const dead = createServer().listen(join(stateDir, "dead"));
    await once(dead, "listening");
    renameSync(join(stateDir, "dead"), toControlSocket(stateDir));
    dead.close();
    await once(dead, "close");
    assert.ok(statSync(toControlSocket(stateDir)).isSocket());
    const answer = await ask(stateDir, "GET", "/");
    assert.ok(answer.kind === "unreachable" && answer.why === "stale");
    await open(t, stateDir);
    assert.equal((await ask(stateDir, "GET", "/")).kind, "done");
  });

  it("works where the path is longer than a socket's address", async (t) => {
    const stateDir = join(temporaryFolder(t), "x".repeat(60), "y".repeat(60));
    assert.ok(toControlSocket(stateDir).length > MAX_SOCKET_PATH_BYTES);
    const control = await open(t, stateDir);
    assert.ok(statSync(toControlSocket(stateDir)).isSocket());
    assert.equal((await ask(stateDir, "GET", "/")).kind, "done");
    control.close();
    assert.equal(existsSync(toControlSocket(stateDir)), false);
  });

  it("says so when there can be no socket", async (t) => {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, "file"), "");
    await assert.rejects(open(t, join(dir, "file")), { code: "ERR_CONFIG" });
    mkdirSync(join(dir, "state/control.sock"), { recursive: true });
    await assert.rejects(open(t, join(dir, "state")), { code: "ERR_LISTEN" });
  });

  it("answers a stop with the end of its connections", async (t) => {
    const stateDir = temporaryFolder(t);
    const stops = new EventEmitter();
    const stopped = once(stops, "stop");
    await open(t, stateDir, { stop: () => void stops.emit("stop") });
    const socket = connect(toControlSocket(stateDir));
    socket.write("POST /stop HTTP/1.1\r\nHost: x\r\n\r\n");
    const [head] = (await once(socket, "data")) as [Buffer];
    assert.match(String(head), /^HTTP\/1\.1 202 /);
    await stopped;
    socket.destroy();
  });
});

describe("askControl()", { timeout: 240_000 }, () => {
  it("tells that no server is there", async (t) => {
    const answer = await ask(temporaryFolder(t), "GET", "/status");
    assert.ok(answer.kind === "unreachable" && answer.why === "none");
    assert.match(answer.message, /^No server runs with this state folder/);
  });

  it("gives up on one that does not answer", async (t) => {
    const stateDir = temporaryFolder(t);
    const silent = createServer(() => {}).listen(toControlSocket(stateDir));
    t.after(() => silent.close());
    await once(silent, "listening");
    const answer = await askControl(stateDir, { method: "GET", path: "/", timeoutMs: 50 });
    assert.ok(answer.kind === "unreachable" && answer.why === "silent");
  });

  const broken: [name: string, bytes: string][] = [
    ["ends without an answer", ""],
    ["breaks off its answer", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"],
    ["speaks no HTTP", "220 smtp.example.com\r\n"],
    ["answers with a page", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"],
  ];
  for (const [name, bytes] of broken) {
    it(`tells that nothing is known when the server ${name}`, async (t) => {
      const stateDir = temporaryFolder(t);
      const server = createServer((socket) => {
        socket.once("data", () => socket.end(bytes));
      }).listen(toControlSocket(stateDir));
      t.after(() => server.close());
      await once(server, "listening");
      const answer = await ask(stateDir, "POST", "/reload");
      assert.ok(answer.kind === "unreachable" && answer.why === "ended", JSON.stringify(answer));
    });
  }
});
