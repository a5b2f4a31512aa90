import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { HttpClient, type RequestOptions } from "../helpers/http-client.ts";
import { skipWithoutPython } from "../helpers/python.ts";
import { Reloads } from "../helpers/reloads.ts";
import { runCommand } from "../helpers/run-command.ts";
import { type LogLine, startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { writeAtOnce } from "../helpers/write-at-once.ts";

const PYTHON = skipWithoutPython() === false;

/** The passwords are "secret" and "password". */
const ANN = "ann:$apr1$r31....x$Jes0CdiVJZdAL8kbFK200/";
const BOB = "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";

/** The password is "secret". */
const EVE_HASH = "$1$abc$iCQ2D3nhptRYi27fDYv2s1";

const toConfig = (service: string): string => `export default {
  ${PYTHON ? `app: "app:app",` : ""}
  rules: [
    { path: "/private/**", basicAuth: { file: "users", realm: "Staff" } },
    { path: ["/py", "/secret.txt"], basicAuth: { users: { eve: ${JSON.stringify(EVE_HASH)} } } },
    { path: "/burst", rateLimit: { rate: "1/day", burst: 100 } },
    { path: "/by-key", rateLimit: { rate: "2/day", key: { header: "x-api-key" } } },
    { path: "/dry", rateLimit: { rate: "1/day", dryRun: true } },
    { path: "/hold", method: "GET", concurrencyLimit: 2 },
    // No slow machine takes so long for 200 questions at a time.
    { path: "/checked/**", forwardAuth: { url: "/check?a=b", copy: ["x-user"], timeout: "60s" } },
    { path: "/down", forwardAuth: "http://127.0.0.1:1/" },
    { path: "/limited-file.txt", rateLimit: "1/day" },
    { path: "/waits", forwardAuth: { url: "${service}", timeout: "60s" } },
  ],
};`;

const HANDLERS = {
  "private/[...path].ts": `export default async (request) => Response.json({
    user: request.headers.get("x-edgicorn-user"), body: await request.text() });`,
  "waits.ts": `export default () => new Response("old")`,
  "burst.ts": `export default () => new Response("ok")`,
  "by-key.ts": `export default () => new Response("ok")`,
  "dry.ts": `export default () => new Response("ok")`,
  "down.ts": `export default () => new Response("never")`,
  "check.ts": `export const GET = (request) => {
    const as = request.headers.get("x-as");
    if (as === null) return new Response("who?", { status: 401, headers: { "www-authenticate": "Bearer" } });
    if (as === "throw") throw new Error("no");
    return new Response(null, { status: 204, headers: {
      "x-user": as + " " + request.headers.get("x-forwarded-uri") + new URL(request.url).search } });
  };`,
  "checked/[...path].ts": `export default async (request) => Response.json({
    user: request.headers.get("x-user"), body: (await request.text()).length });`,
  // A stream that ends when the client leaves, or when it is told to.
  "hold.ts": `const held = [];
    export const GET = () => new Response(new ReadableStream({
      start(controller) { held.push(controller); controller.enqueue(new TextEncoder().encode("a")); } }));
    export const POST = () => { for (const each of held.splice(0)) try { each.close(); } catch {} return new Response("let go"); };`,
};

const APP = `def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("REMOTE_USER", "nobody").encode()]
`;

function countOf(statuses: readonly number[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** Whether a line tells of a stream of `/hold` that has ended. */
function isEndOfStream({ component, path, method, status }: LogLine): boolean {
  return component === "access" && path === "/hold" && method === "GET" && status !== 429;
}

function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

describe("rules that limit and authenticate", { timeout: 600_000 }, () => {
  const owner = new SuiteOwner();
  let server: TestServer;
  let client: HttpClient;
  let config: string;
  /** Answers the questions of the server when the test says so. */
  const service = createServer();

  before(async () => {
    // Longer than the server keeps its connections.
    service.keepAliveTimeout = 600_000;
    service.listen(0, "127.0.0.1");
    await once(service, "listening");
    owner.after(() => {
      service.closeAllConnections();
      service.close();
    });
    // A server on a port has such an address.
    config = toConfig(`http://127.0.0.1:${(service.address() as AddressInfo).port}/`);
    server = await startServer(owner, {
      handlers: HANDLERS,
      files: { "edgicorn.config.ts": config, users: `${ANN}\n${BOB}\n`, "app.py": APP },
      public: { "secret.txt": "secret", "limited-file.txt": "file" },
      workers: 1,
    });
    client = new HttpClient(owner, server.http, { connections: 250 });
  });
  after(() => owner.end());

  async function ask(path: string, options: RequestOptions = {}): Promise<[number, string]> {
    const { status, body } = await client.request(path, options);
    return [status, String(body)];
  }

  async function askMany(path: string, count: number): Promise<Record<number, number>> {
    const asked = Array.from({ length: count }, () => client.request(path));
    return countOf((await Promise.all(asked)).map(({ status }) => status));
  }

  it("admit exactly the burst of 200 clients at once", async () => {
    assert.deepEqual(await askMany("/burst", 200), { 200: 100, 429: 100 });
    const { status, headers } = await client.request("/burst");
    assert.equal(status, 429);
    assert.match(String(headers["retry-after"]), /^\d+$/);
    assert.deepEqual(await askMany("/dry", 20), { 200: 20 });
    const keys = ["a", "b", "a", "a", "b"];
    const statuses = await Promise.all(
      keys.map(async (key) => (await ask("/by-key", { headers: { "x-api-key": key } }))[0]),
    );
    assert.deepEqual(countOf(statuses), { 200: 4, 429: 1 });
    // Files count as handlers do.
    assert.deepEqual(await askMany("/limited-file.txt", 3), { 200: 1, 429: 2 });
    await server.until(
      ({ place, msg }) => place === "rules[4]" && msg?.includes("dry run") === true,
    );
  });

  it("admit exactly so many at a time, and count no client that left", async () => {
    const open = async (): Promise<{ status: number; leave: () => Promise<void> }> => {
      const leaving = new AbortController();
      const response = await fetch(`${server.http}/hold`, { signal: leaving.signal });
      const leave = async (): Promise<void> => {
        leaving.abort();
        await response.text().catch(() => {});
      };
      return { status: response.status, leave };
    };
    const opened = await Promise.all(Array.from({ length: 20 }, open));
    const served = opened.filter(({ status }) => status === 200);
    assert.deepEqual(countOf(opened.map(({ status }) => status)), { 200: 2, 429: 18 });
    // One stream is left by its client, and one ends.
    await served[0]?.leave();
    await server.untilAccess({ path: "/hold", status: 499 });
    const third = await open();
    assert.deepEqual([third.status, (await open()).status], [200, 429]);
    assert.deepEqual(await ask("/hold", { method: "POST" }), [200, "let go"]);
    await Promise.all(opened.map(({ leave }) => leave()));
    await third.leave();
    // A stream that was let go may end before or after its client has left.
    await server.until(() => server.logs.filter(isEndOfStream).length === 3);
    const again = await open();
    assert.equal(again.status, 200);
    await again.leave();
  });

  it("let only users in, with a name that no client can forge", async () => {
    const { status, headers } = await client.request("/private/a");
    assert.deepEqual(
      [status, headers["www-authenticate"]],
      [401, 'Basic realm="Staff", charset="UTF-8"'],
    );
    const forged = {
      ...basic("ann", "secret"),
      "x-edgicorn-user": "root",
      x_edgicorn_user: "root",
    };
    const body = "x".repeat(300_000);
    const many = Array.from({ length: 200 }, (_, at) =>
      client.request("/private/a", {
        method: "POST",
        body: at === 0 ? body : "x",
        headers: at % 2 === 0 ? forged : basic("ann", "wrong"),
      }),
    );
    const answers = await Promise.all(many);
    assert.deepEqual(countOf(answers.map((answer) => answer.status)), { 200: 100, 401: 100 });
    assert.deepEqual(JSON.parse(String(answers[0]?.body)), { user: "ann", body });
    assert.equal((await ask("/private/a", { headers: basic("bob", "password") }))[0], 200);
    assert.equal((await ask("/private/a", { headers: basic("eve", "secret") }))[0], 401);
    // A file is guarded as a handler is, under each of its names.
    assert.deepEqual(await ask("/secret.txt", { headers: basic("eve", "secret") }), [
      200,
      "secret",
    ]);
    for (const path of ["/secret.txt", "/%73ecret.txt", "//secret.txt", "/a/..%2Fsecret.txt"]) {
      const [refused, text] = await ask(path);
      assert.ok(refused === 401 || refused === 400 || refused === 404, `${path} ${refused}`);
      assert.notEqual(text, "secret");
    }
  });

  it("give a WSGI application the user", { skip: !PYTHON }, async () => {
    assert.deepEqual(await ask("/py", { headers: basic("eve", "secret") }), [200, "eve"]);
    const forged = { "x-edgicorn-user": "root" };
    assert.deepEqual(await ask("/elsewhere", { headers: forged }), [200, "nobody"]);
  });

  it("ask a handler whether a request may pass", async () => {
    const forged = { "x-user": "root", x_user: "root" };
    assert.deepEqual(await ask("/checked/a", { headers: forged }), [401, "who?"]);
    const as = { ...forged, "x-as": "ann" };
    const body = "x".repeat(300_000);
    const [status, text] = await ask("/checked/a?c=d", { method: "POST", headers: as, body });
    assert.deepEqual([status, text], [200, `{"user":"ann /checked/a?c=d?a=b","body":300000}`]);
    assert.equal((await ask("/checked/a", { headers: { "x-as": "throw" } }))[0], 502);
    assert.equal((await ask("/down"))[0], 502);
    const many = Array.from({ length: 200 }, (_, at) =>
      client.request("/checked/a", at % 2 === 0 ? { headers: as } : {}),
    );
    const statuses = (await Promise.all(many)).map((answer) => answer.status);
    assert.deepEqual(countOf(statuses), { 200: 100, 401: 100 });
    await server.until(({ service: name }) => name === "/check?a=b");
    await server.until(({ service: name }) => name === "http://127.0.0.1:1/");
  });

  it("read a changed file again, and keep counts and users over a reload", async () => {
    const file = join(server.dir, "users");
    writeAtOnce(file, `${BOB}\ncarl:secret\n`);
    const line = await server.until(({ problems }) => problems !== undefined);
    assert.match(String(line["problems"]), /users:2: found a password in plain text/);
    assert.equal((await ask("/private/a", { headers: basic("ann", "secret") }))[0], 200);
    const { code, stderr } = await runCommand(["check", "--public", "off"], server.dir);
    assert.notEqual(code, 0);
    assert.match(stderr, /users:2: found a password in plain text/);
    writeAtOnce(file, `${BOB}\n`);
    await server.until(({ msg }) => msg === "file of users read again");
    assert.equal((await ask("/private/a", { headers: basic("ann", "secret") }))[0], 401);
    assert.equal((await ask("/private/a", { headers: basic("bob", "password") }))[0], 200);
    const moved = config.replace("rules: [", `rules: [{ path: "/new", respond: { status: 410 } },`);
    writeFileSync(join(server.dir, "edgicorn.config.ts"), moved);
    await new Reloads(server).next();
    assert.deepEqual(await askMany("/burst", 20), { 429: 20 });
    assert.equal((await ask("/new"))[0], 410);
  });

  /** Waits for a question of the server. Returns the function that answers it. */
  async function question(): Promise<() => void> {
    // The types that this event has.
    const [, response] = (await once(service, "request")) as [IncomingMessage, ServerResponse];
    return () => void response.writeHead(204).end();
  }

  it("lose no request that waits while the server reloads or stops", async () => {
    const [answer, waits] = [question(), ask("/waits")];
    const answerFirst = await answer;
    writeFileSync(join(server.handlersDir, "waits.ts"), `export default () => new Response("new")`);
    await new Reloads(server).next();
    answerFirst();
    assert.deepEqual(await waits, [200, "old"]);
    const [next, waitsAgain] = [question(), ask("/waits")];
    const answerNext = await next;
    server.kill("SIGTERM");
    await server.until(({ msg }) => msg?.startsWith("stopping") === true);
    answerNext();
    assert.deepEqual(await waitsAgain, [200, "new"]);
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });
});
