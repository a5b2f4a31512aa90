import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { builtProgram } from "../helpers/built-program.ts";
import { eventually } from "../helpers/eventually.ts";
import { send } from "../helpers/send.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** Number that no account of a usual system has, as in docs/deploy/docker/Dockerfile and on OpenShift. */
const UID = "54321";

/** The conditions of `docker run --read-only --user 54321 --cap-drop ALL --tmpfs FOLDER`, then the command. */
const SCRIPT = `
set -e
state=$1; shift
mount --make-rprivate /
mount -t tmpfs -o uid=${UID},gid=${UID},mode=0700,size=128m tmpfs "$state"
for at in / /tmp /var/tmp /dev/shm; do
  mountpoint -q "$at" && mount -o remount,bind,ro "$at"
done
exec setpriv --reuid ${UID} --regid ${UID} --clear-groups --no-new-privs --bounding-set -all --inh-caps -all "$@"`;

const NAMESPACES = [
  "unshare",
  "--mount",
  "--pid",
  "--fork",
  "--kill-child",
  "--mount-proc",
] as const;

/** Tells of the process and of its file system, and runs the health check of the image. */
const HANDLER = `
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

function tryToWrite(path) {
  try { writeFileSync(path, ""); return "written"; } catch (error) { return error.code; }
}
function listZombies() {
  return readdirSync("/proc").filter((name) => {
    if (!/^\\d+$/.test(name)) return false;
    // The process may be gone by now.
    try { return / Z /.test(readFileSync("/proc/" + name + "/stat", "utf8")); } catch { return false; }
  });
}
export default async (request) => {
  const check = new URL(request.url).searchParams.has("check");
  const health = check ? (await once(spawn(process.execPath, [process.env.PROGRAM, "status"], { stdio: "ignore" }), "exit"))[0] : null;
  const status = readFileSync("/proc/1/status", "utf8");
  return Response.json({
    uid: process.getuid(), parent: process.ppid, health, zombies: listZombies(),
    capabilities: /^CapEff:\\s*(\\w+)/m.exec(status)[1], bounding: /^CapBnd:\\s*(\\w+)/m.exec(status)[1],
    project: tryToWrite("handlers/new.js"), temporary: tryToWrite("/tmp/edgicorn-test-container"),
  });
};`;

function lacksRights(): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  const probe = ["--mount", "--pid", "--fork", "--mount-proc", "mount", "-t", "tmpfs", "x", "/mnt"];
  if (spawnSync("unshare", probe).status !== 0) return "needs the right to make namespaces";
  const read = ["--reuid", UID, "--clear-groups", "test", "-r", builtProgram()];
  if (spawnSync("setpriv", read).status === 0) return false;
  return "needs setpriv, and a program that all users may read";
}

async function ask(server: TestServer, query = ""): Promise<Record<string, unknown>> {
  // The handler above answers with an object.
  return JSON.parse((await send(`${server.http}/${query}`)).text) as Record<string, unknown>;
}

describe("a container with a read-only root", { timeout: 180_000, skip: lacksRights() }, () => {
  it("starts as process 1 of a random user, reloads, is healthy, and drains", async (t) => {
    const dir = temporaryFolder(t);
    chmodSync(dir, 0o755);
    const state = join(dir, "state");
    mkdirSync(state);
    mkdirSync(join(dir, "handlers"));
    writeFileSync(join(dir, "handlers/index.js"), HANDLER);
    const server = await startServer(t, {
      handlers: join(dir, "handlers"),
      cwd: dir,
      prefix: [...NAMESPACES, "sh", "-c", SCRIPT, "sh", state],
      env: { EDGICORN_STATE_DIR: state, PROGRAM: builtProgram() },
    });
    const facts = {
      uid: Number(UID),
      parent: 1,
      health: null,
      zombies: [],
      capabilities: "0000000000000000",
      bounding: "0000000000000000",
      project: "EROFS",
      temporary: "EROFS",
    };
    // A process that has just ended is a zombie until its parent has noticed. Others stay zombies for good.
    const noZombies = async (): Promise<boolean> =>
      ((await ask(server))["zombies"] as unknown[]).length === 0;
    await eventually(t, noZombies);
    assert.deepEqual(await ask(server), facts);

    const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "utf8");
    const first = Number(children);
    process.kill(first, "SIGHUP");
    await server.until(({ msg }) => msg?.startsWith("reloaded") === true);
    const { zombies, ...checked } = await ask(server, "?check");
    assert.ok(Array.isArray(zombies));
    assert.deepEqual({ ...checked, zombies: [] }, { ...facts, health: 0 });
    await eventually(t, noZombies);

    process.kill(first, "SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assert.ok(server.logs.some(({ msg }) => msg === "stopped"));
  });
});
