import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createRedisStore } from "../../runtime/stores/redis-store.ts";
import type { Store } from "../../runtime/stores/store.ts";
import { noRedis, RedisServer } from "../helpers/redis-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { describeStore } from "./conformance.ts";
import { describeQueue } from "./queue-conformance.ts";

const ENTRY = { value: Buffer.from("x"), metadata: null, expiresMs: 0 };

describe("createRedisStore()", { timeout: 600_000, skip: noRedis }, () => {
  let redis: RedisServer;
  let spaces = 0;
  const ends: (() => void | Promise<void>)[] = [];
  before(async () => {
    redis = await RedisServer.start({ after: (end) => void ends.unshift(end) });
  });
  after(async () => {
    for (const end of ends.toReversed()) await end();
  });

  describeStore("in Redis", (t) => {
    spaces += 1;
    const options = { url: `unix:${redis.socket}`, prefix: `t${spaces}`, timeoutMs: 60_000 };
    const again = (): Promise<Store> => {
      const store = createRedisStore(options);
      t.after(() => store.close());
      return Promise.resolve(store);
    };
    return again().then((store) => ({
      store,
      again,
      // The clock of Redis cannot be moved.
      pass: (ms) => delay(ms + 50),
      now: Date.now,
    }));
  });

  describeQueue("Redis", (t) => {
    spaces += 1;
    const options = { url: `unix:${redis.socket}`, prefix: `q${spaces}`, timeoutMs: 60_000 };
    const again = (): Promise<Store> => {
      const store = createRedisStore(options);
      t.after(() => store.close());
      return Promise.resolve(store);
    };
    return again().then((store) => ({ store, again }));
  });

  it("loses no acknowledged write when Redis is killed, and works again once it is back", async (t) => {
    const store = createRedisStore({ url: `unix:${redis.socket}`, prefix: "k", timeoutMs: 60_000 });
    t.after(() => store.close());
    const acknowledged: string[] = [];
    const failures: unknown[] = [];
    const enough = new Promise<void>((resolve) => {
      const write = async (writer: number): Promise<void> => {
        // The end of Redis ends the loop.
        for (let at = 0; ; at += 1) {
          const key = `${writer}-${at}`;
          // oxlint-disable-next-line no-await-in-loop -- Each write is acknowledged before the next.
          await store.put("a", key, ENTRY);
          acknowledged.push(key);
          if (acknowledged.length > 200) resolve();
        }
      };
      for (const writer of [1, 2, 3, 4])
        write(writer).catch((error: unknown) => failures.push(error));
    });
    await enough;
    await redis.kill();
    await assert.rejects(store.get("a", "1-0"), { name: "StoreError", message: /Redis/ });
    await redis.start();
    assert.notEqual(await store.put("a", "after", ENTRY), null);
    assert.equal(failures.length, 4);
    for (const error of failures) assert.match(String(error), /^StoreError: Cannot .*Redis/);
    const found = new Set<string>();
    for (let last: string | null = null; ;) {
      const page = await store.list("a", { prefix: "", after: last, limit: 500 });
      for (const { key } of page) found.add(key);
      if (page.length < 500) break;
      last = page.at(-1)?.key ?? null;
    }
    assert.deepEqual(
      acknowledged.filter((key) => !found.has(key)),
      [],
    );
  });

  it("gives up on a Redis that stopped answering, and works again when it goes on", async (t) => {
    const store = createRedisStore({ url: `unix:${redis.socket}`, prefix: "s", timeoutMs: 3_000 });
    t.after(() => store.close());
    await store.put("a", "k", ENTRY);
    process.kill(redis.pid, "SIGSTOP");
    try {
      await assert.rejects(store.get("a", "k"), /StoreError: .*Redis.*within 3000 ms/);
      await assert.rejects(store.get("a", "k"), /StoreError: .*Redis/);
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
    const patient = createRedisStore({
      url: `unix:${redis.socket}`,
      prefix: "s",
      timeoutMs: 60_000,
    });
    t.after(() => patient.close());
    assert.equal((await patient.get("a", "k"))?.value.length, 1);
  });

  it("fails at once without a server", async (t) => {
    const path = join(temporaryFolder(t), "none.sock");
    const store = createRedisStore({ url: `unix:${path}`, prefix: "n", timeoutMs: 60_000 });
    t.after(() => store.close());
    await assert.rejects(store.get("a", "k"), /StoreError: Cannot reach Redis: .*ENOENT/);
  });

  it("fails at once with a server that sends garbage or hangs up", async (t) => {
    const path = join(temporaryFolder(t), "bad.sock");
    let answer = sendGarbage;
    const server = createServer((socket) => {
      socket.on("error", () => {});
      answer(socket);
    });
    server.listen(path);
    await once(server, "listening");
    t.after(() => server.close());
    const store = createRedisStore({ url: `unix:${path}`, prefix: "n", timeoutMs: 2_000 });
    t.after(() => store.close());
    await assert.rejects(store.get("a", "k"), { name: "StoreError" });
    answer = (socket) => void socket.destroy();
    await assert.rejects(store.get("a", "k"), { name: "StoreError" });
  });
});

function sendGarbage(socket: Socket): void {
  socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
}
