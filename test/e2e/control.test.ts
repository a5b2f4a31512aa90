import assert from "node:assert/strict";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { statusSchema } from "../../runtime/control/answers.ts";
import type { Status } from "../../runtime/control/operations.ts";
import { askServer } from "../helpers/ask-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { loadedLibrary } from "../helpers/library.ts";
import { runCommand, startCommand } from "../helpers/run-command.ts";
import { shareServer } from "../helpers/shared-server.ts";
import { spawnServer, startServer, type TestServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const HELLO = `export default () => new Response("hello")`;

/** Loads once a file is there. */
const LOADS_LATE = `
  import { existsSync } from "node:fs";
  console.error("loading");
  while (!existsSync("go")) await new Promise((resolve) => setTimeout(resolve, 5));
  export default () => new Response("late");`;

/** Answers once a file is there. */
const WAITS = `
  import { existsSync } from "node:fs";
  export default async () => {
    console.error("waiting");
    while (!existsSync("go")) await new Promise((resolve) => setTimeout(resolve, 5));
    return new Response("late");
  };`;

/** Blocks its worker, without a cost to the machine. */
const BLOCKS = `export default () => {
    console.error("blocked");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  };`;

/** For tests that leave its handlers as they were. */
const shared = shareServer({ handlers: { "index.ts": HELLO } });

async function statusOf(server: TestServer): Promise<Status> {
  const { stdout } = await askServer(["status", "--json"], server.dir);
  return statusSchema.parse(JSON.parse(stdout));
}

/** The status at a time when no worker is late with its answer to a ping, which the status tells, too. */
async function steadyStatusOf(t: TestContext, server: TestServer): Promise<Status> {
  for (;;) {
    const status = await statusOf(server);
    const workers = [...status.pools, ...status.retiring].flatMap((pool) => pool.workers);
    if (workers.every(({ state }) => state !== "silent")) return status;
    assert.ok(!t.signal.aborted);
  }
}

function write(server: TestServer, path: string, source: string): void {
  writeFileSync(join(server.handlersDir, path), source);
}

/** The value of a key in what a command printed for programs. */
function valueOf(stdout: string, key: string): unknown {
  const answer: unknown = JSON.parse(stdout);
  assert.ok(typeof answer === "object" && answer !== null);
  return (answer as Record<string, unknown>)[key];
}

describe("edgicorn reload", { timeout: 600_000 }, () => {
  it("waits until the new handlers serve, and says what changed", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": HELLO } });
    write(server, "index.ts", HELLO.replace("hello", "changed"));
    const { code, stdout, stderr } = await runCommand(["reload"], server.dir);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^serving \d{8}-\S+, before it \d{8}-\S+ \(\d+ ms\)\n {2}pool default/);
    assert.equal(await (await server.fetch("/")).text(), "changed");
  });

  it("says with file and line why it is refused, and exits with 70", async () => {
    const server = await shared();
    for (const [source, reason] of [
      ["export default () => {\n  return new Response(;\n};\n", /index\.ts:2/],
      ['\n\nthrow new Error("at the top");', /index\.ts:3.*at the top/s],
    ] as const) {
      write(server, "index.ts", source);
      const { code, stdout, stderr } = await runCommand(["reload"], server.dir);
      assert.deepEqual([code, stdout], [70, ""]);
      assert.match(stderr, reason);
      assert.equal(await (await server.fetch("/")).text(), "hello");
    }
    write(server, "index.ts", HELLO);
  });

  it("is one for all who ask while another one runs", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": HELLO }, workers: 1 });
    write(server, "index.ts", LOADS_LATE);
    const reload = () => askServer(["reload", "--json"], server.dir);
    const first = reload();
    await server.until(({ msg }) => msg === "loading");
    const others = [reload(), reload()];
    writeFileSync(join(server.dir, "go"), "");
    const [one, two, three] = await Promise.all([first, ...others]);
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    assert.deepEqual([one.code, two.code, three.code], [0, 0, 0]);
    const ids = [one, two, three].map(({ stdout }) => valueOf(stdout, "generation"));
    assert.ok(new Set(ids).size <= 3 && ids.every((id) => typeof id === "string"));
    assert.equal(await (await server.fetch("/")).text(), "late");
  });

  it("exits with 69 when the server is killed meanwhile", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": HELLO }, workers: 1 });
    write(server, "index.ts", LOADS_LATE);
    const reload = startCommand(["reload"], server.dir);
    await server.until(({ msg }) => msg === "loading");
    server.kill("SIGKILL");
    const { code, stdout, stderr } = await reload.result;
    assert.deepEqual([code, stdout], [69, ""]);
    assert.match(stderr, /^Cannot tell whether it succeeded: [^\n]*\n$/);
    // What it left behind stands in nobody's way.
    const again = await runCommand(["status"], server.dir);
    assert.deepEqual([again.code, again.stdout], [69, ""]);
    assert.match(again.stderr, /^No server runs with this state folder/);
  });
});

describe("edgicorn status", { timeout: 600_000 }, () => {
  it("tells which workers still answer for a generation that others have taken the place of", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": WAITS }, workers: 1 });
    const answer = server.fetch("/");
    await server.until(({ msg }) => msg === "waiting");
    const before = await steadyStatusOf(t, server);
    write(server, "index.ts", HELLO);
    assert.equal((await askServer(["reload"], server.dir)).code, 0);
    const { retiring } = await steadyStatusOf(t, server);
    assert.deepEqual(retiring, [{ ...before.pools[0], generation: before.generation }]);
    writeFileSync(join(server.dir, "go"), "");
    assert.equal(await (await answer).text(), "late");
    await eventually(t, async () => (await statusOf(server)).retiring.length === 0);
  });

  it("tells what came, what was refused by which limit, and which worker is blocked", async (t) => {
    const handlers = { "index.ts": HELLO, "blocks.ts": BLOCKS };
    const flags = ["--body-limit", "10"];
    const server = await startServer(t, { handlers, workers: 2, flags });
    assert.equal((await server.fetch("/")).status, 200);
    const large = await server.fetch("/", { method: "POST", body: "more than ten" });
    assert.equal(large.status, 413);
    await eventually(t, async () => {
      const { requests, responses, limits } = (await statusOf(server)).traffic;
      const { "2xx": found, "4xx": refused } = responses;
      return [requests.received, found, refused, limits.bodyLimit].join() === "2,1,1,1";
    });

    const answer = server.fetch("/blocks").catch(() => null);
    await server.until(({ msg }) => msg === "blocked");
    await eventually(t, async () => {
      const [pool] = (await statusOf(server)).pools;
      return (
        pool?.workers
          .map(({ state }) => state)
          .toSorted()
          .join() === "ready,silent"
      );
    });
    server.kill("SIGKILL");
    await answer;
  });

  it("tells who serves", async () => {
    const server = await shared();
    const { code, stdout } = await runCommand(["status", "--json"], server.dir);
    assert.equal(code, 0);
    assert.equal(valueOf(stdout, "pid"), server.pid);
    assert.deepEqual(valueOf(stdout, "listeners"), [{ scheme: "http", port: server.port("http") }]);
    const text = await runCommand(["status", "--state-dir", ".edgicorn"], server.dir);
    // Earlier tests were refused a reload, and a warning about it comes first.
    assert.match(text.stdout, new RegExp(`^serving, production, .* pid ${server.pid}, `, "m"));
    for (const pid of server.workers.values()) assert.match(text.stdout, new RegExp(`pid ${pid}`));
    const { mode } = statSync(join(server.dir, ".edgicorn/control.sock"));
    assert.equal(mode & 0o777, 0o600);
  });
});

describe("edgicorn stop", { timeout: 600_000 }, () => {
  it("returns when the server has finished what was in flight, and is gone", async (t) => {
    const handlers = { "index.ts": HELLO, "slow.ts": LOADS_LATE.replace(/.*console.*\n/, "") };
    const waits = `
      import { existsSync } from "node:fs";
      export default async (_request, { log }) => {
        log.info("began");
        while (!existsSync("go")) await new Promise((resolve) => setTimeout(resolve, 5));
        return new Response("done");
      };`;
    const server = await startServer(t, { handlers: { ...handlers, "slow.ts": waits } });
    const held = server.fetch("/slow");
    await server.until(({ msg }) => msg === "began");
    const stop = startCommand(["stop"], server.dir);
    await server.until(({ msg }) => msg?.startsWith("stopping") === true);
    // Another one may start while it does so.
    assert.equal((await runCommand(["status"], server.dir)).code, 69);
    assert.equal(stop.child.exitCode, null);
    writeFileSync(join(server.dir, "go"), "");
    assert.equal(await (await held).text(), "done");
    assert.deepEqual(await stop.result, { code: 0, stdout: "stopped\n", stderr: "" });
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });
});

describe("a config file that is broken while the server runs", { timeout: 600_000 }, () => {
  it("keeps no command from the server, which says with file and line what is wrong", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.ts": HELLO },
      workers: 1,
      files: { "edgicorn.config.ts": "export default { accessLog: false };" },
    });
    writeFileSync(join(server.dir, "edgicorn.config.ts"), "export default {\n  workers: ;\n};");
    const note =
      /^Cannot load edgicorn\.config\.ts:2: [^\n]*: looking for the server in \.edgicorn .*\n/;
    for (const command of ["status", "generations"]) {
      const { code, stdout, stderr } = await runCommand([command, "--json"], server.dir);
      assert.equal(code, 0);
      assert.ok(JSON.parse(stdout) !== null);
      assert.match(stderr, note);
    }
    const reload = await runCommand(["reload"], server.dir);
    assert.deepEqual([reload.code, reload.stdout], [78, ""]);
    assert.match(reload.stderr.replace(note, ""), /^Cannot load edgicorn\.config\.ts:2: [^\n]*\n$/);
    // As a server refuses that has nothing to go back to.
    const rollback = await runCommand(["rollback"], server.dir);
    assert.equal(rollback.code, 70);
    assert.match(
      rollback.stderr.replace(note, ""),
      /^Cannot roll back: found no earlier generation/,
    );
    const stop = await runCommand(["stop"], server.dir);
    assert.deepEqual([stop.code, stop.stdout], [0, "stopped\n"]);
    assert.match(stop.stderr, note);
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });
});

describe("a second server", { timeout: 600_000 }, () => {
  it("is refused where one lives that has the same state folder, which it names", async (t) => {
    const server = await shared();
    const flags = ["--state-dir", join(server.dir, ".edgicorn")];
    const second = spawnServer(t, { handlers: { "index.ts": HELLO }, flags });
    assert.deepEqual(await second.exit, { code: 70, signal: null });
    assert.match(
      second.stderr,
      new RegExp(
        `already running: process ${server.pid} serves at http://localhost:${server.port("http")} `,
      ),
    );
    assert.equal((await runCommand(["status"], server.dir)).code, 0);
  });

  it("is refused where one lives that has the same pid file", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.ts": HELLO },
      flags: ["--pid-file", "edgicorn.pid"],
    });
    const flags = ["--pid-file", join(server.dir, "edgicorn.pid")];
    const second = spawnServer(t, { handlers: { "index.ts": HELLO }, flags });
    assert.deepEqual(await second.exit, { code: 70, signal: null });
    assert.match(second.stderr, new RegExp(`found that process ${server.pid} owns it`));
    server.kill("SIGTERM");
    await server.exit;
    assert.ok(!readdirSync(server.dir).includes("edgicorn.pid"));
  });
});

describe("edgicorn check", { timeout: 600_000 }, () => {
  it("says what is right, and does not touch a server that runs", async () => {
    const server = await shared();
    const stored = (): string[] => readdirSync(join(server.dir, ".edgicorn/generations"));
    const before = stored();
    const { code, stdout, stderr } = await runCommand(["check"], server.dir);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(
      stdout,
      `ok: 1 route in 1 pool, uWebSockets.js from ${await loadedLibrary()}, ` +
        "no certificate (one for localhost will be made in certs), no config file\n",
    );
    assert.deepEqual(stored(), before);
    assert.deepEqual(readdirSync(join(server.dir, ".edgicorn")).toSorted(), [
      "control.sock",
      "generations",
      "served.json",
    ]);
  });

  it("counts what a start would serve, and names the config file", async (t) => {
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "handlers"));
    const report = `export const config = { pool: "reports" };\n${HELLO}`;
    writeFileSync(join(dir, "handlers/index.ts"), HELLO);
    writeFileSync(join(dir, "handlers/report.ts"), report);
    writeFileSync(join(dir, "edgicorn.config.ts"), `export default { http: 0, https: "off" };`);
    assert.deepEqual(await runCommand(["check"], dir), {
      code: 0,
      stdout: `ok: 2 routes in 2 pools, uWebSockets.js from ${await loadedLibrary()}, HTTPS off, config edgicorn.config.ts\n`,
      stderr: "",
    });
    assert.deepEqual(readdirSync(dir).toSorted(), ["edgicorn.config.ts", "handlers"]);
  });

  it("says that a port is taken, and by which process, unless this project's server has it", async (t) => {
    const server = await shared();
    const flags = ["--http", String(server.port("http")), "--https", "off"];
    const own = await runCommand(["check", ...flags], server.dir);
    assert.deepEqual([own.code, own.stderr], [0, ""]);
    assert.match(
      own.stdout,
      new RegExp(`port ${flags[1]} in use by the running server ${server.pid}`),
    );
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "handlers"));
    const other = await runCommand(["check", ...flags], dir);
    assert.deepEqual([other.code, other.stdout], [70, ""]);
    assert.match(
      other.stderr,
      new RegExp(
        `^Cannot listen for http on \\*:${flags[1]}: .*in use by process ${server.pid} \\(.*--http PORT`,
      ),
    );
  });

  it("says what the server that runs would have to be restarted for", async (t) => {
    const name = "edgicorn.config.json";
    const server = await startServer(t, {
      handlers: { "index.ts": HELLO },
      workers: 1,
      files: { [name]: JSON.stringify({ headerLimit: "16kb", http: 1 }) },
    });
    const configure = (config: object): void =>
      writeFileSync(join(server.dir, name), JSON.stringify(config));
    // The server's own flag says which port.
    configure({ headerLimit: "16kb", http: 2, bodyLimit: 1 });
    const fine = await runCommand(["check"], server.dir);
    assert.deepEqual([fine.code, fine.stderr], [0, ""]);

    configure({ headerLimit: "32kb", stateDir: "elsewhere" });
    const restart = await runCommand(["check"], server.dir);
    assert.equal(restart.code, 0);
    assert.match(restart.stdout, /^ok: 1 route in 1 pool, /);
    assert.match(
      restart.stderr,
      /^note: the server that runs needs a restart for headerLimit \(16384, now 32768\), stateDir \(.*\); it would refuse a reload\n$/,
    );
    assert.equal((await runCommand(["reload", "--state-dir", ".edgicorn"], server.dir)).code, 78);
  });

  it("names each problem and exits with 70, or with 78 when settings are wrong", async (t) => {
    const dir = temporaryFolder(t);
    for (const folder of ["handlers", "certs"]) mkdirSync(join(dir, folder));
    writeFileSync(join(dir, "handlers/index.ts"), "\n\nthrow new Error('no database');");
    writeFileSync(join(dir, "certs/example.crt"), "no certificate");
    writeFileSync(join(dir, "certs/example.key"), "no key");
    const broken = await runCommand(["check", "--http", "0", "--https", "0"], dir);
    assert.equal(broken.code, 70);
    assert.match(broken.stderr, /example\.crt/);
    assert.match(broken.stderr, /index\.ts:3.*no database/s);
    const wrong = await runCommand(["check", "--workers", "many"], dir);
    assert.equal(wrong.code, 78);
    assert.match(wrong.stderr, /^Cannot use --workers/);
  });

  it("leaves nothing behind when it is interrupted", async (t) => {
    const server = await shared();
    write(server, "index.ts", `process.send?.("x"); ${LOADS_LATE}`);
    t.after(() => write(server, "index.ts", HELLO));
    const check = startCommand(["check"], server.dir);
    const state = join(server.dir, ".edgicorn");
    await eventually(t, () => readdirSync(state).some((name) => name.startsWith("check-")));
    check.child.kill("SIGTERM");
    const { code } = await check.result;
    assert.equal(code, 143);
    assert.deepEqual(readdirSync(state).toSorted(), ["control.sock", "generations", "served.json"]);
  });
});
