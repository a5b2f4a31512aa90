import assert from "node:assert/strict";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { withLongerLimits } from "../helpers/longer-limits.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

/** Handlers that write down what happens to them, in the order in which it does. */
const HANDLERS = {
  "_middleware.ts": `
    import { appendFileSync } from "node:fs";
    export function note(text) { appendFileSync("notes", process.pid + " " + text + "\\n"); }
    export default (request, context, next) => next();
    export async function init(env) {
      await new Promise(setImmediate);
      note("open " + env.DATABASE);
    }
    export async function dispose() {
      await new Promise(setImmediate);
      note("close");
    }`,
  "index.ts": `
    import { note } from "./_middleware.ts";
    export default {
      name: "app",
      fetch: (request, env, context) => Response.json(process.pid),
      init() { note("init of " + this.name); },
      dispose() { note("dispose of " + this.name); },
    };`,
  "slow.ts": `
    import { setTimeout as delay } from "node:timers/promises";
    import { note } from "./_middleware.ts";
    // The same function as the middleware's: it is run once.
    export { init, dispose } from "./_middleware.ts";
    export default async (request, context) => {
      note("asked");
      await delay(200);
      context.waitUntil(delay(100).then(() => note("later")));
      note("answered");
      return new Response("slow");
    };`,
};

const START = ["open main", "init of app"];
const END = ["dispose of app", "close"];

/** What each worker wrote down, in the order in which they began. */
function notesOf({ dir }: TestServer): string[][] {
  const path = join(dir, "notes");
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
  const byWorker = new Map<string, string[]>();
  for (const line of lines) {
    const [worker = "", ...words] = line.split(" ");
    byWorker.set(worker, [...(byWorker.get(worker) ?? []), words.join(" ")]);
  }
  return [...byWorker.values()];
}

describe("init() and dispose() of handlers", { timeout: 180_000 }, () => {
  const options = { handlers: HANDLERS, workers: 1, env: { DATABASE: "main" } };

  it("run before the first request and after the last one, once, at a stop", async (t) => {
    const server = await startServer(t, options);
    assert.deepEqual(notesOf(server), [START]);
    const answer = server.fetch("/slow");
    await eventually(t, () => notesOf(server)[0]?.at(-1) === "asked");
    server.kill("SIGTERM");
    assert.equal(await (await answer).text(), "slow");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assert.deepEqual(notesOf(server), [[...START, "asked", "answered", "later", ...END]]);
    assert.equal(server.stderr.includes("dispose"), false);
  });

  it("run in each worker, at a reload and when it is recycled", async (t) => {
    const flags = ["--max-requests-per-worker", "5", "--max-requests-jitter", "0"];
    const server = await startServer(t, { ...options, flags });
    appendFileSync(join(server.handlersDir, "index.ts"), "// changed\n");
    server.kill("SIGHUP");
    await server.until(({ msg }) => msg === "reloaded");
    await eventually(t, () => notesOf(server)[0]?.length === 4);
    assert.deepEqual(notesOf(server), [[...START, ...END], START]);

    for (let asked = 0; asked < 5; asked++) assert.equal((await server.fetch("/")).status, 200);
    await eventually(t, () => notesOf(server)[1]?.length === 4);
    assert.deepEqual(notesOf(server), [[...START, ...END], [...START, ...END], START]);
    server.kill("SIGTERM");
    await server.exit;
    assert.deepEqual(
      notesOf(server),
      Array.from({ length: 3 }, () => [...START, ...END]),
    );
  });

  it("end in order when a worker is recycled whose stream goes on beyond its grace", async (t) => {
    const handlers = {
      "events.ts": `
        let log;
        export default (request, context) => {
          log = context.log;
          request.signal.addEventListener("abort", () => {
            log.info({ reason: request.signal.reason.message }, "stream aborted");
          });
          const start = (controller) => controller.enqueue(new TextEncoder().encode("begun"));
          return new Response(new ReadableStream({ start, cancel: () => log.info("stream cancelled") }));
        };
        export const dispose = () => log?.info("dispose ran");`,
    };
    const { lines, response } = await withLongerLimits(
      async (grace) => {
        const limits = ["--drain-grace", grace, "--request-timeout", grace];
        const flags = ["--max-requests-per-worker", "1", "--max-requests-jitter", "0", ...limits];
        const server = await startServer(t, { handlers, workers: 1, flags });
        const stream = await server.connect();
        stream.send("GET /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        const exited = await server.until(({ msg }) => msg === "worker exited");
        assert.equal(exited["cause"], "retired");
        return { lines: server.logs, response: await stream.untilClosed() };
      },
      // A slow machine may answer 504.
      (found) =>
        /begun/.test(found.response) &&
        found.lines.some(({ msg, code }) => msg === "worker exited" && code === 0),
    );
    assert.match(response, /begun/);
    // Without its last chunk the answer is not complete.
    assert.doesNotMatch(response, /0\r\n\r\n$/);
    const told = ["requests cut off", "stream", "dispose", "worker exited"];
    const texts = lines.map(({ msg = "" }) => msg);
    assert.deepEqual(texts.filter((msg) => told.some((each) => msg.startsWith(each))).toSorted(), [
      "dispose ran",
      "requests cut off: their worker is replaced, and they took longer",
      "stream aborted",
      "stream cancelled",
      "worker exited",
    ]);
    const cut = lines.find(({ msg }) => msg?.startsWith("requests cut off"));
    assert.deepEqual([cut?.["workerId"], cut?.["exchanges"]], [1, 1]);
    const aborted = lines.find(({ msg }) => msg === "stream aborted");
    assert.equal(aborted?.["reason"], "The worker is replaced");
    const at = (text: string): number => texts.indexOf(text);
    assert.ok(at("stream aborted") < at("dispose ran"));
  });

  it("refuse a reload when init() fails, and the old workers go on", async (t) => {
    const server = await startServer(t, options);
    writeFileSync(
      join(server.handlersDir, "bad.ts"),
      "export default () => new Response();\nexport const init = () => { throw new Error('down'); };",
    );
    server.kill("SIGHUP");
    const { msg } = await server.until(({ msg: text }) => /reload refused/.test(text ?? ""));
    assert.match(msg ?? "", /handlers\/bad\.ts:2:\d+: init\(\) failed: Error: down/);
    assert.equal((await server.fetch("/")).status, 200);
    // What the new worker has opened is closed.
    await eventually(t, () => notesOf(server)[1]?.at(-1) === "close");
    assert.deepEqual(notesOf(server), [START, ["open main", "close"]]);
  });

  it("are named when they spin, or end the process", async (t) => {
    const handlers = {
      "spins.ts":
        "export default () => new Response();\nexport const dispose = () => { for (;;); };",
      "exits.ts": `
        export default () => new Response();
        export const config = { pool: "exits" };
        export const dispose = () => process.exit(5);`,
    };
    const lines = await withLongerLimits(
      async (grace) => {
        const flags = ["--drain-grace", grace];
        const server = await startServer(t, { handlers, workers: 1, flags });
        server.kill("SIGTERM");
        await server.exit;
        return server.logs.filter(({ msg }) => msg?.startsWith("dispose() of"));
      },
      (found) => found.some(({ msg }) => msg?.includes("exited with code 5") === true),
    );
    assert.ok(lines.every(({ level }) => level === "error"));
    assert.deepEqual(lines.map(({ msg = "" }) => msg).toSorted(), [
      "dispose() of handlers/exits.ts has not ended: the worker exited with code 5 meanwhile, expected it to go on (no process.exit())",
      "dispose() of handlers/spins.ts was still running when the worker was killed: expected it to end within the grace",
    ]);
  });

  it("are cut off at the grace when they hang, and the worker ends in order", async (t) => {
    const handlers = {
      "hangs.ts":
        "export default () => new Response();\nexport const dispose = () => new Promise(() => {});",
    };
    const line = await withLongerLimits(
      async (grace) => {
        const flags = ["--drain-grace", grace];
        const server = await startServer(t, { handlers, workers: 1, flags });
        const startedMs = performance.now();
        server.kill("SIGTERM");
        assert.deepEqual(await server.exit, { code: 0, signal: null });
        assert.ok(performance.now() - startedMs >= 700);
        return server.logs.find(({ msg }) => msg?.startsWith("dispose() of handlers/hangs.ts"));
      },
      // A worker that is killed at the end of the grace has another line.
      (found) => found?.msg?.includes("has not ended within the grace") === true,
    );
    assert.match(line?.msg ?? "", /has not ended within the grace/);
    assert.equal(line?.["level"], "error");
  });
});
