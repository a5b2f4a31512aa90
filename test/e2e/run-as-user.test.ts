import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";
import { makeCertificate } from "../engine/uws/openssl.ts";
import { builtProgram } from "../helpers/built-program.ts";
import { eventually } from "../helpers/eventually.ts";
import { send } from "../helpers/send.ts";
import { spawnServer, startServer, type TestServer } from "../helpers/start-server.ts";
import { type Owner, temporaryFolder } from "../helpers/temporary-folder.ts";

/** Numbers that no account of a usual system has. */
const UID = 54_321;
const GID = 54_322;

const AS_USER = ["--reuid", String(UID), "--regid", String(GID), "--clear-groups"];

const HANDLER = `
import { readFileSync } from "node:fs";
export default () => {
  let key;
  try { key = readFileSync("root-key.pem", "utf8"); } catch (error) { key = error.code; }
  return Response.json({ uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(), home: process.env.HOME,
    mark: process.env.EDGICORN_LAUNCHED ?? null, key, primary: process.ppid });
};`;

/** Whether the tests may change users here, and another user may read this program. */
function lacksRights(): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  const { status } = spawnSync("setpriv", [...AS_USER, "test", "-r", builtProgram()]);
  return status === 0 ? false : "needs setpriv, and a program that all users may read";
}

/** A folder of root with a state folder of the user, and with a file that only root may read. */
function userFolder(t: Owner): string {
  const dir = temporaryFolder(t);
  mkdirSync(join(dir, "handlers"));
  writeFileSync(join(dir, "handlers/index.js"), HANDLER);
  writeFileSync(join(dir, "root-key.pem"), "secret", { mode: 0o600 });
  chmodSync(join(dir, "handlers"), 0o755);
  mkdirSync(join(dir, ".edgicorn"), { mode: 0o700 });
  chownSync(join(dir, ".edgicorn"), UID, GID);
  chmodSync(dir, 0o755);
  return dir;
}

/** Finds a port below 1024 that is free now. It is a random one: another run of this test may look for one too. */
async function findLowPort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(600, 1024);
    const probe = createServer().listen(port);
    const isFree = await once(probe, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
  throw new Error("found no free port below 1024");
}

function statusOf(pid: unknown): string {
  return readFileSync(`/proc/${String(pid)}/status`, "utf8");
}

/** Asks the handler over a connection of its own. */
async function ask(server: TestServer): Promise<Record<string, unknown>> {
  // The handler above answers with an object.
  return JSON.parse((await send(server.http)).text) as Record<string, unknown>;
}

const skip = lacksRights();

describe("a server that root starts with a user", { timeout: 180_000, skip }, () => {
  it("has a port below 1024 as this user, also after an upgrade, and obeys signals", async (t) => {
    const dir = userFolder(t);
    const port = String(await findLowPort());
    const server = await startServer(t, {
      handlers: join(dir, "handlers"),
      cwd: dir,
      flags: ["--http", port, "--user", String(UID), "--group", String(GID)],
    });
    const { pid } = server.logs.find(({ msg }) => msg === "listening") ?? {};
    assert.notEqual(pid, server.pid);
    const status = statusOf(pid);
    assert.match(status, new RegExp(`^Uid:${`\t${UID}`.repeat(4)}$`, "m"));
    assert.match(status, new RegExp(`^Gid:${`\t${GID}`.repeat(4)}$`, "m"));
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(status, /^CapEff:\t0000000000000400$/m);
    const answer = { uid: UID, gid: GID, groups: [GID], home: "/", mark: null, key: "EACCES" };
    assert.deepEqual(await ask(server), { ...answer, primary: pid });
    assert.equal(statSync(join(dir, ".edgicorn/control.sock")).uid, UID);

    server.kill("SIGHUP");
    await server.until(({ msg }) => msg?.startsWith("reloaded") === true);
    server.kill("SIGUSR2");
    const next = await server.until(({ msg }) => msg?.startsWith("took over") === true);
    assert.match(statusOf(next["pid"]), new RegExp(`^Uid:\t${UID}\t`, "m"));
    // The old process may still have connections that are being made, and resets them when it leaves.
    const isNext = async (): Promise<boolean> => {
      const found = await ask(server).catch(() => null);
      if (found?.["primary"] !== next["pid"]) return false;
      assert.deepEqual(found, { ...answer, primary: next["pid"] });
      return true;
    };
    await eventually(t, isNext);

    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("stops in order when the process of root is killed", async (t) => {
    const dir = userFolder(t);
    const server = await startServer(t, {
      handlers: join(dir, "handlers"),
      cwd: dir,
      flags: ["--user", String(UID), "--group", String(GID)],
    });
    const { pid } = server.logs.find(({ msg }) => msg === "listening") ?? {};
    server.kill("SIGKILL");
    await server.until(({ msg }) => msg === "stopped");
    await eventually(t, () => !existsSync(`/proc/${String(pid)}`));
  });

  it("is refused where the user cannot go, and starts nothing", async (t) => {
    // Only root may enter the folder of this server.
    const server = spawnServer(t, {
      handlers: { "index.js": HANDLER },
      flags: ["--user", String(UID), "--group", String(GID)],
    });
    assert.deepEqual(await server.exit, { code: 78, signal: null });
    assert.deepEqual(
      server.logs.map(({ msg }) => msg),
      [
        `Cannot run the server as user "${UID}": found that this user cannot enter ${server.dir}, ` +
          "expected a folder whose path is open to the user",
      ],
    );
  });

  const openings: [label: string, open: (dir: string) => string, how: string][] = [
    [
      "owns the folder",
      (dir) => {
        chownSync(dir, UID, GID);
        return dir;
      },
      "owns",
    ],
    [
      "can write to the config file by its group",
      (dir) => {
        const path = join(dir, "edgicorn.config.mjs");
        writeFileSync(path, "export default {};");
        chownSync(path, 0, GID);
        chmodSync(path, 0o664);
        return path;
      },
      "can write to",
    ],
    [
      "can write to .env, as all users can",
      (dir) => {
        const path = join(dir, ".env");
        writeFileSync(path, "A=1");
        chmodSync(path, 0o666);
        return path;
      },
      "can write to",
    ],
  ];
  for (const [label, open, how] of openings) {
    it(`is refused where the user ${label}, and would be root at the next start`, async (t) => {
      const dir = userFolder(t);
      const path = open(dir);
      const server = spawnServer(t, {
        handlers: join(dir, "handlers"),
        cwd: dir,
        flags: ["--user", String(UID), "--group", String(GID)],
      });
      assert.deepEqual(await server.exit, { code: 78, signal: null });
      const messages = server.logs.map(({ msg }) => String(msg)).join("\n");
      const found = `found that this user ${how} ${path}, expected a folder and settings of root alone`;
      assert.ok(messages.includes(found), messages);
    });
  }

  it("is refused where the user may not read a key, before a renewal would fail", async (t) => {
    const dir = userFolder(t);
    const certs = join(dir, "certs");
    mkdirSync(certs);
    const key = join(certs, "shop.key");
    writeFileSync(key, "secret", { mode: 0o600 });
    writeFileSync(join(certs, "shop.crt"), "");
    const server = spawnServer(t, {
      handlers: join(dir, "handlers"),
      cwd: dir,
      https: true,
      flags: ["--user", String(UID), "--group", String(GID)],
    });
    assert.deepEqual(await server.exit, { code: 70, signal: null });
    assert.deepEqual(
      server.logs.map(({ msg }) => msg),
      [
        `Cannot read ${key}: found no permission for user ${UID}, expected a file that this user may read, in folders that this user may enter`,
      ],
    );
  });
});

/** A number of the user that runs handlers behind a server with the keys. */
const APP_UID = 54_323;

/** Tries to get at the server in front, whose folder and process the request names. */
const INTRUDER = `
import { readFileSync } from "node:fs";
import { connect } from "node:net";
const attempt = (act) => {
  try { return String(act()); } catch (error) { return error.code; }
};
const connected = (path) =>
  new Promise((resolve) => {
    const socket = connect(path, () => resolve("connected"));
    socket.on("error", (error) => resolve(error.code));
  });
export default async (request, { clientAddress, requestId }) => {
  const { searchParams, protocol, hostname } = new URL(request.url);
  const [dir, pid] = [searchParams.get("dir"), searchParams.get("pid")];
  return Response.json({
    uid: process.getuid(), protocol, hostname, clientAddress, requestId,
    key: attempt(() => readFileSync(dir + "/certs/shop.key")),
    control: await connected(dir + "/.edgicorn/control.sock"),
    variables: attempt(() => readFileSync("/proc/" + pid + "/environ")),
    signal: attempt(() => process.kill(Number(pid), 0)),
  });
};`;

describe(
  "handlers apart from keys: a server in front of another one",
  { timeout: 180_000, skip },
  () => {
    it("keeps its key, control socket, variables and process from handlers", async (t) => {
      const appDir = userFolder(t);
      writeFileSync(join(appDir, "handlers/intruder.js"), INTRUDER);
      chownSync(join(appDir, ".edgicorn"), APP_UID, GID);
      const app = await startServer(t, {
        handlers: join(appDir, "handlers"),
        cwd: appDir,
        flags: [
          "--user",
          String(APP_UID),
          "--group",
          String(GID),
          "--host",
          "127.0.0.1",
          "--trusted-proxies",
          "loopback",
        ],
      });
      const dir = userFolder(t);
      const certs = join(dir, "certs");
      mkdirSync(join(dir, "none"));
      mkdirSync(certs);
      makeCertificate({ base: join(certs, "shop"), altNames: "DNS:localhost" });
      chownSync(join(certs, "shop.key"), UID, GID);
      const front = await startServer(t, {
        handlers: join(dir, "none"),
        cwd: dir,
        https: true,
        flags: [
          "--user",
          String(UID),
          "--group",
          String(GID),
          "--proxy",
          app.http,
          "--certs",
          certs,
        ],
      });
      const { pid } = front.logs.find(({ msg }) => msg === "listening") ?? {};
      const query = new URLSearchParams({ dir, pid: String(pid) });
      const { status, text } = await send(`${front.https}/intruder?${query.toString()}`);
      assert.equal(status, 200, text);
      // The handler above answers with an object.
      const { clientAddress, requestId, ...found } = JSON.parse(text) as Record<string, unknown>;
      assert.match(String(clientAddress), /^(?:::1|127\.0\.0\.1)$/);
      assert.deepEqual(found, {
        uid: APP_UID,
        protocol: "https:",
        hostname: "localhost",
        key: "EACCES",
        control: "EACCES",
        variables: "EACCES",
        signal: "EPERM",
      });
      // Both logs have the same number for a request.
      await app.untilAccess({ requestId });
      await front.untilAccess({ requestId });
    });
  },
);
