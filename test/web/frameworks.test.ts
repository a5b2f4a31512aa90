import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRequest, type RequestParts } from "../../runtime/web/fast-request.ts";
import { readResponse } from "../../runtime/web/fast-response.ts";
import { parseFields } from "../../runtime/web/fields.ts";
import { installWebObjects } from "../../runtime/web/install.ts";

// As in a worker: first the globals, then the modules of the handlers.
installWebObjects();
const { Hono } = await import("hono");
const { cors } = await import("hono/cors");
const { compress } = await import("hono/compress");
const { etag } = await import("hono/etag");
const { secureHeaders } = await import("hono/secure-headers");
const { setCookie, getCookie } = await import("hono/cookie");
const { streamText } = await import("hono/streaming");
const {
  H3,
  HTTPError,
  readBody,
  getQuery,
  onResponse,
  redirect,
  toResponse,
  setCookie: setH3Cookie,
} = await import("h3");
// The types that it has are not found with Node's module resolution.
const itty = (await import("itty-router")) as unknown as {
  AutoRouter: (options: object) => IttyApp;
  cors: (options: object) => { preflight: unknown; corsify: unknown };
  error: (status: number, message: string) => Response;
  json: (data: unknown, init: object) => Response;
  withContent: unknown;
};
const srvx = await import("srvx");
const { FastResponse } = srvx;

type Fetch = (request: Request) => unknown;

interface IttyApp {
  get(path: string, handler: (request: { params: Record<string, string> }) => unknown): IttyApp;
  post(path: string, ...handlers: unknown[]): IttyApp;
  fetch: Fetch;
}

interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

/** One exchange, as a worker does it. */
async function exchange(
  fetchHandler: Fetch,
  target: string,
  parts: Partial<RequestParts> = {},
): Promise<Answer> {
  const url = `http://localhost:8080${target}`;
  const request = createRequest({
    method: "GET",
    fields: "host\nlocalhost:8080",
    body: null,
    ...parts,
    url,
  });
  const sent = readResponse(await fetchHandler(request));
  assert.notEqual(sent, null, "the handler gave no response");
  const { status = 0, fields = "", body = null } = sent ?? {};
  const bytes =
    body instanceof ReadableStream ? new Uint8Array(await new Response(body).arrayBuffer()) : body;
  return {
    status,
    headers: parseFields(fields),
    text: typeof bytes === "string" ? bytes : Buffer.from(bytes ?? "").toString(),
  };
}

function post(text: string, type: string): Partial<RequestParts> {
  const body = new TextEncoder().encode(text);
  return { method: "POST", fields: `content-type\n${type}\ncontent-length\n${body.length}`, body };
}

const FORM = "application/x-www-form-urlencoded";

describe("Hono", () => {
  const app = new Hono();
  app.use("/wrapped/*", cors({ origin: "http://a", credentials: true }), secureHeaders());
  app.use("/wrapped/*", async (c, next) => {
    await next();
    c.res = new Response(`[${await c.res.text()}]`, c.res);
    c.res.headers.append("x-wrapped", "1");
  });
  app.use("/passed/*", async (c, next) => {
    await next();
    c.res = new Response(c.res.body, c.res);
    c.header("x-passed", "1");
  });
  app.use("/etag/*", etag());
  app.use("/zip/*", compress({ threshold: 0 }));
  for (const folder of ["", "/wrapped", "/passed", "/etag", "/zip"]) {
    app.get(`${folder}/text`, (c) => c.text("hi"));
    app.get(`${folder}/html`, (c) => c.html("<p>hi"));
    app.get(`${folder}/json/:id`, (c) =>
      c.json({ id: c.req.param("id"), q: c.req.query("q") }, 201),
    );
  }
  app.get("/plain", () => new Response("plain"));
  app.get("/none", (c) => c.body(null, 204));
  app.get("/redirect", (c) => c.redirect("/text"));
  app.get("/cookies", (c) => {
    setCookie(c, "a", getCookie(c, "in") ?? "none");
    setCookie(c, "b", "2", { httpOnly: true });
    return c.text("ok", 200, { "X-Custom": "Yes" });
  });
  app.get("/stream", (c) =>
    streamText(c, async (stream) => {
      await stream.write("one ");
      await stream.write("two");
    }),
  );
  app.post("/echo", async (c) => c.json(await c.req.json()));
  app.post("/twice", async (c) => c.json([await c.req.text(), await c.req.json()]));
  app.post("/form", async (c) => c.json(await c.req.parseBody()));
  app.post("/raw", async (c) => c.text(await c.req.raw.clone().text()));
  app.get("/raw", (c) => c.text(`${c.req.raw.method} ${c.req.header("x-a")} ${c.req.raw.cache}`));
  app.get("/throws", () => {
    throw new Error("broken");
  });
  app.onError((thrown, c) => c.text(`caught ${thrown.message}`, 500));
  app.mount("/mounted", (request: Request) => new Response(new URL(request.url).pathname));
  const run: Fetch = (request) => app.fetch(request);

  it("answers text, HTML and JSON with their types", async () => {
    const text = await exchange(run, "/text");
    assert.deepEqual([text.status, text.text], [200, "hi"]);
    assert.match(text.headers.get("content-type") ?? "", /^text\/plain/);
    const html = await exchange(run, "/html");
    assert.match(html.headers.get("content-type") ?? "", /^text\/html/);
    const data = await exchange(run, "/json/7?q=x");
    assert.deepEqual([data.status, JSON.parse(data.text)], [201, { id: "7", q: "x" }]);
    assert.equal((await exchange(run, "/plain")).text, "plain");
  });

  it("answers without a body, and redirects", async () => {
    assert.deepEqual(
      [(await exchange(run, "/none")).status, (await exchange(run, "/none")).text],
      [204, ""],
    );
    const moved = await exchange(run, "/redirect");
    assert.deepEqual([moved.status, moved.headers.get("location")], [302, "/text"]);
  });

  it("lets middleware replace the response and change its headers", async () => {
    const wrapped = await exchange(run, "/wrapped/text", { fields: "origin\nhttp://a" });
    assert.equal(wrapped.text, "[hi]");
    assert.equal(wrapped.headers.get("access-control-allow-origin"), "http://a");
    assert.equal(wrapped.headers.get("x-frame-options"), "SAMEORIGIN");
    assert.equal(wrapped.headers.get("x-wrapped"), "1");
    const passed = await exchange(run, "/passed/json/1");
    assert.deepEqual(
      [passed.status, passed.text, passed.headers.get("x-passed")],
      [201, '{"id":"1"}', "1"],
    );
    assert.equal(passed.headers.get("content-type"), "application/json");
  });

  it("answers preflight requests", async () => {
    const fields = "origin\nhttp://a\naccess-control-request-method\nPUT";
    const answer = await exchange(run, "/wrapped/text", { method: "OPTIONS", fields });
    assert.deepEqual([answer.status, answer.text], [204, ""]);
    assert.match(answer.headers.get("access-control-allow-methods") ?? "", /PUT/);
  });

  it("makes entity tags, and answers 304 to them", async () => {
    const first = await exchange(run, "/etag/text");
    const tag = first.headers.get("etag") ?? "";
    assert.deepEqual([first.status, first.text, tag.length > 10], [200, "hi", true]);
    const second = await exchange(run, "/etag/text", { fields: `if-none-match\n${tag}` });
    assert.deepEqual([second.status, second.text], [304, ""]);
  });

  it("compresses", async () => {
    const answer = await exchange(run, "/zip/html", { fields: "accept-encoding\ngzip" });
    assert.equal(answer.headers.get("content-encoding"), "gzip");
  });

  it("sets cookies and fields", async () => {
    const answer = await exchange(run, "/cookies", { fields: "cookie\nin=1" });
    assert.deepEqual(answer.headers.getSetCookie(), ["a=1; Path=/", "b=2; Path=/; HttpOnly"]);
    assert.equal(answer.headers.get("x-custom"), "Yes");
  });

  it("streams", async () => {
    assert.equal((await exchange(run, "/stream")).text, "one two");
  });

  it("reads bodies in all ways", async () => {
    assert.equal(
      (await exchange(run, "/echo", post('{"a":[1]}', "application/json"))).text,
      '{"a":[1]}',
    );
    const twice = await exchange(run, "/twice", post('{"a":1}', "application/json"));
    assert.deepEqual(JSON.parse(twice.text), ['{"a":1}', { a: 1 }]);
    const form = await exchange(run, "/form", post("a=1&b=x+y", FORM));
    assert.deepEqual(JSON.parse(form.text), { a: "1", b: "x y" });
    assert.equal((await exchange(run, "/raw", post("raw", "text/plain"))).text, "raw");
  });

  it("gives handlers the request itself", async () => {
    assert.equal((await exchange(run, "/raw", { fields: "x-a\nb" })).text, "GET b default");
    assert.equal((await exchange(run, "/mounted/deep/path")).text, "/deep/path");
  });

  it("catches errors and knows what is not there", async () => {
    const broken = await exchange(run, "/throws");
    assert.deepEqual([broken.status, broken.text], [500, "caught broken"]);
    assert.equal((await exchange(run, "/missing")).status, 404);
    assert.deepEqual((await exchange(run, "/text", { method: "HEAD" })).status, 200);
  });
});

describe("h3", () => {
  const app = new H3({ silent: true });
  app.use(
    "/staged/**",
    onResponse((response) => {
      response.headers.set("x-hook", "1");
    }),
  );
  app.use(async (event, next) => {
    event.res.headers.set("x-staged", "1");
    if (event.url.pathname.startsWith("/wrapped")) {
      const value = await next();
      const response = await toResponse(value, event);
      return new Response(`[${await response.text()}]`, response);
    }
    return next();
  });
  for (const folder of ["", "/staged", "/wrapped"]) {
    app.get(`${folder}/text`, () => "hi");
    app.get(`${folder}/json/:id`, (event) => ({
      id: event.context.params?.["id"],
      q: getQuery(event)["q"],
    }));
    app.get(
      `${folder}/response`,
      () => new Response("real", { status: 202, headers: { "x-a": "1" } }),
    );
    app.get(
      `${folder}/fast`,
      () => new FastResponse("fast", { status: 203, headers: { "x-a": "2" } }),
    );
    app.get(`${folder}/static-json`, () => Response.json({ a: 1 }));
  }
  app.get("/null", () => null);
  app.get("/bytes", () => new Uint8Array([0x68, 0x69]));
  app.get("/stream", () => new Blob(["streamed"]).stream());
  app.get("/blob", () => new Blob(["blob"], { type: "text/x-blob" }));
  app.get("/redirect", () => redirect("/text", 307));
  app.get("/cookies", (event) => {
    setH3Cookie(event, "a", "1");
    setH3Cookie(event, "b", "2");
    return "ok";
  });
  app.get("/teapot", () => {
    throw new HTTPError({ status: 418, statusText: "Teapot", message: "short and stout" });
  });
  app.get("/throws", () => {
    throw new Error("inside");
  });
  app.post("/echo", async (event) => readBody(event));
  app.post("/form", async (event) => Object.fromEntries(await event.req.formData()));
  app.mount(
    "/hono",
    new Hono().get("/x", (c) => c.text("hono in h3")),
  );
  const run: Fetch = (request) => app.fetch(request);

  for (const folder of ["", "/staged", "/wrapped"]) {
    it(`sends values and responses ${folder === "" ? "as they are" : `through ${folder}`}`, async () => {
      const wrap = (text: string): string => (folder === "/wrapped" ? `[${text}]` : text);
      const text = await exchange(run, `${folder}/text`);
      assert.deepEqual(
        [text.status, text.text, text.headers.get("x-staged")],
        [200, wrap("hi"), "1"],
      );
      const data = await exchange(run, `${folder}/json/5?q=1`);
      assert.equal(data.text, wrap('{"id":"5","q":"1"}'));
      assert.match(data.headers.get("content-type") ?? "", /^application\/json/);
      const real = await exchange(run, `${folder}/response`);
      assert.deepEqual([real.status, real.text, real.headers.get("x-a")], [202, wrap("real"), "1"]);
      assert.equal(real.headers.get("x-staged"), "1");
      const fast = await exchange(run, `${folder}/fast`);
      assert.deepEqual([fast.status, fast.text, fast.headers.get("x-a")], [203, wrap("fast"), "2"]);
      assert.equal((await exchange(run, `${folder}/static-json`)).text, wrap('{"a":1}'));
      assert.equal(text.headers.get("x-hook"), folder === "/staged" ? "1" : null);
    });
  }

  it("sends nothing, bytes, streams and blobs", async () => {
    assert.deepEqual(
      [(await exchange(run, "/null")).text, (await exchange(run, "/bytes")).text],
      ["", "hi"],
    );
    assert.equal((await exchange(run, "/stream")).text, "streamed");
    const blob = await exchange(run, "/blob");
    assert.deepEqual([blob.text, blob.headers.get("content-type")], ["blob", "text/x-blob"]);
  });

  it("answers HEAD without a body, also where the handler has a response", async () => {
    for (const path of ["/text", "/response", "/fast"]) {
      const answer = await exchange(run, path, { method: "HEAD" });
      assert.deepEqual([answer.text, answer.status < 300], ["", true], path);
    }
  });

  it("redirects, sets cookies, turns errors into answers", async () => {
    const moved = await exchange(run, "/redirect");
    assert.deepEqual([moved.status, moved.headers.get("location")], [307, "/text"]);
    assert.equal((await exchange(run, "/cookies")).headers.getSetCookie().length, 2);
    const teapot = await exchange(run, "/teapot");
    assert.deepEqual([teapot.status, /stout/.test(teapot.text)], [418, true]);
    assert.equal((await exchange(run, "/throws")).status, 500);
    assert.equal((await exchange(run, "/missing")).status, 404);
  });

  it("reads bodies", async () => {
    assert.equal(
      (await exchange(run, "/echo", post('{"a":1}', "application/json"))).text,
      '{"a":1}',
    );
    assert.equal((await exchange(run, "/echo", post("a=1", FORM))).text, '{"a":"1"}');
    assert.equal((await exchange(run, "/form", post("a=1&b=2", FORM))).text, '{"a":"1","b":"2"}');
  });

  it("mounts another app with a new request for it", async () => {
    assert.equal((await exchange(run, "/hono/x")).text, "hono in h3");
  });
});

describe("itty-router", () => {
  const { preflight, corsify } = itty.cors({ origin: "http://a" });
  const app = itty.AutoRouter({});
  const crossOrigin = itty.AutoRouter({ before: [preflight], finally: [corsify] });
  crossOrigin.get("/json", () => ({ id: "5" }));
  app
    .get("/text", () => "hi")
    .get("/json/:id", ({ params }) => ({ id: params["id"] }))
    .get("/response", () => new Response("real", { status: 202, headers: { "x-a": "1" } }))
    .get("/made", () => itty.json({ a: 1 }, { headers: { "x-b": "2" } }))
    .get("/error", () => itty.error(418, "teapot"))
    .get("/throws", () => {
      throw new Error("inside");
    })
    .post("/echo", itty.withContent, ({ content }: { content: unknown }) => content);
  const run: Fetch = (request) => app.fetch(request);
  const runCrossOrigin: Fetch = (request) => crossOrigin.fetch(request);

  it("answers in all its ways", async () => {
    const data = await exchange(run, "/json/5");
    assert.deepEqual([data.status, data.text], [200, '{"id":"5"}']);
    const real = await exchange(run, "/response");
    assert.deepEqual([real.status, real.text, real.headers.get("x-a")], [202, "real", "1"]);
    const made = await exchange(run, "/made");
    assert.deepEqual([made.text, made.headers.get("x-b")], ['{"a":1}', "2"]);
    assert.match(made.headers.get("content-type") ?? "", /^application\/json/);
    assert.equal((await exchange(run, "/text")).text, '"hi"');
    assert.equal((await exchange(run, "/error")).status, 418);
    assert.equal((await exchange(run, "/throws")).status, 500);
    assert.equal((await exchange(run, "/missing")).status, 404);
  });

  it("adds cross-origin fields to what it sends", async () => {
    const data = await exchange(runCrossOrigin, "/json");
    assert.deepEqual([data.status, data.text], [200, '{"id":"5"}']);
    assert.equal(data.headers.get("access-control-allow-origin"), "http://a");
    const preflightAnswer = await exchange(runCrossOrigin, "/json", { method: "OPTIONS" });
    assert.equal(preflightAnswer.status, 204);
  });

  it("reads content, which it clones first", async () => {
    assert.equal(
      (await exchange(run, "/echo", post('{"a":1}', "application/json"))).text,
      '{"a":1}',
    );
    assert.equal((await exchange(run, "/echo", post("text", "text/plain"))).text, '"text"');
  });
});

describe("srvx", () => {
  it("has responses that are responses, made of ours", async () => {
    const response = new FastResponse("x", { status: 201 });
    assert.ok(response instanceof Response);
    assert.ok(new Response() instanceof FastResponse);
    assert.equal(readResponse(response)?.body, "x");
    assert.equal(await new FastResponse("x").clone().text(), "x");
  });

  it("may put its own Request on top of ours", async (t) => {
    const ours = globalThis.Request;
    t.after(() => {
      globalThis.Request = ours;
    });
    // Only the build for Node has it, so the types do not.
    (Reflect.get(srvx, "patchGlobalRequest") as () => void)();
    assert.notEqual(globalThis.Request, ours);
    const lazy = createRequest({
      method: "POST",
      url: "http://a/",
      fields: "a\nb",
      body: new Uint8Array([0x78]),
    });
    assert.ok(lazy instanceof Request);
    const copy = new Request(lazy, { headers: { c: "d" } });
    assert.deepEqual([copy.url, copy.headers.get("c"), await copy.text()], ["http://a/", "d", "x"]);
    // The same again is no reason to start over.
    installWebObjects();
    assert.notEqual(globalThis.Request, ours);
  });
});
