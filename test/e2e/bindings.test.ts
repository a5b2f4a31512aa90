import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { noRedis, RedisServer } from "../helpers/redis-server.ts";
import { runCommand } from "../helpers/run-command.ts";
import { send } from "../helpers/send.ts";
import { startServer } from "../helpers/start-server.ts";

const CONFIG = `export default {
  pools: { jobs: { workers: 1 } },
  sites: { "shop.example": { handlers: "shop" } },
  envVariables: ["LISTED", "APP_*"],
  bindings: {
    GREETING: "hello",
    KEY: { secret: "key.txt" },
    NOTES: { kv: "notes" },
    HITS: { counter: "hits" },
    LOCKS: { lock: "locks" },
    LIMITER: { rateLimit: { limit: 5, period: "24h" } },
    JOBS_ONLY: { var: "jobs", pools: ["jobs"] },
    SHOP_ONLY: { var: "shop", sites: ["shop.example"] },
  },
};`;

const HANDLERS = {
  "env.js": `export default (request, { env }) => Response.json(
    ["GREETING", "KEY", "LISTED", "APP_X", "UNLISTED", "PATH", "JOBS_ONLY", "SHOP_ONLY"].map((name) => env[name] ?? null));`,
  "jobs.js": `export const config = { pool: "jobs" };
    export default (request, { env }) => Response.json([env.JOBS_ONLY, typeof env.NOTES.get]);`,
  "notes/[key].js": `export default { async fetch(request, env, { params }) {
    if (request.method === "GET") return new Response(await env.NOTES.get(params.key));
    const version = await env.NOTES.put(params.key, request.body, { metadata: process.pid });
    return Response.json({ version, pid: process.pid });
  } };`,
  "hit.js": `export default async (request, { env }) => Response.json([await env.HITS.add("x"), process.pid]);`,
  "limit.js": `export default async (request, { env }) => Response.json((await env.LIMITER.limit({ key: "x" })).success);`,
  "once.js": `export default (request, { env }) => env.LOCKS.run("x", async () => {
      const count = Number(await env.NOTES.get("once") ?? 0);
      await env.NOTES.put("once", String(count + 1));
      return Response.json(count + 1);
    }, { waitMs: 500_000 });`,
};

describe("bindings", { timeout: 600_000 }, () => {
  it("are shared by all workers, scoped by pool and site, and outlive kill -9", async (t) => {
    const options = {
      handlers: HANDLERS,
      workers: 3,
      files: {
        "edgicorn.config.mjs": CONFIG,
        "key.txt": "hunter2\n",
        "shop/env.js": HANDLERS["env.js"],
      },
      env: { LISTED: "1", APP_X: "2", UNLISTED: "3" },
      // However long a slow machine needs for twelve holders of a lock.
      flags: ["--request-timeout", "10m"],
    };
    const server = await startServer(t, options);
    const json = async (path: string): Promise<unknown> => (await server.fetch(path)).json();
    const names = ["hello", "hunter2", "1", "2", null, null, null];
    assert.deepEqual(await json("/env"), [...names, null]);
    const shop = await send(`${server.http}/env`, { headers: { host: "shop.example" } });
    assert.deepEqual(JSON.parse(shop.text), [...names, "shop"]);
    assert.deepEqual(await json("/jobs"), ["jobs", "function"]);

    const hits = (await Promise.all(Array.from({ length: 60 }, () => json("/hit")))) as [
      number,
      number,
    ][];
    assert.deepEqual(
      hits.map(([count]) => count).toSorted((one, other) => one - other),
      Array.from({ length: 60 }, (_, at) => at + 1),
    );
    const limits = await Promise.all(Array.from({ length: 40 }, () => json("/limit")));
    assert.equal(limits.filter((success) => success === true).length, 5);
    const turns = (await Promise.all(Array.from({ length: 12 }, () => json("/once")))) as number[];
    assert.deepEqual(
      turns.toSorted((one, other) => one - other),
      Array.from({ length: 12 }, (_, at) => at + 1),
    );

    // Writes while workers are killed: each that was acknowledged is there.
    const acknowledged: string[] = [];
    const writes = Array.from({ length: 120 }, async (_, at) => {
      const response = await server.fetch(`/notes/k${at}`, { method: "PUT", body: `value ${at}` });
      if (response.status === 200) acknowledged.push(`k${at}`);
    });
    for (const pid of [...server.workers.values()].slice(0, 2)) process.kill(pid, "SIGKILL");
    await Promise.allSettled(writes);
    assert.ok(acknowledged.length > 0);
    process.kill(server.pid, "SIGKILL");
    await server.exit;

    const second = await startServer(t, {
      ...options,
      cwd: server.dir,
      handlers: server.handlersDir,
      files: {},
    });
    for (const key of acknowledged) {
      const found = await (await second.fetch(`/notes/${key}`)).text();
      assert.equal(found, key.replace("k", "value "), key);
    }
    const [count] = (await (await second.fetch("/hit")).json()) as [number];
    assert.equal(count, 61);
    assert.equal(await (await second.fetch("/limit")).json(), false);

    const shown = await runCommand(["config"], server.dir);
    assert.match(shown.stdout, /bindings\.KEY.*\*\*\*/);
    assert.ok(!shown.stdout.includes("hunter2"));
    assert.ok(!`${server.stderr}${second.stderr}`.includes("hunter2"), "no log has the secret");
  });

  it("act as one on two servers with one Redis", { skip: noRedis }, async (t) => {
    const redis = await RedisServer.start(t);
    const options = {
      handlers: { "hit.js": HANDLERS["hit.js"], "limit.js": HANDLERS["limit.js"] },
      workers: 2,
      files: {
        "edgicorn.config.mjs": `export default {
          stores: { shared: { redis: "unix:${redis.socket}", timeout: "20s" } },
          bindings: {
            HITS: { counter: "hits", store: "shared" },
            LIMITER: { rateLimit: { limit: 5, period: "24h" }, store: "shared" },
          },
        };`,
      },
    };
    const servers = await Promise.all([startServer(t, options), startServer(t, options)]);
    const ask = async (path: string): Promise<unknown[]> =>
      Promise.all(
        Array.from(
          { length: 30 },
          async (_, at) => (await servers[at % 2]?.fetch(path))?.json() as Promise<unknown>,
        ),
      );
    const sums = (await ask("/hit")).map((answer) => (answer as [number])[0]);
    assert.deepEqual(
      sums.toSorted((one, other) => one - other),
      Array.from({ length: 30 }, (_, at) => at + 1),
    );
    const admitted = (await ask("/limit")).filter((success) => success === true);
    assert.equal(admitted.length, 5);

    await redis.kill();
    assert.equal((await servers[0].fetch("/hit")).status, 500);
    await redis.start();
    const after = (await (await servers[1].fetch("/hit")).json()) as [number];
    assert.equal(after[0], 31, "each server connects again");
    assert.equal((await servers[0].fetch("/hit")).status, 200);
  });
});
