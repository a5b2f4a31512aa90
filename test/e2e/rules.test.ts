import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { UserConfig } from "../../runtime/config/user-config.ts";
import { eventually } from "../helpers/eventually.ts";
import { fieldOf, type RawConnection, type RawResponse } from "../helpers/raw-connection.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";

const CONFIG: UserConfig = {
  rules: [
    { setFields: { "x-site": "1" }, security: true },
    {
      errorPages: {
        "404": "/pages/404.html",
        "410": "/pages/missing.html",
        "413": "/error?from=rules",
        "5xx": "/pages/50x.html",
      },
    },
    { path: "/no-pages/**", errorPages: { "404": "/error" } },
    { path: "/gone", respond: { status: 410, body: "Gone\n", fields: { "x-why": "old" } } },
    { path: "/admin/**", deny: ["127.0.0.1", "::1"] },
    { path: "/quiet/**", accessLog: false },
    { path: "/quiet/not/**", accessLog: true },
    { path: "/small/**", bodyLimit: 4 },
    { path: "/v1/**", rewrite: "/echo/:splat?version=1", setRequestFields: { "x-user": "rule" } },
    { path: "/old/**", redirect: "/new/:splat" },
  ],
};

const HANDLERS = {
  "echo/[...path].ts": `export default (request) => Response.json({ url: request.url.replace(/^[^/]+..[^/]+/, ""), user: request.headers.get("x-user") })`,
  "boom.ts": `export default () => { throw new Error("boom") }`,
  "stream.ts": `export default () => new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(60000)) } }), { status: 503, headers: { "retry-after": "7", "content-type": "image/png" } })`,
  "small/post.ts": `export const POST = async (request) => new Response(await request.text())`,
  "error.ts": `export default (request) => new Response("page for " + request.method + new URL(request.url).search, { headers: { "content-type": "text/plain" } })`,
  // As careless as programs are: it decodes first, merges slashes and resolves dots, then looks at the path.
  "_404.ts": `export default (request) => {
    const { pathname } = new URL(request.url);
    const lenient = pathname.replace(/%[2-7][0-9a-f]/gi, (c) => decodeURIComponent(c)).replaceAll("\\\\", "/");
    const paths = [lenient, lenient.replace(/\\/+/g, "/"), new URL("http://h" + lenient.replace(/\\/+/g, "/")).pathname];
    const isAdmin = paths.some((path) => path === "/admin" || path.startsWith("/admin/"));
    return new Response(isAdmin ? "SECRET" : "handler", { status: isAdmin ? 200 : 404 });
  }`,
};

const PUBLIC = {
  "admin/secret.txt": "SECRET",
  "admin/index.html": "SECRET",
  "open.txt": "open",
  "forced.txt": "forced",
  _headers: [
    "/*",
    "  X-From: all",
    "/open.txt",
    "  ! X-From",
    "  X-From: file",
    "  Cache-Control: max-age=5",
    "/page/x",
    "  X-Page: 1",
  ].join("\n"),
  _redirects: [
    "/moved/*     /new/:splat      # 301",
    "/open.txt    /elsewhere",
    "/forced.txt  /elsewhere       302!",
    "/page/*      /open.txt        200",
    "/to-admin/*  /admin/:splat    200",
    "/lost        /pages/404.html  404",
    "/echo/*      /never",
    "/other/*     /echo/:splat     200",
    "/q           id=:id           /items/:id",
  ].join("\n"),
  "pages/404.html": "<h1>not here</h1>",
  "pages/50x.html": "<h1>broken</h1>",
};

describe("rules", { timeout: 300_000 }, () => {
  const owner = new SuiteOwner();
  after(() => owner.end());
  let server: TestServer;
  let connection: RawConnection;

  before(async () => {
    server = await startServer(owner, {
      handlers: HANDLERS,
      public: PUBLIC,
      files: { "edgicorn.config.json": JSON.stringify(CONFIG) },
      workers: 1,
    });
    connection = await server.connect();
  });

  /** Sends a request on the shared connection, or on a new one after the server has ended it. */
  async function ask(line: string, fields: string[] = [], body = ""): Promise<RawResponse> {
    const length = body === "" ? [] : [`Content-Length: ${body.length}`];
    const head = [`${line} HTTP/1.1`, "Host: localhost", ...fields, ...length, "", ""];
    connection.send(head.join("\r\n") + body);
    const response = await connection.response({ head: line.startsWith("HEAD ") });
    if (fieldOf(response, "connection") === "close") connection = await server.connect();
    return response;
  }

  it("set fields on replies of files and handlers, on 304 and on errors", async () => {
    const file = await ask("GET /open.txt");
    const etag = fieldOf(file, "etag") ?? "";
    const replies = [
      [file, 200],
      [await ask("GET /open.txt", [`If-None-Match: ${etag}`]), 304],
      [await ask("HEAD /echo/x"), 200],
      [await ask("GET /gone"), 410],
      [await ask("GET /boom"), 500],
      [await ask("GET /admin"), 403],
      [await ask("GET /nothing"), 404],
      [await ask("GET //admin"), 400],
    ] as const;
    for (const [reply, status] of replies) {
      assert.equal(reply.status, status);
      assert.equal(fieldOf(reply, "x-site"), "1");
      assert.equal(fieldOf(reply, "x-content-type-options"), "nosniff");
      assert.equal(fieldOf(reply, "strict-transport-security"), undefined);
    }
  });

  it("show pages in place of errors, and keep the status", async () => {
    const missing = await ask("GET /nothing");
    assert.deepEqual([missing.status, String(missing.body)], [404, "<h1>not here</h1>"]);
    assert.equal(fieldOf(missing, "content-type"), "text/html; charset=utf-8");
    assert.equal(fieldOf(missing, "etag"), undefined);
    assert.equal(fieldOf(missing, "cache-control"), "no-store");
    const ranged = await ask("GET /nothing", ["Range: bytes=0-1", "If-None-Match: *"]);
    assert.deepEqual([ranged.status, String(ranged.body)], [404, "<h1>not here</h1>"]);
    const head = await ask("HEAD /nothing");
    assert.deepEqual([head.status, fieldOf(head, "content-length")], [404, "17"]);
    const broken = await ask("GET /boom");
    assert.deepEqual([broken.status, String(broken.body)], [500, "<h1>broken</h1>"]);
    // A stream without an end is cancelled, and its fields that do not describe the body stay.
    const stream = await ask("GET /stream");
    assert.deepEqual([stream.status, String(stream.body)], [503, "<h1>broken</h1>"]);
    assert.equal(fieldOf(stream, "retry-after"), "7");
    // A page that is not there.
    const gone = await ask("GET /gone");
    assert.deepEqual([gone.status, String(gone.body)], [410, "Gone\n"]);
    assert.equal(fieldOf(gone, "x-why"), "old");
  });

  it("let a handler make the page, and give a route other settings", async () => {
    const page = await ask("GET /no-pages/x");
    assert.deepEqual([page.status, String(page.body)], [404, "page for GET"]);
    assert.equal(String((await ask("POST /small/post", [], "abcd")).body), "abcd");
    const large = await ask("POST /small/post", [], "abcde");
    assert.deepEqual([large.status, String(large.body)], [413, "page for GET?from=rules"]);
  });

  it("rewrite and redirect", async () => {
    const rewritten = await ask("GET /v1/a%20b/?q=1", ["X-User: client"]);
    assert.deepEqual(JSON.parse(String(rewritten.body)), {
      url: "/echo/a%20b/?version=1&q=1",
      user: "rule",
    });
    const redirected = await ask("POST /old/a?b=%2F", [], "body");
    assert.equal(redirected.status, 308);
    assert.equal(fieldOf(redirected, "location"), "/new/a?b=%2F");
  });

  it("keep requests out of the access log", async () => {
    await ask("GET /quiet/a");
    await ask("GET /quiet/not/b");
    await server.untilAccess({ path: "/quiet/not/b" });
    assert.ok(!server.accessLines.some(({ path }) => path === "/quiet/a"));
  });

  it("of a public folder change its replies only", async () => {
    const file = await ask("GET /open.txt");
    assert.deepEqual([file.status, fieldOf(file, "x-from")], [200, "file"]);
    assert.equal(fieldOf(file, "cache-control"), "max-age=5");
    assert.equal(fieldOf(await ask("GET /echo/x"), "x-from"), undefined);
    for (const name of ["/_headers", "/_redirects"]) {
      assert.equal((await ask(`GET ${name}`)).status, 404);
    }
    const redirects: [line: string, status: number, location: string][] = [
      ["GET /moved/a?b=%20", 301, "/new/a?b=%20"],
      ["GET /forced.txt", 302, "/elsewhere"],
      ["GET /q?id=a%2Fb&x=1", 301, "/items/a%2Fb?x=1"],
    ];
    for (const [line, status, location] of redirects) {
      const reply = await ask(line);
      assert.deepEqual([reply.status, fieldOf(reply, "location")], [status, location], line);
    }
    const page = await ask("GET /page/x");
    assert.deepEqual([page.status, String(page.body), fieldOf(page, "x-page")], [200, "open", "1"]);
    assert.match(String((await ask("GET /other/y")).body), /"url":"\/echo\/y"/);
    const lost = await ask("GET /lost");
    assert.deepEqual([lost.status, String(lost.body)], [404, "<h1>not here</h1>"]);
    assert.equal((await ask("GET /to-admin/secret.txt")).status, 403);
    assert.equal((await ask("GET /q")).status, 404);
  });

  it("of a public folder follow a change of the file, and ignore one with a mistake", async (t) => {
    replaceRedirects(server, "/moved /b 299");
    await eventually(t, async () => {
      await ask("GET /open.txt");
      return server.logs.some(({ msg }) => msg?.includes("_redirects:1") === true);
    });
    assert.equal((await ask("GET /moved/a")).status, 301);
    replaceRedirects(server, "/moved/* /b/:splat 302");
    await eventually(t, async () => (await ask("GET /moved/a")).status === 302);
  });

  it("are passed by no spelling of a path that a file or a careless handler would answer", async () => {
    const fixed = ["/admin", "/admin/", "/admin/secret.txt", "/%61dmin/secret.txt", "/x/../admin"];
    const more = ["/admin/%2e./admin/secret.txt", "//admin/secret.txt", "/admin%2Fsecret.txt"];
    const last = ["/admin%5csecret.txt", "/x/..%2fadmin", "/x\\..\\admin", "/.%2e/%61dmin//"];
    for (const target of [...fixed, ...more, ...last]) {
      const { status } = await ask(`GET ${target}`);
      assert.ok(status === 403 || status === 400, `${target}: ${status}`);
    }
    const seed = Date.now() % 2 ** 31;
    const random = createRandom(seed);
    const pick = (choices: readonly string[]): string => choices[random(choices.length)] ?? "";
    const counts = { refused: 0, served: 0 };
    for (let round = 0; round < 400; round++) {
      let target = "";
      for (let parts = random(5); parts >= 0; parts--) target += pick(SEPARATORS) + pick(SEGMENTS);
      if (!target.startsWith("/")) target = `/${target}`;
      const { status, body } = await ask(`GET ${target}`);
      assert.ok(!String(body).includes("SECRET"), `seed ${seed}: ${target} is answered ${status}`);
      if (status === 403 || status === 400) counts.refused++;
      else counts.served++;
    }
    assert.ok(counts.refused > 0 && counts.served > 0, JSON.stringify(counts));
  });

  it("change with a reload, or stay if they are wrong", async () => {
    const file = join(server.dir, "edgicorn.config.json");
    writeFileSync(file, JSON.stringify({ rules: [{ path: "/admin/*", deny: "127.0.0.1" }] }));
    server.kill("SIGHUP");
    const refused = await server.until(({ msg }) => msg?.includes("rules[0].path") === true);
    assert.match(
      refused.msg ?? "",
      /expected "\/admin\/\*\*" \(all below it\) or "\/admin\/:name"/,
    );
    // The server may have ended the idle connection during a slow reload.
    connection = await server.connect();
    assert.equal((await ask("GET /admin")).status, 403);
    writeFileSync(file, JSON.stringify({ rules: [{ path: "/x", respond: { body: "new" } }] }));
    server.kill("SIGHUP");
    await server.until(({ msg }) => msg?.startsWith("reloaded") === true);
    connection = await server.connect();
    assert.equal(String((await ask("GET /x")).body), "new");
    assert.equal(String((await ask("GET /admin/secret.txt")).body), "SECRET");
  });
});

const SEGMENTS = ["admin", "%61dmin", "ADMIN", "secret.txt", "x", "..", ".", "%2e%2E", ".%2e", ""];
const SEPARATORS = ["/", "/", "/", "//", "%2f", "%2F", "%5c", "\\", "/./", "/%2e/"];

/** Writes `_redirects` in one step, as deployments do: the server must not see an empty file in between. */
function replaceRedirects({ dir, publicDir }: TestServer, text: string): void {
  writeFileSync(join(dir, "next"), text);
  renameSync(join(dir, "next"), join(publicDir, "_redirects"));
}

/** Returns a generator of whole numbers below a limit (mulberry32). */
function createRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}
