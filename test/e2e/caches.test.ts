import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { statusSchema } from "../../runtime/control/answers.ts";
import { askControl } from "../../runtime/control/control-client.ts";
import { startCommand } from "../helpers/run-command.ts";
import { eventually } from "../helpers/eventually.ts";
import { send } from "../helpers/send.ts";
import { shareServer } from "../helpers/shared-server.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

/** Calls `caches` as the JSON text in its body says, and answers with the outcome. */
const CALL = `
export default async (request, context) => {
  const { op, cache, url, method = "GET", headers = {}, options, answer, entries } = await request.json();
  try {
    if (op === "purge") return Response.json(await context.purge(entries));
    const at = cache === undefined ? caches.default : await caches.open(cache);
    const key = new Request(url, { method, headers });
    if (op === "put") {
      const { size, text = "", ...init } = answer;
      const body = size === undefined ? text : Buffer.alloc(size, "0123456789abcdef");
      await at.put(key, new Response(body, init));
      return Response.json("done");
    }
    if (op === "delete") return Response.json(await at.delete(key, options));
    if (op === "drop") {
      for (let n = 0; n < 50; n++) await at.match(key);
      return Response.json("done");
    }
    const found = await at.match(key, options);
    if (found === undefined) return Response.json(null);
    const bytes = new Uint8Array(await found.arrayBuffer());
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    return Response.json({
      status: found.status,
      headers: Object.fromEntries(found.headers),
      size: bytes.length,
      text: bytes.length < 100 ? Buffer.from(bytes).toString() : null,
      sha256: Buffer.from(digest).toString("hex"),
    });
  } catch (error) {
    return Response.json(error.name + ": " + error.message);
  }
};
`;

/** Begins to store an endless answer, and says so. */
const ENDLESS = `
export default async (request) => {
  const { searchParams } = new URL(request.url);
  let sent = 0;
  const body = new ReadableStream({
    async pull(controller) {
      controller.enqueue(new Uint8Array(16384));
      sent += 16384;
      if (sent === 1048576 * 3) console.error("storing");
      if (sent > 1048576 * 3) await new Promise((resolve) => setTimeout(resolve, 20));
    },
  });
  const headers = { "cache-control": "max-age=600" };
  await caches.default.put(searchParams.get("url"), new Response(body, { headers }));
  return new Response("stored");
};
`;

/** Answers with a stored answer as it is, and stores one if there is none. */
const PAGE = `
export default async (request, { waitUntil }) => {
  const found = await caches.default.match(request);
  if (found !== undefined) return found;
  const response = new Response("made of " + new URL(request.url).pathname.repeat(20_000), {
    headers: { "cache-control": "s-maxage=600", etag: '"one"' },
  });
  waitUntil(caches.default.put(request, response.clone()));
  return response;
};
`;

const PID = `export default () => new Response(String(process.pid));`;

const handlers = { "call.ts": CALL, "endless.ts": ENDLESS, "page.ts": PAGE, "pid.ts": PID };

/** One worker serves both sites. */
const server = shareServer({
  handlers,
  files: { "sites/one.example/handlers/call.ts": CALL },
});

const FRESH = { "cache-control": "max-age=600" };

interface Found {
  status: number;
  headers: Record<string, string>;
  size: number;
  text: string | null;
  sha256: string;
}

async function call(at: TestServer, script: object, host = "default.test"): Promise<unknown> {
  const body = JSON.stringify(script);
  return JSON.parse(
    (await send(`${at.http}/call`, { method: "POST", headers: { host }, body })).text,
  );
}

async function match(at: TestServer, script: object, host?: string): Promise<Found | null> {
  // The handler answers so.
  return (await call(at, { op: "match", ...script }, host)) as Found | null;
}

/** The facts about the store of answers of the server that runs in a folder. */
async function storeOf(dir: string) {
  const ask = { method: "GET", path: "/status", timeoutMs: 60_000 } as const;
  const found = await askControl(join(dir, ".edgicorn"), ask);
  const { cache } = statusSchema.parse(found.kind === "done" ? found.value : null);
  return cache ?? assert.fail("the server has no store");
}

function digest(part: Buffer): string {
  return createHash("sha256").update(part).digest("hex");
}

describe("caches of handlers", { timeout: 300_000 }, () => {
  it("return the answer that was put, until it is deleted", async () => {
    const at = await server();
    const url = "https://any.test/a?b=c";
    assert.equal(await match(at, { url }), null);
    const answer = { text: "hello", status: 203, headers: { ...FRESH, "x-own": "1" } };
    assert.equal(await call(at, { op: "put", url, answer }), "done");
    const found = (await match(at, { url: `${url}#fragment` })) ?? assert.fail();
    assert.deepEqual([found.status, found.text], [203, "hello"]);
    assert.equal(found.headers["x-own"], "1");
    assert.equal(found.headers["content-length"], "5");
    assert.match(found.headers["age"] ?? "", /^\d+$/);
    assert.equal(await match(at, { url: "https://any.test/a" }), null);
    assert.equal(await call(at, { op: "delete", url, method: "PUT" }), false);
    assert.equal(
      await call(at, { op: "delete", url, method: "PUT", options: { ignoreMethod: true } }),
      true,
    );
    assert.equal(await call(at, { op: "delete", url }), false);
    assert.equal(await match(at, { url }), null);
  });

  it("carry bodies of every size, and parts of them", async () => {
    const at = await server();
    for (const size of [0, 1, 65_536, 65_537, 262_144, 1_048_576, 3_000_001]) {
      const url = `https://sizes.test/${size}`;
      assert.equal(await call(at, { op: "put", url, answer: { size, headers: FRESH } }), "done");
      const bytes = Buffer.alloc(size, "0123456789abcdef");
      const whole = (await match(at, { url })) ?? assert.fail(String(size));
      assert.deepEqual([whole.size, whole.sha256], [size, digest(bytes)]);
      if (size < 100) continue;
      const [start, end] = [31, size - 7];
      const part =
        (await match(at, { url, headers: { range: `bytes=${start}-${end}` } })) ?? assert.fail();
      assert.equal(part.status, 206);
      assert.equal(part.headers["content-range"], `bytes ${start}-${end}/${size}`);
      assert.equal(part.sha256, digest(bytes.subarray(start, end + 1)), String(size));
    }
  });

  it("close large bodies that handlers do not read", async () => {
    const at = await server();
    const url = "https://dropped.test/";
    const answer = { size: 3_000_000, headers: FRESH };
    assert.equal(await call(at, { op: "put", url, answer }), "done");
    // More than a worker may have open at a time.
    for (let round = 0; round < 40; round++) {
      assert.equal(await call(at, { op: "drop", url }), "done");
    }
    assert.equal((await match(at, { url }))?.size, 3_000_000);
  });

  it("answer a client with the stored answer, with conditions and ranges", async (t) => {
    const at = await server();
    const text = `made of ${"/page".repeat(20_000)}`;
    const first = await at.fetch("/page");
    assert.equal(await first.text(), text);
    await eventually(t, async () => {
      const again = await at.fetch("/page");
      assert.equal(await again.text(), text);
      return again.headers.has("age");
    });
    const same = await at.fetch("/page", { headers: { "if-none-match": '"one"' } });
    assert.deepEqual([same.status, await same.text()], [304, ""]);
    const part = await at.fetch("/page", { headers: { range: "bytes=0-3" } });
    assert.deepEqual([part.status, await part.text()], [206, "made"]);
  });

  it("are apart by name and by site, and purges reach them", async () => {
    const at = await server();
    const url = "https://apart.test/";
    const one = "one.example";
    const headers = { ...FRESH, "cache-tag": "apart" };
    const places = [
      [undefined, undefined],
      ["default", undefined],
      ["x:y", undefined],
      [undefined, one],
      ["default", one],
    ] as const;
    const fill = async (): Promise<void> => {
      for (const [number, [cache, host]] of places.entries()) {
        const answer = { text: String(number), headers };
        assert.equal(await call(at, { op: "put", cache, url, answer }, host), "done");
      }
    };
    const texts = (): Promise<(string | null | undefined)[]> =>
      Promise.all(
        places.map(async ([cache, host]) => (await match(at, { cache, url }, host))?.text),
      );
    await fill();
    assert.deepEqual(await texts(), ["0", "1", "2", "3", "4"]);
    assert.equal(await call(at, { op: "purge", entries: "tag:apart" }, one), 2);
    assert.deepEqual(await texts(), ["0", "1", "2", undefined, undefined]);
    assert.equal(await call(at, { op: "delete", cache: "default", url }), true);
    assert.deepEqual(await texts(), ["0", undefined, "2", undefined, undefined]);
    await fill();
    for (const [entries, count] of [
      ["https://apart.test/*", 5],
      ["https://apart.test/", 5],
      ["tag:apart", 5],
    ] as const) {
      const purged = await startCommand(["purge", entries], at.dir).result;
      assert.deepEqual([purged.code, purged.stdout], [0, `purged ${count}\n`], entries);
      await fill();
    }
  });

  it("keep nothing of an answer whose worker is killed before its end", async (t) => {
    const at = await server();
    const url = "https://killed.test/";
    // A GET request would run again.
    const asked = send(`${at.http}/endless?url=${encodeURIComponent(url)}`, { method: "POST" });
    await at.until(({ msg }) => msg === "storing");
    const pid = Number(await (await at.fetch("/pid")).text());
    process.kill(pid, "SIGKILL");
    assert.equal((await asked).status, 502);
    await eventually(t, async () => (await at.fetch("/pid")).status === 200);
    assert.equal(await match(at, { url }), null);
  });
});

describe("answers that handlers stored", { timeout: 300_000 }, () => {
  it("outlive a kill of the server whole or not at all, and are not for other code", async (t) => {
    const first = await startServer(t, { handlers });
    const urls = Array.from({ length: 20 }, (_, number) => `https://whole.test/${number}`);
    const torn = "https://torn.test/";
    const asked = send(`${first.http}/endless?url=${encodeURIComponent(torn)}`);
    asked.catch(() => {});
    for (const [number, url] of urls.entries()) {
      const answer = { size: number * 100_003, headers: FRESH };
      assert.equal(await call(first, { op: "put", url, answer }), "done");
    }
    await first.until(({ msg }) => msg === "storing");
    // Answers are written in the background.
    await eventually(t, async () => (await storeOf(first.dir)).diskEntries > 0);
    process.kill(first.pid, "SIGKILL");
    await first.exit;
    await Promise.allSettled([asked]);
    const second = await startServer(t, { handlers, cwd: first.dir });
    // The first use opens the store, and the files of the first server are found in the background.
    await match(second, { url: torn });
    await eventually(t, async () => !(await storeOf(first.dir)).isScanning);
    let hits = 0;
    for (const [number, url] of urls.entries()) {
      const found = await match(second, { url });
      if (found === null) continue;
      hits++;
      const bytes = Buffer.alloc(number * 100_003, "0123456789abcdef");
      assert.equal(found.sha256, digest(bytes));
    }
    assert.ok(hits > 0, "no answer outlived the server");
    assert.equal(await match(second, { url: torn }), null);
    const [url = ""] = urls.slice(-1);
    assert.equal(
      await call(second, { op: "put", url, answer: { text: "old", headers: FRESH } }),
      "done",
    );
    writeFileSync(
      join(second.handlersDir, "call.ts"),
      `${CALL}\n// Other code.\nexport const a = 1;`,
    );
    assert.equal((await startCommand(["reload"], first.dir).result).code, 0);
    assert.equal(await match(second, { url }), null);
    // It writes into the folder of the first one, which is removed after the test.
    await second.stop();
  });
});
