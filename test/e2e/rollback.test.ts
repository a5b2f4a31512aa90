import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { GenerationInfo, ReloadReport, Status } from "../../runtime/control/operations.ts";
import { askServer } from "../helpers/ask-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { writeAtOnce } from "../helpers/write-at-once.ts";

const INDEX = `export default () => new Response("one");`;

function write(server: TestServer, path: string, source: string): void {
  writeAtOnce(join(server.handlersDir, path), source);
}

/** What a command answers that succeeds. */
async function ask<T>(server: TestServer, ...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await askServer([...args, "--json"], server.dir);
  assert.deepEqual([code, stderr], [0, ""]);
  // The type that the command is documented to print.
  return JSON.parse(stdout) as T;
}

/** Why a command is refused. */
async function refusal(server: TestServer, ...args: readonly string[]): Promise<string> {
  const { code, stderr } = await askServer(args, server.dir);
  assert.equal(code, 70);
  return stderr;
}

async function textOf(server: TestServer, path = "/"): Promise<string> {
  const response = await server.fetch(path);
  return `${response.status} ${await response.text()}`;
}

/** Ids of the generations on disk, oldest first, and of those whose folder is leased. */
function storedBy(server: TestServer): { ids: string[]; leased: string[] } {
  const dir = join(server.dir, ".edgicorn/generations");
  const ids = readdirSync(dir).toSorted();
  // A generation may go between two looks.
  const isLeased = (id: string): boolean => existsSync(join(dir, id, `lease-${server.pid}`));
  return { ids, leased: ids.filter(isLeased) };
}

describe("edgicorn rollback", { timeout: 600_000 }, () => {
  it("goes back to what served before, or to any that is on disk", async (t) => {
    const kept = `export const config = { pool: "kept" }; export default () => new Response(String(process.pid));`;
    const server = await startServer(t, {
      handlers: { "index.ts": INDEX, "kept.ts": kept },
      workers: 1,
    });
    const pid = await textOf(server, "/kept");
    assert.match(
      await refusal(server, "rollback"),
      /Cannot roll back: found no earlier generation/,
    );
    write(server, "index.ts", INDEX.replace("one", "two"));
    const { generation: second, previous: first } = await ask<ReloadReport>(server, "reload");
    assert.ok(first !== null);
    assert.equal(await textOf(server), "200 two");
    const [, before] = await ask<GenerationInfo[]>(server, "generations");
    // One of its pools was kept.
    assert.deepEqual([before?.id, before?.state, before?.rollback], [first, "shared", true]);

    const back = await ask<ReloadReport>(server, "rollback");
    assert.deepEqual([back.generation, back.previous], [first, second]);
    assert.deepEqual(back.pools, [
      { name: "default", change: "replaced", reasons: ["changed: handlers/index.ts"], workers: 1 },
      { name: "kept", change: "kept", reasons: [], workers: 1 },
    ]);
    assert.equal(await textOf(server), "200 one");

    assert.match(await refusal(server, "rollback", first), /it serves already/);
    const nowhere = await refusal(server, "rollback", "20200101-000000000000-00000000");
    assert.match(nowhere, new RegExp(`it is not on disk, expected one of ${second}$`));
    assert.equal((await ask<ReloadReport>(server, "rollback", second)).generation, second);
    assert.equal(await textOf(server), "200 two");
    assert.equal(await textOf(server, "/kept"), pid);
  });

  it("goes back after a restart behind what was rolled back from, and says that it was built again", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": INDEX }, workers: 1 });
    const stateDir = ["--state-dir", join(server.dir, ".edgicorn")];
    write(server, "index.ts", INDEX.replace("one", "bad"));
    const { generation: bad, previous: good } = await ask<ReloadReport>(server, "reload");
    assert.equal((await ask<Status>(server, "status")).rolledBackFrom, null);
    await ask<ReloadReport>(server, "rollback");
    assert.equal((await ask<Status>(server, "status")).rolledBackFrom, bad);
    server.kill("SIGTERM");
    await server.exit;

    const { handlersDir: handlers } = server;
    const again = await startServer(t, { handlers, workers: 1, flags: stateDir });
    assert.equal(await textOf(again), "200 bad");
    await again.until(({ rolledBackFrom }) => rolledBackFrom === bad);
    const report = await ask<ReloadReport>(again, "rollback", ...stateDir);
    assert.equal(report.generation, good);
    assert.equal(await textOf(again), "200 one");
  });

  it("finds the last other code however often the same was built since, over restarts too", async (t) => {
    const flags = ["--keep-generations", "2"];
    const server = await startServer(t, { handlers: { "index.ts": INDEX }, workers: 1, flags });
    const stateDir = ["--state-dir", join(server.dir, ".edgicorn")];
    write(server, "index.ts", INDEX.replace("one", "bad"));
    const { previous: good } = await ask<ReloadReport>(server, "reload");
    // With the first of this code, more than stay on disk.
    for (let count = 0; count < 2; count++) await ask<ReloadReport>(server, "reload");
    server.kill("SIGTERM");
    await server.exit;

    const { handlersDir: handlers } = server;
    const again = await startServer(t, { handlers, workers: 1, flags: [...flags, ...stateDir] });
    for (let count = 0; count < 2; count++) await ask<ReloadReport>(again, "reload", ...stateDir);
    assert.equal((await ask<ReloadReport>(again, "rollback", ...stateDir)).generation, good);
    assert.equal(await textOf(again), "200 one");
  });

  it("finds what served before a restart with new code, however much of other code was built", async (t) => {
    const flags = ["--keep-generations", "2"];
    const server = await startServer(t, { handlers: { "index.ts": INDEX }, workers: 1, flags });
    const stateDir = ["--state-dir", join(server.dir, ".edgicorn")];
    write(server, "index.ts", INDEX.replace("one", "bad"));
    for (let count = 0; count < 3; count++) await ask<ReloadReport>(server, "reload");
    const { generation: good } = await ask<ReloadReport>(server, "rollback");
    server.kill("SIGTERM");
    await server.exit;

    write(server, "index.ts", INDEX.replace("one", "three"));
    const { handlersDir: handlers } = server;
    const again = await startServer(t, { handlers, workers: 1, flags: [...flags, ...stateDir] });
    assert.equal(await textOf(again), "200 three");
    assert.equal((await ask<ReloadReport>(again, "rollback", ...stateDir)).generation, good);
  });

  it("does not go to what was only tried with edgicorn dev", async (t) => {
    const flags = ["--keep-generations", "2"];
    const server = await startServer(t, { handlers: { "index.ts": INDEX }, workers: 1, flags });
    const [good] = storedBy(server).ids;
    const stateDir = ["--state-dir", join(server.dir, ".edgicorn")];
    server.kill("SIGTERM");
    await server.exit;

    const { handlersDir: handlers } = server;
    const options = { handlers, workers: 1, flags: [...flags, ...stateDir] };
    const tried = await startServer(t, { ...options, command: "dev" });
    for (const text of ["two", "three", "five"]) {
      write(server, "index.ts", INDEX.replace("one", text));
      await ask<ReloadReport>(tried, "reload", ...stateDir);
    }
    tried.kill("SIGTERM");
    await tried.exit;

    const again = await startServer(t, options);
    assert.equal(await textOf(again), "200 five");
    assert.equal((await ask<ReloadReport>(again, "rollback", ...stateDir)).generation, good);
  });

  it("is refused after the first start where edgicorn dev built all else, which generations tells", async (t) => {
    const options = { handlers: { "index.ts": INDEX }, workers: 1 };
    const tried = await startServer(t, { ...options, command: "dev" });
    const stateDir = ["--state-dir", join(tried.dir, ".edgicorn")];
    write(tried, "index.ts", INDEX.replace("one", "two"));
    // The watcher may be about to build one more.
    const { generation: experiment } = await ask<ReloadReport>(tried, "reload");
    tried.kill("SIGTERM");
    await tried.exit;

    write(tried, "index.ts", INDEX.replace("one", "three"));
    const { handlersDir: handlers } = tried;
    const server = await startServer(t, { handlers, workers: 1, flags: stateDir });
    assert.match(
      await refusal(server, "rollback", ...stateDir),
      /found no earlier generation with different code, and edgicorn dev built the others on disk/,
    );
    assert.match(
      await refusal(server, "rollback", experiment, ...stateDir),
      /Cannot roll back to .*: edgicorn dev built it/,
    );
    const [now, ...others] = await ask<GenerationInfo[]>(server, "generations", ...stateDir);
    assert.equal(now?.mode, "production");
    assert.ok(others.length > 0);
    for (const { mode, rollback } of others) {
      assert.deepEqual([mode, rollback], ["development", false]);
    }
    assert.equal(await textOf(server), "200 three");
  });

  it("passes over what has the same code", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": INDEX }, workers: 1 });
    const { previous: first } = await ask<ReloadReport>(server, "reload");
    assert.match(
      await refusal(server, "rollback"),
      /found no earlier generation with different code/,
    );
    write(server, "index.ts", INDEX.replace("one", "two"));
    const { previous: second } = await ask<ReloadReport>(server, "reload");
    await ask<ReloadReport>(server, "reload");
    assert.notEqual(first, second);
    assert.equal((await ask<ReloadReport>(server, "rollback")).generation, second);
  });

  it("that fails changes nothing, and neither does a reload, which leaves nothing on disk", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": INDEX }, workers: 1 });
    const { ids } = storedBy(server);
    const [first = ""] = ids;
    write(server, "index.ts", "throw new Error('broken');");
    assert.match(await refusal(server, "reload"), /index\.ts:1.*broken/s);
    assert.deepEqual(storedBy(server), { ids: [first], leased: [first] });

    write(server, "index.ts", INDEX.replace("one", "two"));
    const { generation: second } = await ask<ReloadReport>(server, "reload");
    const dir = join(server.dir, ".edgicorn/generations", first);
    for (const file of readdirSync(join(dir, "modules"))) {
      if (!file.endsWith(".mjs")) continue;
      writeFileSync(join(dir, "modules", file), "throw new Error('damaged');");
    }
    assert.match(await refusal(server, "rollback"), /damaged/);
    assert.equal(await textOf(server), "200 two");
    // What a rollback goes to is held as well as what serves.
    assert.deepEqual(storedBy(server), { ids: [first, second], leased: [first, second] });
    writeFileSync(join(dir, "manifest.json"), "{");
    assert.match(await refusal(server, "rollback"), /and there is no other generation on disk/);
    server.kill("SIGTERM");
    await server.exit;
    assert.deepEqual(storedBy(server).leased, []);
  });
});

describe("edgicorn generations", { timeout: 600_000 }, () => {
  it("lists those on disk with what they have answered, as many as shall stay", async (t) => {
    const server = await startServer(t, {
      handlers: {
        "index.ts": INDEX,
        "fails.ts": "export default () => new Response(null, { status: 500 });",
      },
      workers: 1,
      flags: ["--keep-generations", "2"],
    });
    for (const path of ["/", "/fails", "/", "/nothing"]) await textOf(server, path);
    const { generation: second, previous: first } = await ask<ReloadReport>(server, "reload");
    await textOf(server);
    const [now, before] = await ask<GenerationInfo[]>(server, "generations");
    assert.ok(now !== undefined && before !== undefined);
    assert.deepEqual(
      { ...now, createdAt: "" },
      {
        id: second,
        createdAt: "",
        mode: "production",
        routes: 2,
        code: before.code,
        state: "serving",
        rollback: false,
        requests: 1,
        errors: 0,
      },
    );
    assert.deepEqual([before.id, before.requests, before.errors], [first, 3, 1]);
    await eventually(t, () => storedBy(server).leased.length === 1);
    const { generation: third } = await ask<ReloadReport>(server, "reload");
    const left = await ask<GenerationInfo[]>(server, "generations");
    assert.deepEqual(
      left.map(({ id }) => id),
      [third, second],
    );
    await ask<ReloadReport>(server, "rollback", second);
    const again = (await ask<GenerationInfo[]>(server, "generations")).find(
      ({ id }) => id === second,
    );
    assert.deepEqual([again?.state, again?.requests], ["serving", 1]);
  });
});

describe("SIGTTIN and SIGTTOU", { timeout: 600_000 }, () => {
  it("add and take a worker of the default pool, down to one", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.ts": INDEX },
      workers: 1,
      flags: ["--log-level", "debug"],
    });
    const told = async (signal: NodeJS.Signals): Promise<unknown> => {
      const seen = server.logs.length;
      server.kill(signal);
      const line = await server.until(
        (each) => server.logs.indexOf(each) >= seen && each.msg === "number of workers changed",
      );
      return line["workers"];
    };
    assert.equal(await told("SIGTTIN"), 2);
    await eventually(t, () => server.workers.size === 2);
    assert.equal(await told("SIGTTOU"), 1);
    assert.equal(await told("SIGTTOU"), 1);
    await eventually(t, () => server.workers.size === 1);
    assert.equal(await textOf(server), "200 one");
  });
});
