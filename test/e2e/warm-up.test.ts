import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Reloads } from "../helpers/reloads.ts";
import {
  type LogLine,
  spawnServer,
  startServer,
  type StartOptions,
} from "../helpers/start-server.ts";

const CONFIG = "edgicorn.config.json";

/** Says which requests it gets. */
const TELLS = `
  export default (request, { log }) => {
    log.info({ pid: process.pid, agent: request.headers.get("user-agent"), url: request.url }, "asked");
    return new Response("hello");
  };`;

const FAILS = `export default () => new Response(null, { status: 500 });`;

function warming(paths: readonly string[], handlers: Record<string, string>): StartOptions {
  return { handlers, files: { [CONFIG]: JSON.stringify({ warmup: paths }) } };
}

describe("warm-up", { timeout: 180_000 }, () => {
  it("asks each worker before the first client", async (t) => {
    const server = await startServer(t, {
      ...warming(["/", "/a?b=c", "/nothing"], {
        "index.ts": TELLS,
        "[name].ts": TELLS.replace("hello", "other"),
        "a/[...rest].ts": TELLS,
        "nothing/x.ts": TELLS,
        "nothing.post.ts": `export default () => new Response();`,
      }),
      workers: 2,
    });
    // A worker and the primary write to the log each for themselves, so the lines tell the order by their times.
    const linesOf = (name: string): LogLine[] => server.logs.filter(({ msg }) => msg === name);
    await server.until(() => linesOf("asked").length >= 4);
    const asked = linesOf("asked");
    const [listening] = linesOf("listening");
    for (const { time } of asked) assert.ok(String(time) <= String(listening?.["time"]));
    const seen = asked.map(
      ({ pid, url, agent }) => `${String(pid)} ${String(url)} ${String(agent)}`,
    );
    const agent = "Edgicorn (warm-up)";
    const expected = [...server.workers.values()].flatMap((pid) =>
      ["/", "/a?b=c"].map((path) => `${pid} http://localhost${path} ${agent}`),
    );
    assert.deepEqual(seen.toSorted(), expected.toSorted());
  });

  it("stops a start whose handlers fail", async (t) => {
    const server = spawnServer(t, warming(["/"], { "index.ts": FAILS }));
    assert.equal((await server.exit).code, 70);
    assert.match(server.stderr, /Cannot warm up: worker \d+ answered GET \/ with 500/);
  });

  it("takes a handler that does not answer in time for one that fails", async (t) => {
    const server = spawnServer(t, {
      ...warming(["/"], { "index.ts": "export default () => new Promise(() => {});" }),
      flags: ["--request-timeout", "300ms"],
    });
    assert.equal((await server.exit).code, 70);
    assert.match(server.stderr, /answered GET \/ with 504/);
  });

  it("does not wait for a stream that never ends", async (t) => {
    const stream = `
      export default () => new Response(new ReadableStream({
        start(controller) { controller.enqueue(new TextEncoder().encode("data: 1\\n\\n")); },
      }));`;
    await startServer(t, { ...warming(["/"], { "index.ts": stream }), workers: 1 });
  });

  it("asks only new workers at a reload, and refuses it when one dies of that", async (t) => {
    const server = await startServer(t, {
      ...warming(["/", "/other"], {
        "index.ts": TELLS,
        "other.ts": `export const config = { pool: "other" }; ${TELLS}`,
      }),
      workers: 1,
    });
    const reloads = new Reloads(server);
    const seen = server.logs.length;
    writeFileSync(join(server.handlersDir, "index.ts"), `${TELLS} // changed`);
    await reloads.next();
    const asked = (): unknown[] =>
      server.logs.slice(seen).flatMap(({ msg, url }) => (msg === "asked" ? [url] : []));
    // The line of a worker may come after those of the primary.
    await server.until(() => asked().length > 0);
    writeFileSync(join(server.handlersDir, "index.ts"), `export default () => process.exit(3);`);
    assert.match(await reloads.refused(), /Cannot warm up: worker \d+ answered GET \/ with 50[23]/);
    assert.equal(await (await server.fetch("/")).text(), "hello");
    // The second one is that of the client.
    await server.until(() => asked().length > 1);
    assert.deepEqual(asked(), ["http://localhost/", `${server.http}/`]);
  });
});

describe("reloadProbe", { timeout: 180_000 }, () => {
  it("does not take limits that clients have reached for a failure of the handlers", async (t) => {
    const server = await startServer(t, {
      handlers: {
        "[name].ts": `export default () => new Response("hello");`,
        "never.ts": `export default (_, { log }) => (log.info("waits"), new Promise(() => {}));`,
      },
      workers: 1,
      flags: "--reload-probe 10 --max-requests 1 --worker-concurrency 1 --queue-limit 1".split(" "),
    });
    for (const path of ["/a", "/b", "/c", "/d", "/e", "/f"])
      await (await server.fetch(path)).text();
    const leaver = new AbortController();
    const waiting = server.fetch("/never", { signal: leaver.signal }).catch(() => {});
    await server.until(({ msg }) => msg === "waits");
    await new Reloads(server).next();
    leaver.abort();
    await waiting;
  });

  it("refuses handlers that fail where the old ones did not, in what was asked for", async (t) => {
    const server = await startServer(t, {
      handlers: { "[name].ts": `export default () => new Response("old");` },
      workers: 1,
      flags: ["--reload-probe", "10"],
    });
    const reloads = new Reloads(server);
    const broken = `
      export default (request, { log }) => {
        const { pathname, search } = new URL(request.url);
        log.info({ pathname }, "probed");
        if (pathname === "/b") throw new Error("broken for b");
        return new Response("new", { status: pathname === "/c" ? 404 : 200 });
      };`;
    writeFileSync(join(server.handlersDir, "[name].ts"), broken);
    for (const path of ["/a", "/b", "/c", "/a?secret=1"]) await (await server.fetch(path)).text();
    await (await server.fetch("/personal", { headers: { cookie: "id=1" } })).text();
    const reason = await reloads.refused();
    assert.match(reason, /GET \/b, which was answered with 200, is answered with 500/);
    assert.equal(await (await server.fetch("/b")).text(), "old");
    const probed = server.logs.filter(({ msg }) => msg === "probed");
    assert.ok(probed.every(({ pathname }) => /^\/[abc]$/.test(String(pathname))));

    writeFileSync(join(server.handlersDir, "[name].ts"), broken.replace("throw", "void"));
    await reloads.next();
    await server.until(
      ({ msg }) => msg === "GET /c was answered with 200 before, and is answered with 404 now",
    );
    assert.equal(await (await server.fetch("/b")).text(), "new");
  });
});
