import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { send } from "../helpers/send.ts";
import type { TestServer } from "../helpers/start-server.ts";
import { checkRecipe, fileForm, readPieces, startRecipe } from "./recipe.ts";

const POST_JSON = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: '{"name":"Zoë"}',
};

async function textOf(server: TestServer, path: string, init?: RequestInit): Promise<string> {
  return (await server.fetch(path, init)).text();
}

describe("recipes of Node-style applications", { timeout: 300_000 }, () => {
  for (const name of ["express", "express4"]) {
    it(`${name}: pages, forms, sessions, uploads, files, streams, errors`, async (t) => {
      const server = await startRecipe(t, name);

      const page = await server.fetch("/");
      assert.equal(await page.text(), "<h1>Hello from 127.0.0.1 by http as 127.0.0.1</h1>");
      assert.equal(page.headers.getSetCookie().length, 2);
      assert.equal(page.headers.get("x-powered-by"), "Express");
      const etag = page.headers.get("etag") ?? "";
      // `fetch` would add that no cache may answer.
      const again = await send(`${server.http}/`, { headers: { "if-none-match": etag } });
      assert.deepEqual([again.status, again.text], [304, ""]);
      const head = await server.fetch("/", { method: "HEAD" });
      assert.equal(head.headers.get("content-length"), "50");

      assert.equal(
        await textOf(server, "/users/caf%C3%A9?a=1&a=2"),
        '{"id":"café","query":{"a":["1","2"]}}',
      );
      const created = await server.fetch("/json", POST_JSON);
      assert.deepEqual(
        [created.status, await created.text()],
        [201, '{"received":{"name":"Zoë"}}'],
      );
      const broken = await server.fetch("/json", { ...POST_JSON, body: "{" });
      assert.equal(broken.status, 400);
      const form = new URLSearchParams({ name: "Ada" });
      const sent = await server.fetch("/form", { method: "POST", body: form, redirect: "manual" });
      assert.deepEqual([sent.status, sent.headers.get("location")], [302, "/?name=Ada"]);

      const first = await server.fetch("/visits");
      const cookie = first.headers.getSetCookie().map((text) => text.split(";")[0]);
      assert.equal(
        await textOf(server, "/visits", { headers: { cookie: cookie.join("; ") } }),
        "2",
      );

      const upload = await server.fetch("/upload", { method: "POST", body: fileForm(700_000) });
      const { size, last, note } = (await upload.json()) as Record<string, unknown>;
      assert.deepEqual([size, last, note], [700_000, 7, "zoë"]);
      const tooLarge = await server.fetch("/upload", { method: "POST", body: fileForm(900_000) });
      assert.equal(tooLarge.status, 500);

      assert.match(await textOf(server, "/page"), /A page of the application/);
      assert.match(await textOf(server, "/pipe"), /A page of the application/);
      const part = await server.fetch("/files/page.html", { headers: { range: "bytes=0-4" } });
      assert.deepEqual([part.status, await part.text()], [206, "<!doc"]);
      const download = await server.fetch("/download");
      // Express 4 writes the letter as one byte, Express 5 encodes it.
      const disposition = download.headers.get("content-disposition");
      assert.match(
        disposition ?? "",
        /^attachment; filename="na(ïve\.html"$|\?ve\.html"; filename\*=UTF-8''na%C3%AFve)/,
      );
      assert.match(await download.text(), /0123456789/);
      const zipped = await server.fetch("/zipped/large");
      assert.equal((await zipped.text()).length, 120_000);

      const events = await readPieces(await server.fetch("/events"));
      assert.equal(events.text, "id: 1\ndata: x\n\nid: 2\ndata: xx\n\nid: 3\ndata: xxx\n\n");
      assert.ok(events.pieces > 1, `${events.pieces} pieces`);
      const leaving = new AbortController();
      const endless = await server.fetch("/endless", { signal: leaving.signal });
      await endless.body?.getReader().read();
      leaving.abort();
      await waitForOutput(server, "client left /endless");

      const missing = await server.fetch("/nowhere");
      assert.deepEqual([missing.status, await missing.text()], [404, "Not Found\n"]);
      assert.equal((await server.fetch("/throws")).status, 500);
      await server.until(
        ({ msg, err }) => msg === "handler failed" && messageOf(err) === "planted",
      );
      await assert.rejects(textOf(server, "/late"));
      assert.equal(await textOf(server, "/users/1"), '{"id":"1","query":{}}');
      assert.equal(server.workers.size, 1, "no worker was lost");
    });
  }

  it("Fastify: JSON, uploads, files, streams, errors", async (t) => {
    const server = await startRecipe(t, "fastify");
    const page = await server.fetch("/");
    const { host } = new URL(server.http);
    assert.deepEqual(await page.json(), { ip: "127.0.0.1", protocol: "http", host });
    assert.deepEqual(page.headers.getSetCookie(), ["a=1", "b=2"]);
    const created = await server.fetch("/json", POST_JSON);
    assert.deepEqual([created.status, await created.text()], [201, '{"received":{"name":"Zoë"}}']);
    assert.equal((await server.fetch("/json", { ...POST_JSON, body: "{" })).status, 400);
    assert.equal(await textOf(server, "/checked?n=4"), "5");
    assert.equal((await server.fetch("/checked?n=x")).status, 400);
    const upload = await server.fetch("/upload", { method: "POST", body: fileForm(900_000) });
    assert.deepEqual(await upload.json(), { filename: "naïve.bin", size: 900_000, last: 7 });
    assert.equal(await textOf(server, "/files/a.txt", { headers: { range: "bytes=2-4" } }), "234");
    assert.equal((await readPieces(await server.fetch("/stream"))).text, "1\n2\n3\n");
    assert.equal(await textOf(server, "/hijack"), "raw");
    assert.match(await textOf(server, "/throws"), /"message":"planted"/);
    assert.equal((await server.fetch("/nowhere")).status, 404);
    assert.equal(server.workers.size, 1, "no worker was lost");
  });

  it("Koa: JSON, signed cookies, uploads, streams, errors", async (t) => {
    const server = await startRecipe(t, "koa");
    const page = await server.fetch("/?x=1");
    assert.deepEqual(await page.json(), { ip: "127.0.0.1", protocol: "http", query: { x: "1" } });
    assert.equal(page.headers.getSetCookie().length, 3);
    const created = await server.fetch("/json", POST_JSON);
    assert.deepEqual([created.status, await created.text()], [201, '{"received":{"name":"Zoë"}}']);
    const upload = await server.fetch("/upload", { method: "POST", body: fileForm(900_000) });
    assert.equal(((await upload.json()) as { size: number }).size, 900_000);
    const stream = await readPieces(await server.fetch("/stream"));
    assert.equal(stream.text, "1\n2\n3\n");
    assert.equal((await server.fetch("/empty")).status, 204);
    assert.equal((await server.fetch("/throws")).status, 500);
    await waitForOutput(server, "application error: planted");
    assert.equal((await server.fetch("/nowhere")).status, 404);
    assert.equal(server.workers.size, 1, "no worker was lost");
  });

  it("NestJS: injection, pipes, exceptions, uploads, events", async (t) => {
    const server = await startRecipe(t, "nest", { build: ["tsc"] });
    assert.equal(await textOf(server, "/"), "<h1>Hello from Nest</h1>");
    assert.equal(await textOf(server, "/cats/7"), '{"id":7}');
    assert.equal((await server.fetch("/cats/x")).status, 400);
    assert.match(await textOf(server, "/cats/10"), /no cat 10/);
    const created = await server.fetch("/cats", POST_JSON);
    assert.deepEqual([created.status, await created.text()], [201, '{"received":{"name":"Zoë"}}']);
    const upload = await server.fetch("/upload", { method: "POST", body: fileForm(900_000) });
    assert.equal(((await upload.json()) as { size: number }).size, 900_000);
    const events = await readPieces(await server.fetch("/events"));
    assert.match(events.text, /data: event 0\n\n[^]*data: event 2\n\n/);
    assert.equal(server.workers.size, 1, "no worker was lost");
  });

  it("without fromNode() the check names it, for each framework", async (t) => {
    const { code, output } = await checkRecipe(t, "unwrapped");
    assert.equal(code, 70, output);
    for (const name of ["express", "express4", "fastify", "koa", "nest"]) {
      const pattern = `handlers/${name}\\.ts:\\d+:\\d+: default export is an? \\w+ \\w+, expected "export default fromNode`;
      assert.match(output, new RegExp(pattern, "i"));
    }
  });

  it("without fromNode() a function of theirs says so when it is called", async (t) => {
    const server = await startRecipe(t, "called");
    for (const name of ["express", "fastify", "koa"]) {
      assert.equal((await server.fetch(`/${name}`)).status, 500);
      const place = `Cannot answer from handlers/${name}.ts: found a call of`;
      await server.until(({ err }) => messageOf(err).startsWith(place));
    }
  });
});

describe("recipes of Fetch applications", { timeout: 300_000 }, () => {
  it("GraphQL Yoga: queries, uploads, subscriptions, its page", async (t) => {
    const server = await startRecipe(t, "yoga");
    const ask = (query: string, headers = {}): Promise<Response> =>
      server.fetch("/graphql", {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ query }),
      });
    assert.equal(
      await textOf(server, "/graphql?query=%7Bhello%7D"),
      '{"data":{"hello":"Hello, world!"}}',
    );
    const answer = await ask('{ hello(name: "Zoë") }');
    assert.equal(await answer.text(), '{"data":{"hello":"Hello, Zoë!"}}');
    assert.match(await (await ask("{ nothing }")).text(), /Cannot query field/);
    const form = new FormData();
    const query = "mutation ($file: File!) { upload(file: $file) }";
    form.set("operations", JSON.stringify({ query, variables: { file: null } }));
    form.set("map", '{"0":["variables.file"]}');
    form.set("0", new File([new Uint8Array(500_000)], "a.bin"));
    const upload = await server.fetch("/graphql", { method: "POST", body: form });
    assert.equal(await upload.text(), '{"data":{"upload":"a.bin: 500000 bytes"}}');
    const accept = { accept: "text/event-stream" };
    const events = await readPieces(await ask("subscription { countdown(from: 2) }", accept));
    assert.match(events.text, /"countdown":2[^]*"countdown":0[^]*event: complete/);
    const page = await server.fetch("/graphql", { headers: { accept: "text/html" } });
    assert.match(await page.text(), /<title>Yoga GraphiQL<\/title>/);
    assert.equal(server.workers.size, 1, "no worker was lost");
  });

  it("tRPC: queries, mutations, batches, uploads, subscriptions", async (t) => {
    const server = await startRecipe(t, "trpc");
    const input = encodeURIComponent('{"name":"Zoë"}');
    assert.equal(
      await textOf(server, `/trpc/hello?input=${input}`, { headers: { "x-user": "ada" } }),
      '{"result":{"data":"Hello, Zoë (ada)"}}',
    );
    const batch = encodeURIComponent('{"0":{"name":"a"},"1":{"name":"b"}}');
    const answers = await textOf(server, `/trpc/hello,hello?batch=1&input=${batch}`);
    assert.match(answers, /Hello, a [^]*Hello, b /);
    assert.equal(
      await textOf(server, "/trpc/add", { ...POST_JSON, body: "[1, 2]" }),
      '{"result":{"data":3}}',
    );
    assert.equal((await server.fetch("/trpc/secret")).status, 401);
    const upload = await server.fetch("/trpc/upload", { method: "POST", body: fileForm(500_000) });
    assert.match(await upload.text(), /500000 bytes/);
    const accept = { accept: "text/event-stream" };
    const events = await readPieces(await server.fetch("/trpc/count", { headers: accept }));
    assert.match(events.text, /data: 1[^]*data: 3/);
    assert.equal(server.workers.size, 1, "no worker was lost");
  });
});

/** Waits for a line that a handler prints to standard error. */
async function waitForOutput(server: TestServer, text: string): Promise<void> {
  await server.until(({ msg }) => msg === text);
}

function messageOf(err: unknown): string {
  return typeof err === "object" && err !== null && "message" in err ? String(err.message) : "";
}
