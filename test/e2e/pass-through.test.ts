import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { explanationSchema } from "../../runtime/control/explanation-schema.ts";
import { askControl } from "../../runtime/control/control-client.ts";
import { fieldValue, send, type Sent } from "../helpers/send.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { startUpstream } from "../helpers/upstreams.ts";

const SMALL = randomBytes(10_000);
const LARGE = randomBytes(3 * 1024 * 1024);
/** More than all buffers on the way to an upstream and back hold. */
const ECHOED = randomBytes(12 * 1024 * 1024);

const owner = new SuiteOwner();
let server: TestServer;

/** Fails as the last name of the path says. */
const FAILING = `async (request, { passThroughOnException, waitUntil, log }) => {
  const how = new URL(request.url).pathname.split("/").at(-1);
  if (how !== "without") passThroughOnException();
  if (how === "fine") return new Response("handler");
  if (how === "reads") await request.arrayBuffer();
  if (how === "part") await request.body.getReader().read();
  if (how === "value") return 5;
  if (how === "used") { const response = new Response("x"); await response.text(); return response; }
  if (how === "thrown") throw new Response("thrown", { status: 418 });
  if (how === "later") waitUntil(new Promise((resolve) => setImmediate(resolve)).then(() => log.info("work went on")));
  if (how === "begun") {
    let turn = 0;
    return new Response(new ReadableStream({
      pull(controller) {
        if (turn++ === 0) controller.enqueue(new TextEncoder().encode("begun"));
        else controller.error(new Error("in the stream"));
      },
    }));
  }
  throw new Error("inside");
}`;

before(async () => {
  const upstream = await startUpstream(owner, (request, response) => {
    if (request.url?.includes("/echo/") === true) {
      response.writeHead(203).flushHeaders();
      request.pipe(response);
      return;
    }
    const hash = createHash("sha256");
    request.on("data", (bytes: Buffer) => hash.update(bytes));
    request.on("end", () => {
      const { method, url } = request;
      const fields = { "cache-control": "public, max-age=600" };
      response.writeHead(203, fields).end(`${method} ${url} ${hash.digest("hex")}`);
    });
  });
  const one = `export default ${FAILING};`;
  server = await startServer(owner, {
    handlers: {
      "[...path].ts": one,
      "_middleware.ts": `export default (request, context, next) => next();`,
      "spooled/echo/[name].ts": `export const config = { overflow: "spool" };\n${one}`,
      "spooled/[name].ts": `export const config = { overflow: "spool" };\n${one}`,
      "checks/[name].ts": `export const config = { cache: true };\n${one}`,
      "cached/[name].ts": `export const config = { cache: true };
        let asked = 0;
        export default (request, { passThroughOnException }) => {
          passThroughOnException();
          if (++asked < 3) throw new Error("not yet");
          return new Response("handler " + asked, { headers: { "cache-control": "public, max-age=600" } });
        };`,
    },
    files: {
      "edgicorn.config.json": JSON.stringify({
        proxy: upstream.url,
        bodyLimit: "16mb",
        rules: [
          { path: "/staff/**", forwardAuth: { url: "/check/throws", copy: ["x-user"] } },
          { path: "/vault/**", forwardAuth: { url: "/checks/throws" } },
        ],
        sites: {
          "app.test": {
            proxy: "off",
            spa: true,
            rules: [{ path: "/staff/**", forwardAuth: { url: "/api/throws" } }],
          },
          "guard.test": { proxy: "off", spa: true },
          "bare.test": { proxy: "off" },
          "mixed.test": { proxy: upstream.url },
        },
      }),
      "sites/app.test/public/index.html": "<p>application</p>",
      "sites/app.test/public/secret/page.txt": "guarded file",
      "sites/app.test/public/_headers": "/*\n  x-of: folder\n",
      "sites/app.test/handlers/api/[name].ts": one,
      "sites/app.test/handlers/secret/_middleware.ts": `export const config = { files: true };
        export default (request, { passThroughOnException }, next) => {
          passThroughOnException();
          throw new Error("in the middleware");
        };`,
      "sites/guard.test/public/index.html": "<p>guarded application</p>",
      "sites/guard.test/public/plain.txt": "guarded file",
      "sites/guard.test/handlers/_middleware.ts": `export const config = { files: true };
        export default (request, context, next) => next();`,
      "sites/guard.test/handlers/api/[name].ts": one,
      "sites/bare.test/handlers/[name].ts": one,
      "sites/mixed.test/public/plain.txt": "file",
      "sites/mixed.test/handlers/[...path].ts": one,
      "sites/mixed.test/handlers/secret/_middleware.ts": `export const config = { files: true };
        export default (request, context, next) => next();`,
      "sites/bare.test/handlers/_error.ts": `export default (error) => new Response("error page: " + error.message);`,
    },
  });
});

after(() => owner.end());

async function ask(path: string, options: Sent = {}): Promise<[status: number, text: string]> {
  const { status, text } = await send(server.http + path, options);
  return [status, text];
}

function hashOf(body: Uint8Array | string): string {
  return createHash("sha256").update(body).digest("hex");
}

async function explain(host: string, path = "/api/x"): Promise<string> {
  const found = await askControl(join(server.dir, ".edgicorn"), {
    method: "POST",
    path: "/explain",
    timeoutMs: 60_000,
    body: { url: `http://${host}${path}`, method: "GET", fields: [] },
  });
  assert.equal(found.kind, "done");
  return JSON.stringify(explanationSchema.parse(found.kind === "done" ? found.value : null));
}

describe("passThroughOnException()", { timeout: 300_000 }, () => {
  it("lets the upstream of the site answer for a handler that fails before its response", async () => {
    for (const how of ["throws", "value", "used", "later"]) {
      const path = `/a/${how}?q=1`;
      assert.deepEqual(await ask(path), [203, `GET ${path} ${hashOf("")}`], how);
    }
    await server.until(({ msg }) => msg === "work went on");
    assert.deepEqual((await send(`${server.http}/a/throws`, { method: "HEAD" })).status, 203);
  });

  it("changes nothing for a handler that answers, or that does not ask for it", async () => {
    assert.deepEqual(await ask("/fine"), [200, "handler"]);
    assert.deepEqual(await ask("/thrown"), [418, "thrown"]);
    assert.equal((await ask("/without"))[0], 500);
  });

  it("logs the failure, who answered, and counts the request for the route", async () => {
    await ask("/logged/throws");
    const failed = await server.until(
      ({ msg, route }) => msg === "handler failed" && route === "/**:path",
    );
    assert.equal(failed["code"], "ERR_HANDLER_THREW");
    const passed = await server.until(
      ({ msg, path }) =>
        msg === "request passed on: its handler failed" && path === "/logged/throws",
    );
    assert.equal(passed["by"], "proxy");
    const line = await server.untilAccess({ path: "/logged/throws" });
    assert.deepEqual([line["status"], line["passedOn"]], [203, true]);
    assert.ok(typeof line["upstream"] === "string" && typeof line["worker"] === "number");
    assert.equal((await server.untilAccess({ path: "/fine" }))["passedOn"], undefined);
  });

  it("sends a body again that the handler has read, from memory or from disk", async () => {
    for (const how of ["reads", "throws", "part"]) {
      for (const [path, body] of [
        [`/a/${how}`, SMALL],
        [`/spooled/${how}`, LARGE],
      ] as const) {
        const expected = `POST ${path} ${hashOf(body)}`;
        assert.deepEqual(await ask(path, { method: "POST", body }), [203, expected], path);
      }
    }
  });

  it("sends the body to its end to an upstream that answers meanwhile", async () => {
    for (const [path, body] of [
      ["/echo/throws", SMALL],
      ["/spooled/echo/throws", ECHOED],
    ] as const) {
      const echo = await send(server.http + path, { method: "POST", body });
      assert.equal(echo.status, 203);
      assert.equal(hashOf(echo.body), hashOf(body), `${path}: ${echo.body.length} bytes`);
    }
  });

  it("answers 500 to a request whose body was streamed, and says why", async () => {
    const [status] = await ask("/streamed/reads", { method: "POST", body: LARGE });
    assert.equal(status, 500);
    const line = await server.until(
      ({ msg, path }) =>
        msg === "request of a failed handler not passed on" && path === "/streamed/reads",
    );
    assert.match(String(line["why"]), /^its body was streamed/);
  });

  it("takes no response back that has begun", async () => {
    // The connection breaks, or no byte had left by then.
    const status = await ask("/begun").then(
      ([found]) => found,
      () => "broken",
    );
    assert.ok(status === 500 || status === "broken", String(status));
    await server.untilAccess({ path: "/begun" });
    const passed = server.logs.filter(
      ({ msg, path }) => path === "/begun" && msg?.includes("passed on"),
    );
    assert.deepEqual(passed, []);
  });

  it("stores no answer of another part of the site as that of the handler", async () => {
    const answers = [];
    for (let round = 0; round < 4; round++) answers.push(await ask("/cached/a"));
    const upstream = [203, `GET /cached/a ${hashOf("")}`];
    assert.deepEqual(answers, [upstream, upstream, [200, "handler 3"], [200, "handler 3"]]);
    assert.equal((await server.untilAccess({ path: "/cached/a" }))["passedOn"], true);
  });

  it("shows the page of an application to a browser, with the header rules of its folder", async () => {
    const host = "app.test";
    const page = await send(`${server.http}/api/throws`, {
      headers: { host, accept: "text/html" },
    });
    assert.deepEqual([page.status, page.text], [200, "<p>application</p>"]);
    assert.equal(fieldValue(page, "x-of"), "folder");
    const data = await ask("/api/throws", { headers: { host, accept: "application/json" } });
    assert.equal(data[0], 500);
  });

  it("sends the file whose middleware failed", async () => {
    const headers = { host: "app.test" };
    assert.deepEqual(await ask("/secret/page.txt", { headers }), [200, "guarded file"]);
  });

  it("does not let a request pass whose check failed", async () => {
    assert.deepEqual(await ask("/check/throws"), [203, `GET /check/throws ${hashOf("")}`]);
    // A check by a handler, and one by a handler behind the response cache.
    for (const path of ["/staff/fine", "/vault/fine"])
      assert.equal((await ask(path))[0], 502, path);
    const headers = { host: "app.test", accept: "text/html" };
    assert.deepEqual(await ask("/api/throws", { headers }), [200, "<p>application</p>"]);
    assert.equal((await ask("/staff/x", { headers }))[0], 502);
  });

  it("answers 500 where middleware guards the page of the application", async () => {
    const headers = { host: "guard.test", accept: "text/html" };
    assert.deepEqual(await ask("/other", { headers }), [200, "<p>guarded application</p>"]);
    assert.equal((await ask("/api/throws", { headers }))[0], 500);
    assert.deepEqual(await ask("/plain.txt", { headers }), [200, "guarded file"]);
    // No middleware can be found for paths that cannot be decoded.
    for (const path of ["/%ff", "/%2f"]) assert.equal((await ask(path, { headers }))[0], 404, path);
  });

  it("leaves the answer to _error in a site without files and upstreams", async () => {
    const headers = { host: "bare.test" };
    assert.deepEqual(await ask("/throws", { headers }), [500, "error page: inside"]);
    const body = "x";
    const posted = await ask("/reads", { method: "POST", headers, body });
    assert.deepEqual(posted, [500, "error page: inside"]);
  });

  it("is explained with the route", async () => {
    assert.match(
      await explain("localhost"),
      /passThroughOnException\(\), the answer comes from proxy"/,
    );
    assert.match(await explain("app.test"), /, the answer comes from files, then spa"/);
    assert.ok(!(await explain("bare.test")).includes("passThroughOnException"));
    // Where middleware guards the files, neither a file nor the page stands in.
    assert.ok(!(await explain("guard.test")).includes("passThroughOnException"));
    assert.match(await explain("guard.test", "/plain.txt"), /, the answer comes from files"/);
    assert.match(await explain("mixed.test"), /, the answer comes from files, then proxy"/);
    const guarded = await explain("mixed.test", "/secret/x");
    assert.match(guarded, /, the answer comes from proxy"/);
  });
});
