import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { purgeReportSchema, statusSchema } from "../../runtime/control/answers.ts";
import type { Status } from "../../runtime/control/operations.ts";
import { askControl } from "../../runtime/control/control-client.ts";
import { eventually } from "../helpers/eventually.ts";
import { startCommand } from "../helpers/run-command.ts";
import { fieldValue, send } from "../helpers/send.ts";
import { shareServer } from "../helpers/shared-server.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

/**
 * Answers as its query says: `cc` is `cache-control`, `status` the status, `size` the size of the body, `tag` its tag. With
 * `wait`, the answer waits until `/control?release=NAME`. The body has the number of the call.
 */
const ORIGIN = `
const calls = (globalThis.calls ??= new Map());
const gates = (globalThis.gates ??= new Map());
export const config = { cache: true };
export default async (request) => {
  const { pathname, searchParams: query } = new URL(request.url);
  const name = query.get("name");
  const number = (calls.get(name) ?? 0) + 1;
  calls.set(name, number);
  if (query.has("wait")) {
    if (!gates.has(name)) gates.set(name, Promise.withResolvers?.() ?? resolvers());
    await gates.get(name).promise;
  }
  const headers = { "content-type": "text/plain" };
  if (query.has("cc")) headers["cache-control"] = query.get("cc");
  if (query.has("tag")) headers["cache-tag"] = query.get("tag");
  if (query.has("cookie")) headers["set-cookie"] = "session=" + number;
  const size = Number(query.get("size") ?? 0);
  return new Response("call " + number + " " + "x".repeat(size), { status: Number(query.get("status") ?? 200), headers });
};
function resolvers() {
  let resolve;
  const promise = new Promise((done) => { resolve = done; });
  return { promise, resolve };
}
`;

const CONTROL = `
export default (request) => {
  const { searchParams: query } = new URL(request.url);
  if (query.has("release")) globalThis.gates.get(query.get("release"))?.resolve();
  return Response.json(globalThis.calls?.get(query.get("calls")) ?? 0);
};
`;

/** Purges as its query says, and answers with the number of removed answers, or with the error. */
const PURGE = `
export default async (request, { purge }) => {
  try {
    return Response.json(await purge(new URL(request.url).searchParams.get("entries")));
  } catch (error) {
    return Response.json(error.name + ": " + error.message);
  }
};
`;

const handlers = { "origin.ts": ORIGIN, "control.ts": CONTROL, "purge.ts": PURGE };

// No machine is so slow that a request waits for too long.
const server = shareServer({ handlers, flags: ["--cache-wait", "1h"] });

/** Clients with other codings get other answers, and do not wait for the same one. */
const CODINGS = "gzip";

async function callsOf(at: TestServer, name: string): Promise<number> {
  return Number(await (await at.fetch(`/control?calls=${name}`)).text());
}

/** Number of requests that the server has not answered so far. */
async function openAt(at: TestServer): Promise<number> {
  return (await statusOf(at)).traffic.requests.open;
}

async function statusOf({ dir }: TestServer): Promise<Status> {
  const ask = { method: "GET", path: "/status", timeoutMs: 60_000 } as const;
  const answer = await askControl(join(dir, ".edgicorn"), ask);
  assert.equal(answer.kind, "done");
  return statusSchema.parse(answer.kind === "done" ? answer.value : null);
}

/** Requests of a rush that connect at once: fewer than the connections that wait for a listener (512). */
const STEP = 200;

/** Sends many requests, all of which wait at the server then. */
async function rush(
  t: TestContext,
  { at, path, count }: { at: TestServer; path: string; count: number },
): Promise<Promise<Response>[]> {
  const headers = { "accept-encoding": CODINGS };
  const sent: Promise<Response>[] = [];
  while (sent.length < count) {
    const more = Math.min(STEP, count - sent.length);
    for (let each = 0; each < more; each++) {
      const answer = at.fetch(path, { headers });
      answer.catch(() => {});
      sent.push(answer);
    }
    await eventually(t, async () => (await openAt(at)) >= sent.length);
  }
  return sent;
}

async function bodiesOf(answers: readonly Promise<Response>[]): Promise<Set<string>> {
  return new Set(await Promise.all(answers.map(async (answer) => (await answer).text())));
}

describe("the response cache", () => {
  it("makes one call of a thousand requests for a slow answer", { timeout: 300_000 }, async (t) => {
    const at = await server();
    const path = "/origin?name=slow&wait&cc=public,max-age=60";
    const answers = await rush(t, { at, path, count: 1_000 });
    await at.fetch("/control?release=slow");
    assert.deepEqual([...(await bodiesOf(answers))], ["call 1 "]);
    assert.equal(await callsOf(at, "slow"), 1);
    const hit = await at.fetch(path);
    assert.match(hit.headers.get("cache-status") ?? "", /^Edgicorn; hit; ttl=\d+$/);
    assert.match(hit.headers.get("age") ?? "", /^\d+$/);
  });

  it("gives a failure to all that wait, after one call", { timeout: 300_000 }, async (t) => {
    const at = await server();
    const answers = await rush(t, { at, path: "/origin?name=fails&wait&status=503", count: 300 });
    await at.fetch("/control?release=fails");
    const all = await Promise.all(answers);
    assert.deepEqual([...new Set(all.map(({ status }) => status))], [503]);
    assert.equal(await callsOf(at, "fails"), 1);
    await bodiesOf(answers);
  });

  it("gives each visitor a private answer of its own", { timeout: 300_000 }, async (t) => {
    const at = await server();
    const answers = await rush(t, {
      at,
      path: "/origin?name=private&wait&cc=private&cookie",
      count: 1_000,
    });
    await at.fetch("/control?release=private");
    assert.equal((await bodiesOf(answers)).size, 1_000);
    assert.equal(await callsOf(at, "private"), 1_000);
    const cookies = await Promise.all(
      answers.map(async (answer) => (await answer).headers.get("set-cookie")),
    );
    assert.equal(new Set(cookies).size, 1_000);
  });

  it(
    "goes on for all others when the client of the call leaves",
    { timeout: 300_000 },
    async (t) => {
      const at = await server();
      const path = "/origin?name=leaves&wait&cc=public,max-age=60";
      const first = await at.connect();
      first.send(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${at.port("http")}\r\nAccept-Encoding: ${CODINGS}\r\n\r\n`,
      );
      await eventually(t, async () => (await callsOf(at, "leaves")) === 1);
      const answers = await rush(t, { at, path, count: 50 });
      first.destroy();
      await at.untilAccess({ status: 499 });
      await at.fetch("/control?release=leaves");
      assert.deepEqual([...(await bodiesOf(answers))], ["call 1 "]);
    },
  );

  it("serves ranges, conditions and HEAD from the stored whole", async () => {
    const at = await server();
    const path = "/origin?name=parts&cc=public,max-age=60";
    await (await at.fetch(path)).text();
    const part = await at.fetch(path, { headers: { range: "bytes=0-3" } });
    assert.deepEqual(
      [part.status, await part.text(), part.headers.get("content-range")],
      [206, "call", "bytes 0-3/7"],
    );
    const head = await at.fetch(path, { method: "HEAD" });
    assert.deepEqual([head.status, head.headers.get("content-length")], [200, "7"]);
    assert.equal(await callsOf(at, "parts"), 1);
  });

  it("is visible in the access log and in the status", { timeout: 300_000 }, async () => {
    const at = await server();
    const path = "/origin?name=counted&cc=public,max-age=60";
    const before = (await statusOf(at)).cache?.results ?? assert.fail("no cache in the status");
    await (await at.fetch(path)).text();
    await (await at.fetch(path)).text();
    await (await at.fetch(path, { method: "POST" })).text();
    for (const cache of ["miss", "hit", "bypass"]) {
      await at.untilAccess({ path: "/origin", status: 200, cache });
    }
    const { results, entries } = (await statusOf(at)).cache ?? assert.fail();
    assert.ok(entries > 0);
    assert.ok(results.miss > before.miss);
    assert.ok(results.hit > before.hit);
    assert.equal(results.bypass, before.bypass + 1);
    const shown = await startCommand(["status"], at.dir).result;
    assert.match(shown.stdout, /\ncache results: hit \d+, /);
  });

  it("stores large bodies, which travel in pieces", async () => {
    const at = await server();
    const path = "/origin?name=large&cc=public,max-age=60&size=3000000";
    const [one, two] = await Promise.all([at.fetch(path), at.fetch(path)]);
    const texts = await Promise.all([one.text(), two.text()]);
    assert.equal(texts[0].length, 3_000_007);
    assert.equal(texts[0], texts[1]);
    const again = await at.fetch(path);
    assert.equal(await again.text(), texts[0]);
    assert.match(again.headers.get("cache-status") ?? "", /hit/);
    assert.equal(await callsOf(at, "large"), 1);
  });

  it("removes answers on the operator's command", { timeout: 300_000 }, async () => {
    const at = await server();
    const path = "/origin?name=purged&cc=public,max-age=600&tag=menu,news";
    const purges = [`${at.http}${path}`, `${at.http}/orig*`, "tag:news", "all"];
    for (const [index, what] of purges.entries()) {
      assert.equal(await (await at.fetch(path)).text(), `call ${index + 1} `);
      const ask = {
        method: "POST",
        path: "/purge",
        body: { entries: what },
        timeoutMs: 60_000,
      } as const;
      const answer = await askControl(join(at.dir, ".edgicorn"), ask);
      assert.ok(answer.kind === "done", what);
      assert.ok(purgeReportSchema.parse(answer.value).purged > 0, what);
    }
    await at.fetch(path);
    const right = await startCommand(["purge", "all"], at.dir).result;
    assert.deepEqual([right.code, right.stdout], [0, "purged 1\n"]);
    const wrong = await startCommand(["purge", "news"], at.dir).result;
    assert.equal(wrong.code, 78);
    assert.match(wrong.stderr, /found "news", expected a URL/);
  });
});

/** Asks the handler of `PURGE` at a host. */
async function purgeBy(at: TestServer, host: string, entries: string): Promise<unknown> {
  const path = `/purge?entries=${encodeURIComponent(entries)}`;
  return JSON.parse((await send(at.http + path, { headers: { host } })).text);
}

function entryPath(number: number): string {
  return `/origin?name=n${number}&cc=public,max-age=3600&size=${number * 20_011}`;
}

function pageOf(text: string): string {
  return `export const config = { cache: { maxAgeMs: 60_000 } };
export default () => new Response("${text}");`;
}

/** Counts its calls. Its answers have the tag of the query. */
function taggedPage(text: string): string {
  return `export const config = { cache: true };
let calls = 0;
export default ({ url }) => {
  const headers = { "cache-control": "max-age=600", "cache-tag": new URL(url).searchParams.get("tag") };
  return new Response("${text} " + ++calls, { headers });
};`;
}

describe("a purge by a handler", () => {
  it(
    "removes answers by URL, prefix and tag, before it resolves",
    { timeout: 300_000 },
    async () => {
      const at = await server();
      const { host } = new URL(at.http);
      const path = "/origin?name=removed&cc=public,max-age=600&tag=own";
      const purges = [at.http + path, `${at.http}/origin?name=rem*`, "tag:own"];
      for (const [index, entries] of purges.entries()) {
        assert.equal(await (await at.fetch(path)).text(), `call ${index + 1} `);
        assert.equal(await purgeBy(at, host, entries), 1, entries);
      }
      assert.equal(await (await at.fetch(path)).text(), "call 4 ");
      const refused = await purgeBy(at, host, "news");
      assert.match(String(refused), /^TypeError: Cannot purge: found "news", expected a URL/);
    },
  );

  it("reaches the answers of its own site only", { timeout: 300_000 }, async (t) => {
    const at = await startServer(t, {
      handlers,
      files: {
        "sites/one.example/handlers/origin.ts": ORIGIN,
        "sites/one.example/handlers/purge.ts": PURGE,
      },
    });
    const path = "/origin?name=shared&cc=public,max-age=600&tag=all";
    const hosts = ["one.example", "other.example"] as const;
    const fill = (): Promise<string[]> =>
      Promise.all(
        hosts.map(async (host) => (await send(at.http + path, { headers: { host } })).text),
      );
    assert.deepEqual(await fill(), ["call 1 ", "call 1 "]);
    assert.equal(await purgeBy(at, "one.example", "tag:all"), 1);
    assert.deepEqual(await fill(), ["call 2 ", "call 1 "]);
    assert.equal(await purgeBy(at, "other.example", "all"), 1);
    assert.deepEqual(await fill(), ["call 2 ", "call 2 "]);
    assert.equal(
      await purgeBy(at, "one.example", "http://other.example/*"),
      'TypeError: Cannot purge: found "http://other.example/*", expected a host of the site one.example',
    );
    assert.deepEqual(await fill(), ["call 2 ", "call 2 "]);
  });
});

describe("stored answers", () => {
  it(
    "outlive a kill of the server while it writes, whole or not at all",
    { timeout: 300_000 },
    async (t) => {
      const first = await startServer(t, { handlers });
      const dir = join(first.dir, ".edgicorn/cache");
      const files = (): string[] =>
        existsSync(dir) ? readdirSync(dir, { recursive: true, encoding: "utf8" }) : [];
      // Ports differ, and belong to the key.
      const headers = { host: "example.test" };
      const loads = Array.from({ length: 30 }, (_, at) =>
        send(first.http + entryPath(at), { headers }),
      );
      for (const load of loads) load.catch(() => {});
      // Some entries are on disk, others on their way.
      await eventually(t, () => files().length > 5);
      process.kill(first.pid, "SIGKILL");
      await first.exit;
      await Promise.allSettled(loads);
      const second = await startServer(t, { handlers, cwd: first.dir });
      let hits = 0;
      for (let at = 0; at < 30; at++) {
        const answer = await send(second.http + entryPath(at), { headers });
        assert.equal(answer.text, `call 1 ${"x".repeat(at * 20_011)}`, `entry ${at}`);
        if (fieldValue(answer, "cache-status")?.includes("hit") === true) hits++;
      }
      assert.ok(hits > 0, "no entry outlived the server");
      // It writes into the folder of the first one, which is removed after the test.
      await second.stop();
    },
  );

  it("are not used by other code after a reload", { timeout: 300_000 }, async (t) => {
    const at = await startServer(t, { handlers: { "page.ts": pageOf("old") } });
    for (const text of ["old", "old"]) assert.equal(await (await at.fetch("/page")).text(), text);
    writeFileSync(join(at.handlersDir, "page.ts"), pageOf("new"));
    assert.equal((await startCommand(["reload"], at.dir).result).code, 0);
    assert.equal(await (await at.fetch("/page")).text(), "new");
  });

  it("are purged by the tags of the setting after a reload", { timeout: 300_000 }, async (t) => {
    const at = await startServer(t, {
      handlers: { "page.ts": taggedPage("old") },
      flags: ["--cache-reload", "menu,pages"],
    });
    const texts = (): Promise<string[]> =>
      Promise.all(
        ["menu", "pages", "other"].map(async (tag) => (await at.fetch(`/page?tag=${tag}`)).text()),
      );
    const before = await texts();
    assert.deepEqual(await texts(), before);
    writeFileSync(join(at.handlersDir, "page.ts"), taggedPage("new"));
    assert.equal((await startCommand(["reload"], at.dir).result).code, 0);
    const [menu, pages, other] = await texts();
    assert.match(`${menu} ${pages}`, /^new \d new \d$/);
    assert.equal(other, before[2]);
  });
});
