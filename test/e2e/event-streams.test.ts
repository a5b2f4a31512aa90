import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Reloads } from "../helpers/reloads.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

const NEWS = `
export const GET = (request, context) =>
  context.sse(["news", "weather"], { first: "hello", headers: { "x-own": "yes" } });
export async function POST(request, context) {
  context.publish("news", await request.text());
  return new Response(String(process.pid));
}
`;

/** Reads the events of a stream one by one. */
async function openEvents(
  server: TestServer,
): Promise<{ response: Response; next: () => Promise<string | null> }> {
  const response = await server.fetch("/news");
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.ok(reader !== undefined);
  let text = "";
  const next = async (): Promise<string | null> => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end !== -1) {
        const event = text.slice(0, end);
        text = text.slice(end + 2);
        // A silent stream has comments.
        if (!event.startsWith(":")) return event;
        continue;
      }
      const { done, value } = await reader.read();
      if (done) return null;
      text += value;
    }
  };
  return { response, next };
}

describe("context.sse()", { timeout: 300_000 }, () => {
  it("sends what handlers publish, across killed workers and reloads, and ends at a stop", async (t) => {
    const server = await startServer(t, {
      handlers: { "news.ts": NEWS },
      workers: 2,
      flags: ["--access-log", "off"],
    });
    const publish = async (body: string): Promise<string> =>
      (await server.fetch("/news", { method: "POST", body })).text();
    const head = await server.fetch("/news", { method: "HEAD" });
    assert.deepEqual(
      [head.status, head.headers.get("content-type"), await head.text()],
      [200, "text/event-stream", ""],
    );
    const clients = await Promise.all([openEvents(server), openEvents(server)]);
    for (const { response, next } of clients) {
      assert.equal(response.headers.get("content-type"), "text/event-stream");
      assert.equal(response.headers.get("x-own"), "yes");
      assert.equal(await next(), "data: hello");
    }
    const heard = async (): Promise<(string | null)[]> =>
      Promise.all(clients.map(({ next }) => next()));
    await publish("one\ntwo");
    assert.deepEqual(await heard(), ["data: one\ndata: two", "data: one\ndata: two"]);

    for (const pid of server.workers.values()) {
      process.kill(pid, "SIGKILL");
      await server.until(
        ({ msg, workerPid }) => msg?.startsWith("worker exited") === true && workerPid === pid,
      );
    }
    await publish("after the kill");
    assert.deepEqual(await heard(), ["data: after the kill", "data: after the kill"]);

    writeFileSync(join(server.handlersDir, "news.ts"), `${NEWS}// changed\n`);
    await new Reloads(server).next();
    await publish("after the reload");
    assert.deepEqual(await heard(), ["data: after the reload", "data: after the reload"]);

    server.kill("SIGTERM");
    assert.deepEqual(await heard(), [null, null]);
    assert.equal((await server.exit).code, 0);
    const cutOff = server.logs.filter(({ msg }) => msg?.includes("cut off"));
    assert.deepEqual(cutOff, []);
  });
});
