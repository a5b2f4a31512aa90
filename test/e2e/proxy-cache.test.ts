import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { statusSchema } from "../../runtime/control/answers.ts";
import { askControl } from "../../runtime/control/control-client.ts";
import { eventually } from "../helpers/eventually.ts";
import { fieldValue, send } from "../helpers/send.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { startUpstream } from "../helpers/upstreams.ts";

const TIMEOUT = { timeout: 300_000 };
const FRESH = { "cache-control": "public, max-age=600" };

const owner = new SuiteOwner();
let server: TestServer;
/** Requests of the upstream by path, and answers that wait for the test. */
const calls = new Map<string, number>();
const held = new Map<string, ServerResponse[]>();

before(async () => {
  const upstream = await startUpstream(owner, answer);
  const other = await startUpstream(owner, (_, response) => {
    response.writeHead(200, FRESH).end("other");
  });
  server = await startServer(owner, {
    handlers: {},
    files: {
      "edgicorn.config.json": JSON.stringify({
        proxy: upstream.url,
        cache: "on",
        // No machine is so slow that a request waits for too long.
        cacheWait: "1h",
        rules: [
          { path: "/split/**", header: { "x-version": "2" }, proxy: other.url },
          {
            path: "/split/**",
            header: { "x-version": "3" },
            proxy: { to: upstream.url, setRequestFields: { "x-tenant": "three" } },
          },
        ],
      }),
    },
  });
});

after(() => owner.end());

/** Answers with the facts that an application builds links of. A path below `/held` waits for the test. */
function answer({ url = "", headers }: IncomingMessage, response: ServerResponse): void {
  const [path = ""] = url.split("?");
  calls.set(path, (calls.get(path) ?? 0) + 1);
  if (path.startsWith("/held/")) {
    held.set(path, [...(held.get(path) ?? []), response]);
    return;
  }
  const facts = Object.entries(headers).filter(([name]) => /forwarded|host|tenant/.test(name));
  response.writeHead(200, FRESH).end(JSON.stringify([url, ...facts]));
}

/** Number of requests that the server has not answered so far. */
async function openRequests(): Promise<number> {
  const ask = { method: "GET", path: "/status", timeoutMs: 60_000 } as const;
  const found = await askControl(join(server.dir, ".edgicorn"), ask);
  assert.equal(found.kind, "done");
  return statusSchema.parse(found.kind === "done" ? found.value : null).traffic.requests.open;
}

/** Sends many requests for a held path, and waits until all of them are at the server. */
async function rush(t: TestContext, path: string, count: number): Promise<Promise<Response>[]> {
  // The server may close idle connections at any moment: no request uses one of an earlier rush.
  const headers = { connection: "close" };
  // On a busy machine a thousand connections may take longer than a client waits for one: it asks again.
  const ask = async (): Promise<Response> => {
    for (;;) {
      try {
        return await server.fetch(path, { headers, signal: t.signal });
      } catch (error) {
        if (t.signal.aborted) throw error;
      }
    }
  };
  const sent = Array.from({ length: count }, ask);
  for (const each of sent) each.catch(() => {});
  await eventually(t, async () => (await openRequests()) >= count);
  return sent;
}

function release(path: string, status: number, fields: Record<string, string>): void {
  for (const [at, response] of (held.get(path) ?? []).entries()) {
    if (!response.headersSent) response.writeHead(status, fields).end(`answer ${at}`);
  }
}

async function askVersion(version: string): Promise<string> {
  const { text } = await send(`${server.http}/split/a`, { headers: { "x-version": version } });
  return text;
}

describe("the cache in front of an upstream", TIMEOUT, () => {
  it("makes one call of a thousand requests for a slow answer", async (t) => {
    const path = "/held/slow";
    const answers = await rush(t, path, 1_000);
    release(path, 200, FRESH);
    const texts = await Promise.all(answers.map(async (each) => (await each).text()));
    assert.deepEqual([...new Set(texts)], ["answer 0"]);
    assert.equal(calls.get(path), 1);
    // The server may close connections of the thousand, idle for seconds, at any moment.
    const hit = await send(`${server.http}${path}`);
    assert.match(fieldValue(hit, "cache-status") ?? "", /; hit; /);
  });

  it("makes one call of a thousand requests when it fails", async (t) => {
    const path = "/held/fails";
    const answers = await rush(t, path, 1_000);
    release(path, 503, {});
    const all = await Promise.all(answers);
    assert.deepEqual([...new Set(all.map(({ status }) => status))], [503]);
    assert.equal(calls.get(path), 1);
    await Promise.all(all.map((each) => each.text()));
  });

  it("asks for each client when the first answer is private", async (t) => {
    const path = "/held/private";
    const answers = await rush(t, path, 50);
    release(path, 200, { "cache-control": "private" });
    await eventually(t, () => held.get(path)?.length === 50);
    release(path, 200, { "cache-control": "private" });
    const texts = await Promise.all(answers.map(async (each) => (await each).text()));
    assert.equal(new Set(texts).size, 50);
  });

  it("goes on for all others when the client of the call leaves", async (t) => {
    const path = "/held/leaves";
    const first = await server.connect();
    first.send(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port("http")}\r\nAccept-Encoding: gzip, deflate\r\n\r\n`,
    );
    await eventually(t, () => calls.get(path) === 1);
    const answers = await rush(t, path, 50);
    first.destroy();
    await server.untilAccess({ path, status: 499 });
    release(path, 200, FRESH);
    const texts = await Promise.all(answers.map(async (each) => (await each).text()));
    assert.deepEqual([...new Set(texts)], ["answer 0"]);
    assert.equal(calls.get(path), 1);
  });

  it("keeps the answers of several proxies for one URL apart", async () => {
    for (const round of ["miss", "hit"]) {
      assert.match(await askVersion("1"), /^\["\/split\/a",/, round);
      assert.equal(await askVersion("2"), "other", round);
      assert.match(await askVersion("3"), /"three"/, round);
    }
    assert.doesNotMatch(await askVersion("1"), /three/);
  });
});

/** A request of an attacker, and the request of a visitor that must not get an answer made for the attacker. */
const POISONS: readonly [name: string, attack: (path: string, host: string) => string[]][] = [
  ["x-forwarded-host", (path) => [path, "X-Forwarded-Host: evil.test"]],
  ["x-forwarded-proto", (path) => [path, "X-Forwarded-Proto: https"]],
  ["x-forwarded-prefix", (path) => [path, "X-Forwarded-Prefix: /evil"]],
  ["x-forwarded-port", (path) => [path, "X-Forwarded-Port: 666"]],
  ["forwarded", (path) => [path, "Forwarded: host=evil.test;proto=https"]],
  ["a twin with an underscore", (path) => [path, "X_Forwarded_Host: evil.test"]],
  ["a tenant that only a rule sets", (path) => [path, "Connection: x-tenant", "X-Tenant: evil"]],
  ["another encoding of a slash", (path) => [path.replace("/b", "%2Fb")]],
  ["an encoded letter", (path) => [path.replace("/b", "/%62")]],
  ["two slashes", (path) => [path.replace("/b", "//b")]],
  ["another order of the query", (path) => [path.replace("x=1&y=2", "y=2&x=1")]],
  ["a query that ends with a separator", (path) => [`${path}&`]],
];

describe("a stored answer of an upstream", TIMEOUT, () => {
  for (const [at, [name, attack]] of POISONS.entries()) {
    it(`has nothing of an earlier request with ${name}`, async () => {
      const path = `/poison${at}/b?x=1&y=2`;
      const host = `127.0.0.1:${server.port("http")}`;
      const [target, ...fields] = attack(path, host);
      const lines = [`GET ${target} HTTP/1.1`, `Host: ${host}`, ...fields, "Connection: close"];
      const attacked = await server.raw(`${lines.join("\r\n")}\r\n\r\n`);
      assert.match(attacked, /^HTTP\/1\.1 [24]0\d /);
      const { text } = await send(server.http + path);
      const [url, ...facts] = JSON.parse(text) as [string, ...[string, string][]];
      assert.equal(url, path);
      for (const [field, value] of facts) assert.doesNotMatch(value, /evil|666|https/, field);
      const values = new Map(facts);
      assert.equal(values.get("host"), host);
      assert.equal(values.get("x-forwarded-host"), host);
    });
  }

  it("belongs to the host of its request, in any case, with its port", async () => {
    const path = "/hosts";
    const hosts = ["a.test", "b.test", "a.test:8080"];
    for (const host of [...hosts, ...hosts]) {
      const { text } = await send(server.http + path, { headers: { host } });
      assert.match(text, new RegExp(`\\["host","${host}"\\]`));
    }
    const upper = await send(server.http + path, { headers: { host: "A.TEST" } });
    assert.doesNotMatch(upper.text, /b\.test/);
    assert.equal(calls.get(path), 3);
    assert.match(fieldValue(upper, "cache-status") ?? "", /; hit; /);
  });
});
