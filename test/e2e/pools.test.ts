import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { Reloads } from "../helpers/reloads.ts";
import { spawnServer, startServer } from "../helpers/start-server.ts";

/** Answers with its process and what its module was when it was loaded. */
function handlerOf(version: number, pool?: string): string {
  const config = pool === undefined ? "" : `export const config = { pool: "${pool}" };`;
  return `${config}\nexport default () => Response.json([process.pid, ${version}]);`;
}

describe("pools", { timeout: 180_000 }, () => {
  it("may be so many that Node would take their listeners for a leak", async (t) => {
    const names = Array.from({ length: 11 }, (_, number) => `p${number}`);
    const server = await startServer(t, {
      handlers: Object.fromEntries(names.map((name) => [`${name}.ts`, handlerOf(1, name)])),
      files: {
        "edgicorn.config.json": JSON.stringify({ warmup: names.map((name) => `/${name}`) }),
      },
    });
    assert.doesNotMatch(server.stderr, /MaxListeners/);
  });

  it("have workers of their own, which load only what they need", async (t) => {
    const server = await startServer(t, {
      handlers: {
        "index.ts": handlerOf(1),
        "report.ts": handlerOf(1, "reports"),
        "admin/_middleware.ts":
          'export const config = { pool: "admin" }; export default (request, context, next) => next();',
        "admin/index.ts": handlerOf(1),
        "admin/_404.ts": "export default () => Response.json([process.pid, 404]);",
        "where.ts": `console.error("loaded by " + process.pid); ${handlerOf(1, "reports")}`,
      },
      workers: 2,
    });
    const pidsOf = async (path: string): Promise<Set<number>> => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => server.fetch(path)));
      const bodies = await Promise.all(answers.map((response) => response.json()));
      return new Set((bodies as [number, number][]).map(([pid]) => pid));
    };
    const [main, reports, admin] = await Promise.all(["/", "/report", "/admin"].map(pidsOf));
    assert.ok(main !== undefined && reports !== undefined && admin !== undefined);
    // A pool that nobody has configured has one worker.
    assert.deepEqual([reports.size, admin.size], [1, 1]);
    assert.equal(new Set([...main, ...reports, ...admin]).size, main.size + 2);
    assert.deepEqual(await pidsOf("/where"), reports);
    assert.deepEqual(await pidsOf("/admin/nothing"), admin);
    assert.equal(server.workers.size, 4);
    const loads = server.logs.filter(({ msg }) => msg?.startsWith("loaded by") === true);
    assert.deepEqual(
      loads.map(({ msg }) => msg),
      [`loaded by ${[...reports].join("")}`],
    );
  });

  it("follow the config file, which is told of pools that nobody is in", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.ts": handlerOf(1), "report.ts": handlerOf(1, "reports") },
      workers: 1,
      files: {
        "edgicorn.config.json": JSON.stringify({
          pools: { reports: { workers: 3 }, reprots: { workers: 1 } },
        }),
      },
    });
    assert.equal(server.workers.size, 4);
    const warning = await server.until(({ msg }) => msg === "configured pools without handlers");
    assert.deepEqual(warning["pools"], ["reprots"]);
  });

  it("must be named so that they are known before anything runs", async (t) => {
    const computed = spawnServer(t, {
      handlers: { "a.ts": `\nexport const config = { pool: process.env.POOL };\n${handlerOf(1)}` },
    });
    assert.equal((await computed.exit).code, 70);
    assert.match(computed.stderr, /handlers\/a\.ts:2:\d+: config\.pool is computed/);
    const hidden = spawnServer(t, {
      handlers: {
        "_config.ts": 'export const config = { pool: "a" };',
        "a.ts": `\nexport { config } from "./_config.ts";\n${handlerOf(1)}`,
      },
    });
    assert.equal((await hidden.exit).code, 70);
    assert.match(hidden.stderr, /handlers\/a\.ts:2:\d+: config\.pool is "a" when it runs/);
  });

  it("are down for themselves: the others answer", async (t) => {
    const file = "broken";
    const server = await startServer(t, {
      handlers: {
        "index.ts": handlerOf(1),
        "report.ts": `
          import { existsSync } from "node:fs";
          if (existsSync("${file}")) throw new Error("no database");
          ${handlerOf(1, "reports")}`,
      },
      workers: 1,
      flags: ["--queue-timeout", "500ms"],
    });
    const [pid] = (await (await server.fetch("/report")).json()) as [number];
    writeFileSync(join(server.dir, file), "");
    process.kill(pid, "SIGKILL");
    await eventually(t, async () => {
      const response = await server.fetch("/report");
      return response.status === 503 && response.headers.has("retry-after");
    });
    assert.equal((await server.fetch("/")).status, 200);
    rmSync(join(server.dir, file));
    await eventually(t, async () => (await server.fetch("/report")).status === 200);
  });
});

describe("SIGHUP, with pools", { timeout: 180_000 }, () => {
  it("replaces the pool of the one handler that has changed, out of 50, and says why", async (t) => {
    const names = Array.from({ length: 50 }, (_, index) => `h${index}`);
    const handlers = Object.fromEntries(
      names.map((name, index) => [
        `${name}.ts`,
        handlerOf(1, ["a", "b", "c"][index % 4] ?? undefined),
      ]),
    );
    const server = await startServer(t, { handlers, workers: 1 });
    const answersOf = async (): Promise<[number, number][]> => {
      const responses = await Promise.all(names.map((name) => server.fetch(`/${name}`)));
      // What the handlers above answer.
      return Promise.all(responses.map((response) => response.json())) as Promise<
        [number, number][]
      >;
    };
    const before = await answersOf();
    writeFileSync(join(server.handlersDir, "h1.ts"), handlerOf(2, "b"));
    const reloads = new Reloads(server);
    const report = await reloads.next();
    t.diagnostic(`reload of 50 handlers, one of 4 pools replaced: ${String(report.durationMs)} ms`);
    assert.deepEqual(report.pools, [
      { name: "a", change: "kept", reasons: [], workers: 1 },
      { name: "b", change: "replaced", reasons: ["changed: handlers/h1.ts"], workers: 1 },
      { name: "c", change: "kept", reasons: [], workers: 1 },
      { name: "default", change: "kept", reasons: [], workers: 1 },
    ]);
    const after = await answersOf();
    for (const [index, [pid, version]] of after.entries()) {
      assert.equal(pid !== before[index]?.[0], index % 4 === 1, names[index]);
      assert.equal(version, index === 1 ? 2 : 1);
    }

    // Nothing has changed: who asks all the same wants fresh workers.
    const again = await reloads.next();
    t.diagnostic(`reload of 50 handlers, all 4 pools replaced: ${String(again.durationMs)} ms`);
    assert.ok(again.pools.every(({ change }) => change === "replaced"));
    const renewed = await answersOf();
    assert.ok(renewed.every(([pid], index) => pid !== after[index]?.[0]));
  });

  it("sends routes of a pool that stays to where they were, whatever their numbers are now", async (t) => {
    const server = await startServer(t, {
      handlers: {
        "m.ts": handlerOf(1),
        "z.ts": handlerOf(2),
        "_404.ts": "export default () => Response.json([process.pid, 404]);",
        "b.ts": handlerOf(3, "other"),
      },
      workers: 1,
      // Tells of workers that end in order.
      flags: ["--log-level", "debug"],
    });
    const versionOf = async (path: string): Promise<number> => {
      const [, version] = (await (await server.fetch(path)).json()) as [number, number];
      return version;
    };
    const ids = [...server.workers.keys()];
    // Before the others, by name: theirs move up.
    for (const name of ["a.ts", "c.ts"]) {
      writeFileSync(join(server.handlersDir, name), handlerOf(9, "other"));
    }
    const { pools } = await new Reloads(server).next();
    assert.deepEqual(
      pools.map(({ name, change }) => [name, change]),
      [
        ["default", "kept"],
        ["other", "replaced"],
      ],
    );
    const paths = ["/m", "/z", "/nothing", "/a", "/b", "/c"];
    assert.deepEqual(await Promise.all(paths.map(versionOf)), [1, 2, 404, 9, 3, 9]);
    // A worker of the pool that stays is replaced from the generation that its code is from.
    const [pid] = (await (await server.fetch("/m")).json()) as [number];
    process.kill(pid, "SIGKILL");
    await eventually(t, async () => (await server.fetch("/m")).status === 200);
    assert.equal(await versionOf("/m"), 1);
    await eventually(t, () => [...server.workers.keys()].every((id) => !ids.includes(id)));
    // When no route is in a pool any more, it goes.
    for (const name of ["a.ts", "b.ts", "c.ts"]) rmSync(join(server.handlersDir, name));
    const last = await new Reloads(server).next();
    assert.deepEqual(
      last.pools.map(({ name, change }) => [name, change]),
      [
        ["default", "kept"],
        ["other", "removed"],
      ],
    );
    await eventually(t, () => server.workers.size === 1);
  });
});
