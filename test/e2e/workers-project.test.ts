import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { runCommand } from "../helpers/run-command.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { WebSocketClient } from "../helpers/web-socket-client.ts";

const PROJECT = join(import.meta.dirname, "../fixtures/workers-project");

/** Returns the files below a folder of the project. */
function filesOf(folder: string): Record<string, string> {
  const dir = join(PROJECT, folder);
  const names = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(dir.length + 1));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(dir, name), "utf8")]));
}

/** Handlers beside the project, for facts that its own code does not show. */
const PROBES = {
  "probe/env.ts": `import { env, waitUntil, RpcTarget } from "cloudflare:workers";
    const early = [env.TITLE, typeof env.GUESTS.get];
    export default (request, context) => {
      waitUntil(env.GUESTS.put("by-wait-until", "yes"));
      return Response.json([early, Object.keys(env).includes("TITLE"), "ADMIN_TOKEN" in env, env.nothing === undefined,
        Reflect.set(env, "TITLE", "x"), context.env.TITLE === env.TITLE, new RpcTarget() instanceof RpcTarget, request.cf]);
    };`,
  "probe/kv/[key].ts": `export default async (request, { env, params }) => new Response(await env.GUESTS.get(params.key));`,
  "probe/reject.ts": `let seen = null;
    addEventListener("unhandledrejection", (event) => { seen = event.reason; event.preventDefault(); });
    export default (request) => {
      if (request.method === "POST") void Promise.reject("expected");
      return Response.json(seen);
    };`,
  "probe/report.ts": `export default () => { reportError(new Error("to the log")); return new Response("goes on"); };`,
  "probe/breaks.ts": `export default () => new HTMLRewriter().on("b", { element() { throw new Error("too late") } })
    .transform(new Response("<p>first</p>".repeat(9) + "<b>", { headers: { "content-type": "text/html" } }));`,
  "_rooms.ts": `import { DurableObject } from "cloudflare:workers"; export class Room extends DurableObject {}`,
  "probe/rooms.ts": `export { Room } from "../_rooms.ts"; export default () => new Response("no rooms");`,
};

describe("a project for Cloudflare Workers", { timeout: 300_000 }, () => {
  const owner = new SuiteOwner();
  after(() => owner.end());
  let shared: Promise<TestServer> | null = null;
  const start = (): Promise<TestServer> =>
    (shared ??= startServer(owner, {
      handlers: { ...filesOf("handlers"), ...PROBES },
      public: filesOf("public"),
      files: {
        ...Object.fromEntries(
          Object.entries(filesOf("src")).map(([name, text]) => [`src/${name}`, text]),
        ),
        "secrets/admin-token": readFileSync(join(PROJECT, "secrets/admin-token"), "utf8"),
        "edgicorn.config.ts": readFileSync(join(PROJECT, "edgicorn.config.ts"), "utf8"),
        "tsconfig.json": readFileSync(join(PROJECT, "tsconfig.json"), "utf8"),
      },
    }));

  it("answers with KV, HTMLRewriter, assets and routes", async (t) => {
    const server = await start();
    const put = (name: string, body: string): Promise<Response> =>
      server.fetch(`/guests/${name}`, { method: "PUT", body });
    const first = await put("Ann%20%26%20Bo", "hello <b>");
    assert.deepEqual(
      [first.status, await first.json()],
      [201, { name: "Ann & Bo", text: "hello <b>", country: "unknown" }],
    );
    assert.equal((await put("Cy", "hi")).status, 201);
    let html = "";
    // The name of the last guest is written by a promise that outlives the answer to PUT.
    await eventually(t, async () => {
      const page = await server.fetch("/");
      assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
      html = await page.text();
      return html.includes("The last one");
    });
    assert.match(html, /<title>Guests &amp; friends<\/title>/);
    assert.match(html, /<h1>Guests &amp; friends<\/h1>/);
    assert.match(html, /<ul id="guests"><li><b><\/b>: Ann &amp; Bo says hello &lt;b&gt;<\/li>/);
    assert.match(html, /Cy says hi<\/li><\/ul>/);
    assert.match(html, /<a href="#(?:Cy|Ann & Bo)">The last one<\/a>/);
    assert.match(await (await server.fetch("/style.css")).text(), /teal/);
    assert.equal((await server.fetch("/guests/x")).status, 405);
    assert.equal((await server.fetch("/elsewhere")).status, 404);
    const refused = await server.fetch("/export", { headers: { authorization: "Bearer wrong" } });
    assert.equal(refused.status, 403);
    const headers = { authorization: "Bearer only-for-the-test" };
    const exported = await server.fetch("/export", { headers });
    const bytes = Buffer.from(await exported.arrayBuffer());
    assert.equal(exported.headers.get("content-length"), String(bytes.length));
    assert.equal(
      exported.headers.get("x-sha256"),
      createHash("sha256").update(bytes).digest("hex"),
    );
    assert.equal((JSON.parse(String(bytes)) as unknown[]).length, 2);
  });

  it("talks over WebSockets", async () => {
    const server = await start();
    assert.equal((await server.fetch("/live")).status, 426);
    const socket = await WebSocketClient.open(owner, `${server.http}/live`);
    socket.send("ping");
    const { echo, guests } = JSON.parse(String(await socket.next())) as Record<string, unknown>;
    assert.deepEqual([echo, typeof guests], ["ping", "number"]);
  });

  it("runs at its times", async () => {
    const server = await start();
    const { code, stderr } = await runCommand(["cron", "run", "/**:path"], server.dir);
    assert.equal(code, 0, stderr);
    const cleaned = await server.fetch("/probe/kv/cleaned");
    assert.deepEqual(await cleaned.json(), { removed: 0, cron: "0 4 * * *" });
  });

  it("finds env, waitUntil and cf without a request's own env", async (t) => {
    const server = await start();
    const answer = await server.fetch("/probe/env");
    assert.deepEqual(await answer.json(), [
      ["Guests & friends", "function"],
      true,
      true,
      true,
      false,
      true,
      true,
      { httpProtocol: "HTTP/1.1" },
    ]);
    // The promise may settle after the answer has left.
    await eventually(
      t,
      async () => (await (await server.fetch("/probe/kv/by-wait-until")).text()) === "yes",
    );
  });

  it("listens to rejections, and reports errors", async () => {
    const server = await start();
    await server.fetch("/probe/reject", { method: "POST" });
    assert.equal(await (await server.fetch("/probe/reject")).json(), "expected");
    assert.ok(server.logs.every(({ msg }) => msg !== "unhandled rejection in a handler"));
    assert.equal(await (await server.fetch("/probe/report")).text(), "goes on");
    const line = await server.until(({ msg }) => msg === "error reported in a handler");
    assert.match(JSON.stringify(line["err"]), /to the log/);
  });

  it("answers 500 when a handler of HTMLRewriter fails before the first byte, and logs the error", async () => {
    const server = await start();
    const answer = await server.fetch("/probe/breaks");
    assert.deepEqual([answer.status, await answer.text()], [500, "Internal Server Error\n"]);
    const line = await server.until(({ msg }) => msg === "response stream failed");
    assert.match(JSON.stringify(line["err"]), /too late/);
    assert.equal((await server.fetch("/probe/report")).status, 200);
  });

  it("is told of classes that the server makes no objects of", async () => {
    const server = await start();
    const line = await server.until(({ msg }) => /exports class Room/.test(msg ?? ""));
    assert.match(line.msg ?? "", /Durable Objects/);
  });
});
