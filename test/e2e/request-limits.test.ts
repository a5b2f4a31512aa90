import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HttpClient } from "../helpers/http-client.ts";
import { Reloads } from "../helpers/reloads.ts";
import { startServer } from "../helpers/start-server.ts";

function countOf(statuses: readonly number[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

describe("config.rateLimit of a handler", { timeout: 300_000 }, () => {
  it("admits exactly its rate of 200 clients at once, also across a reload", async (t) => {
    const limited = `export const config = { rateLimit: "150/day" };
      export const GET = () => new Response("a");
      export const POST = async (request) => new Response(await request.text());`;
    const server = await startServer(t, {
      handlers: {
        "index.ts": `export default () => new Response("free")`,
        "limited.ts": limited,
        "own/_middleware.ts": `export const config = { rateLimit: { requests: 3, windowMs: 3_600_000 } };
          export default (request, context, next) => next();`,
        "own/a.ts": `export default () => new Response("a")`,
        "own/b.ts": `export default () => new Response("b")`,
      },
    });
    const client = new HttpClient(t, server.http, { connections: 200 });
    const ask = async (path: string, count: number): Promise<Record<number, number>> => {
      const asked = Array.from({ length: count }, (_, at) =>
        client.request(path, at % 2 === 0 ? {} : { method: "POST", body: "x" }),
      );
      return countOf((await Promise.all(asked)).map(({ status }) => status));
    };
    assert.deepEqual(await ask("/limited", 100), { 200: 100 });
    // The reload replaces the workers. The rate stays the same.
    writeFileSync(join(server.handlersDir, "limited.ts"), limited.replace('"a"', '"changed"'));
    await new Reloads(server).next();
    assert.deepEqual(await ask("/limited", 200), { 200: 50, 429: 150 });
    const refused = await client.request("/limited");
    const { "retry-after": retryAfter, "ratelimit-policy": policy, ratelimit } = refused.headers;
    assert.equal(refused.status, 429);
    assert.equal(policy, '"150/day";q=150;w=86400');
    assert.match(String(retryAfter), /^\d+$/);
    assert.equal(ratelimit, `"150/day";r=0;t=${retryAfter}`);
    // Each route of a folder has a count of its own.
    assert.deepEqual(await ask("/own/a", 5), { 200: 3, 429: 2 });
    assert.deepEqual(await ask("/own/b", 5), { 200: 3, 429: 2 });
    assert.deepEqual(await ask("/", 20), { 200: 20 });
    // The first refusal is logged at once, and the others with a line every ten seconds.
    for (const path of ["/limited", "/own/a", "/own/b"]) {
      await server.until(({ setting, place }) => setting === "rateLimit" && place === path);
    }
    const lines = server.logs.filter(({ setting }) => setting === "rateLimit");
    const firstOf = (path: string): unknown =>
      lines.find(({ place }) => place === path)?.["refused"];
    assert.deepEqual(["/limited", "/own/a", "/own/b"].map(firstOf), [1, 1, 1]);
    assert.ok(lines.length < 20, `${lines.length} lines`);
    await server.untilAccess({ status: 429, limit: "rateLimit" });
  });
});
