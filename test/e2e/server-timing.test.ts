import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { shareServer } from "../helpers/shared-server.ts";

const TOKEN = "a-token-of-some-length";

const shared = shareServer({
  handlers: {
    "slow.ts": `export default async (request) => {
      await new Promise((resolve) => setTimeout(resolve, 25));
      const token = request.headers.get("x-edgicorn-timing");
      const headers = { "server-timing": "db;dur=5" };
      return Response.json({ token, fields: [...request.headers.keys()] }, { headers });
    };`,
    "stream.ts": `export default () => new Response(new ReadableStream({
      start(controller) { controller.enqueue(new TextEncoder().encode("a")); controller.close(); },
    }));`,
    "cached.ts": `export const config = { cache: true };
    export default () => new Response("cached", { headers: { "cache-control": "max-age=60" } });`,
    "throws.ts": `export default () => { throw new Error("no"); };`,
  },
  env: { EDGICORN_SERVER_TIMING_TOKEN: TOKEN },
});

/** Parses a field by the grammar of the specification: names, parameters, and values as tokens or quoted strings. */
function parse(value: string | null): Map<string, { dur: number | null; desc: string | null }> {
  const entries = (value ?? "").split(", ").map((entry) => {
    const [, name = "", rest = ""] =
      /^([!#$%&'*+.^`|~\w-]+)((?:;[a-z]+=(?:[\w.]+|"[^"]*"))*)$/.exec(entry) ?? [];
    assert.notEqual(name, "", `not a metric: ${entry}`);
    const dur = /;dur=([\d.]+)/.exec(rest)?.[1];
    const desc = /;desc="([^"]*)"/.exec(rest)?.[1] ?? null;
    return [name, { dur: dur === undefined ? null : Number(dur), desc }] as const;
  });
  return new Map(entries);
}

async function timesOf(path: string, token = TOKEN): Promise<ReturnType<typeof parse>> {
  const server = await shared();
  const response = await server.fetch(path, { headers: { "x-edgicorn-timing": token } });
  await response.arrayBuffer();
  return parse(response.headers.get("server-timing"));
}

describe("serverTimingToken", { timeout: 600_000 }, () => {
  it("tells the time of queue, channel and handler, beside the times of the handler", async () => {
    const times = await timesOf("/slow");
    assert.deepEqual([...times.keys()], ["db", "queue", "channel", "handler", "total"]);
    const [handler, total] = [times.get("handler")?.dur ?? 0, times.get("total")?.dur ?? 0];
    assert.ok(handler >= 20, `the handler waited 25 ms: ${handler}`);
    assert.ok(total >= handler - 1, `${total} ms in all, of them ${handler} in the handler`);
  });

  it("reaches no handler, and tells nothing to requests without it", async () => {
    const server = await shared();
    const headers = { "x-edgicorn-timing": TOKEN };
    const body = (await (await server.fetch("/slow", { headers })).json()) as { token: unknown };
    assert.equal(body.token, null);
    for (const token of [undefined, "wrong", `${TOKEN}x`]) {
      const fields = token === undefined ? {} : { "x-edgicorn-timing": token };
      const response = await server.fetch("/slow", { headers: fields });
      assert.equal(response.headers.get("server-timing"), "db;dur=5");
      assert.equal(response.headers.get("x-edgicorn-handler-time"), null);
      await response.arrayBuffer();
    }
  });

  it("times streams, errors and answers of the server itself", async () => {
    for (const path of ["/stream", "/throws"]) {
      assert.deepEqual([...(await timesOf(path)).keys()], ["queue", "channel", "handler", "total"]);
    }
    assert.deepEqual([...(await timesOf("/nothing")).keys()], ["total"]);
  });

  it("names the result of the cache, and stores no times", async () => {
    const server = await shared();
    await (await server.fetch("/cached")).arrayBuffer();
    const times = await timesOf("/cached");
    assert.equal(times.get("cache")?.desc, "hit");
    assert.equal(times.get("handler"), undefined);
    const response = await server.fetch("/cached");
    assert.equal(response.headers.get("server-timing"), null);
    assert.equal(await response.text(), "cached");
  });
});
