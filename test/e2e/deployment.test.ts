import assert from "node:assert/strict";
import { mkdirSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { fieldOf, type RawResponse } from "../helpers/raw-connection.ts";
import { findPython, skipWithoutPython } from "../helpers/python.ts";
import { runCommand } from "../helpers/run-command.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

function toHandler(name: string): string {
  return `export default () => new Response(${JSON.stringify(name)} + " " + process.cwd());`;
}

/** An application that answers with the name of its release, and its folder. */
const SHOP = `import os
def app(environ, start_response):
    import later
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{later.NAME} {os.getcwd()}".encode()]
`;

/** A folder with two releases, and a link to the first. */
function plantReleases(root: string): { current: string; link: (name: string) => void } {
  for (const name of ["r1", "r2", "r3"]) {
    const dir = join(root, "releases", name);
    mkdirSync(join(dir, "handlers"), { recursive: true });
    mkdirSync(join(dir, "public"));
    writeFileSync(join(dir, "package.json"), `{ "type": "module" }`);
    writeFileSync(join(dir, "handlers/index.ts"), toHandler(name));
    writeFileSync(join(dir, "public/release.txt"), name);
  }
  const current = join(root, "current");
  const link = (name: string): void => {
    // As a deployment tool does: the link is replaced in one step.
    symlinkSync(join("releases", name), `${current}.new`);
    renameSync(`${current}.new`, current);
  };
  link("r1");
  return { current, link };
}

/**
 * Asks on a connection of its own. Asks again if it was reset: a connection that waits in the queue of the process that is
 * replaced may be (docs/operations.md, `tcp_migrate_req`).
 */
async function text(server: TestServer, path: string): Promise<string> {
  for (let left = 3; ; left--) {
    try {
      const response = await server.fetch(path, { headers: { connection: "close" } });
      return await response.text();
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

/** @param seen How many log lines there were before. */
async function untilTakenOver(server: TestServer, seen: number): Promise<void> {
  await server.until((line) => {
    return server.logs.indexOf(line) >= seen && line.msg?.startsWith("took over") === true;
  });
}

describe("a deployment that moves a link", { timeout: 300_000 }, () => {
  it("is followed by a reload, again and again, and back, while old releases go", async (t) => {
    const root = realpathSync(temporaryFolder(t));
    const { current, link } = plantReleases(root);
    const server = await startServer(t, {
      handlers: current,
      workers: 1,
      cwd: current,
      env: { PWD: current },
      flags: ["--handlers", "handlers", "--public", "public"],
    });
    assert.equal(await text(server, "/"), `r1 ${root}/releases/r1`);
    for (const [name, before] of [
      ["r2", "r1"],
      ["r3", "r2"],
    ] as const) {
      link(name);
      const seen = server.logs.length;
      const kept = await server.connect();
      const ask = async (): Promise<RawResponse> => {
        kept.send("GET /release.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
        const response = await kept.response();
        assert.equal(String(response.body), before);
        return response;
      };
      await ask();
      const reloading = runCommand(["reload"], current, { PWD: current });
      // It waits for the connections of the release before, each of which ends with its next answer. One without a request
      // would end after some seconds, which may be too early.
      await eventually(t, async () => fieldOf(await ask(), "connection") === "close");
      await kept.untilClosed();
      await untilTakenOver(server, seen);
      const reload = await reloading;
      assert.deepEqual([reload.code, reload.stderr], [0, ""], reload.stdout);
      assert.match(reload.stdout, new RegExp(`${current} leads to ${root}/releases/${name} now`));
      assert.match(reload.stdout, new RegExp(`before: ${root}/releases/${before}`));
      assert.equal(await text(server, "/"), `${name} ${root}/releases/${name}`);
      assert.equal(await text(server, "/release.txt"), name);
      // The process before may still write into it as it ends.
      rmSync(join(root, "releases", before), { recursive: true, maxRetries: 10 });
    }
    // A reload without a move stays in the process, and a release that does not compile changes nothing.
    const again = await runCommand(["reload"], current, { PWD: current });
    assert.match(again.stdout, /^serving /);
    for (const dir of ["handlers", "public"]) {
      mkdirSync(join(root, "releases/r4", dir), { recursive: true });
    }
    writeFileSync(join(root, "releases/r4/handlers/index.ts"), "export default () => {{");
    link("r4");
    const refused = await runCommand(["reload"], current, { PWD: current });
    assert.equal(refused.code, 70);
    assert.match(refused.stderr, /releases\/r3 serves on: .*r4 now.*index\.ts:1/s);
    assert.equal(await text(server, "/"), `r3 ${root}/releases/r3`);
    // SIGHUP does the same.
    writeFileSync(join(root, "releases/r4/handlers/index.ts"), toHandler("r4"));
    const seen = server.logs.length;
    server.kill("SIGHUP");
    await untilTakenOver(server, seen);
    // Until the process before has heard that it may leave, it has its share of the new connections.
    await eventually(t, async () => (await text(server, "/")) === `r4 ${root}/releases/r4`);
  });

  it(
    "is followed by the workers of a Python application",
    { skip: skipWithoutPython() },
    async (t) => {
      const root = realpathSync(temporaryFolder(t));
      const { current, link } = plantReleases(root);
      for (const name of ["r1", "r2"]) {
        // The second module is imported by a request: also then from the release of its worker.
        writeFileSync(join(root, "releases", name, "shop.py"), SHOP);
        writeFileSync(join(root, "releases", name, "later.py"), `NAME = "${name}"\n`);
      }
      const server = await startServer(t, {
        handlers: current,
        workers: 1,
        cwd: current,
        env: { PWD: current },
        flags: [
          "--handlers",
          "handlers",
          "--app",
          "shop:app",
          "--python",
          findPython() ?? "python3",
        ],
      });
      assert.equal(await text(server, "/shop"), `r1 ${root}/releases/r1`);
      link("r2");
      const seen = server.logs.length;
      server.kill("SIGHUP");
      await untilTakenOver(server, seen);
      await eventually(t, async () => (await text(server, "/shop")) === `r2 ${root}/releases/r2`);
    },
  );

  it("is refused by a server that does not know the link, which names both folders", async (t) => {
    const root = realpathSync(temporaryFolder(t));
    const { current, link } = plantReleases(root);
    const stateDir = ["--state-dir", join(root, "state")];
    const server = await startServer(t, {
      handlers: current,
      workers: 1,
      cwd: current,
      env: { PWD: "/" },
      flags: ["--handlers", "handlers", ...stateDir],
    });
    link("r2");
    const { code, stderr } = await runCommand(["reload", ...stateDir], current);
    assert.equal(code, 78);
    assert.match(
      stderr,
      /this folder is \S+\/releases\/r2, and that process \d+ was started in \S+\/releases\/r1/,
    );
    assert.match(stderr, /PWD=/);
    assert.match(await text(server, "/"), /^r1 /);
  });

  it("is named to a command in the new release, where the command does not know the link either", async (t) => {
    const root = realpathSync(temporaryFolder(t));
    const { current, link } = plantReleases(root);
    const server = await startServer(t, {
      handlers: current,
      workers: 1,
      cwd: current,
      env: { PWD: "/" },
      flags: ["--handlers", "handlers"],
    });
    link("r2");
    const { code, stderr } = await runCommand(["reload"], current, { PWD: "/" });
    assert.equal(code, 69);
    assert.match(stderr, new RegExp(`process ${server.pid} serves ${root}/releases/r1`));
    assert.match(stderr, /through the link/);
  });
});

describe("a working directory that is deleted", { timeout: 180_000 }, () => {
  it("keeps no worker from starting", async (t) => {
    const root = realpathSync(temporaryFolder(t));
    for (const dir of ["app", "handlers", "state"]) mkdirSync(join(root, dir));
    writeFileSync(join(root, "handlers/index.ts"), toHandler("here"));
    const server = await startServer(t, {
      handlers: join(root, "handlers"),
      workers: 1,
      cwd: join(root, "app"),
      flags: ["--state-dir", join(root, "state")],
    });
    rmSync(join(root, "app"), { recursive: true });
    const [worker] = server.workers.values();
    process.kill(worker ?? 0, "SIGKILL");
    const warning = await server.until(
      ({ msg }) => msg?.startsWith("the working directory") === true,
    );
    assert.match(warning.msg ?? "", /app was deleted: new workers start in /);
    await server.until(({ msg, workerPid }) => msg === "worker ready" && workerPid !== worker);
    assert.equal(await text(server, "/"), `here ${root}`);
    writeFileSync(join(root, "handlers/index.ts"), toHandler("again"));
    const { code, stderr } = await runCommand(["reload", "--state-dir", "state"], root);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(await text(server, "/"), `again ${root}`);
  });
});
