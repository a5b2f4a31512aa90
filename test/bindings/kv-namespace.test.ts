import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createKvNamespace, type KvNamespace } from "../../runtime/bindings/kv-namespace.ts";
import { openEmbeddedStore } from "../../runtime/stores/embedded-store.ts";
import { type Owner, temporaryFolder } from "../helpers/temporary-folder.ts";

async function open(t: Owner): Promise<{ kv: KvNamespace; pass: (seconds: number) => void }> {
  let nowMs = 1_800_000_000_000;
  const now = (): number => nowMs;
  const path = join(temporaryFolder(t), "main.lmdb");
  const store = await openEmbeddedStore({ path, durability: "process", timeoutMs: 60_000, now });
  t.after(() => store.close());
  const pass = (seconds: number): void => {
    nowMs += seconds * 1_000;
  };
  return { kv: createKvNamespace(store, { space: "kv:test", now }), pass };
}

describe("createKvNamespace()", { timeout: 60_000 }, () => {
  it("returns values in each type", async (t) => {
    const { kv } = await open(t);
    await kv.put("k", '{"a":[1,"é"]}');
    assert.equal(await kv.get("k"), '{"a":[1,"é"]}');
    assert.deepEqual(await kv.get("k", "json"), { a: [1, "é"] });
    assert.deepEqual(await kv.get("k", { type: "json", cacheTtl: 60 }), { a: [1, "é"] });
    const bytes = await kv.get("k", "arrayBuffer");
    assert.equal(Buffer.from(bytes ?? new ArrayBuffer(0)).toString(), '{"a":[1,"é"]}');
    assert.equal(await new Response(await kv.get("k", "stream")).text(), '{"a":[1,"é"]}');
    for (const type of ["text", "json", "arrayBuffer", "stream"] as const) {
      assert.equal((await kv.getWithMetadata("none", type)).value, null);
    }
    await kv.put("bad", "{");
    await assert.rejects(kv.get("bad", "json"), /Cannot get "bad": found no JSON/);
  });

  it("stores text, buffers, views and streams", async (t) => {
    const { kv } = await open(t);
    const bytes = Uint8Array.of(0, 1, 2, 255);
    await kv.put("buffer", bytes.buffer);
    await kv.put("view", new DataView(bytes.buffer, 1, 2));
    await kv.put("stream", new Blob([bytes, bytes]).stream() as ReadableStream<Uint8Array>);
    const read = async (key: string): Promise<number[]> => [
      ...new Uint8Array((await kv.get(key, "arrayBuffer")) ?? new ArrayBuffer(0)),
    ];
    assert.deepEqual(await read("buffer"), [0, 1, 2, 255]);
    assert.deepEqual(await read("view"), [1, 2]);
    assert.deepEqual(await read("stream"), [0, 1, 2, 255, 0, 1, 2, 255]);
  });

  it("keeps metadata and a version", async (t) => {
    const { kv } = await open(t);
    const version = await kv.put("k", "v", { metadata: { by: "me" } });
    const found = await kv.getWithMetadata("k");
    assert.deepEqual(found, { value: "v", metadata: { by: "me" }, version, cacheStatus: null });
    await kv.put("k", "w");
    assert.equal((await kv.getWithMetadata("k")).metadata, null);
  });

  it("writes and removes by comparing the version", async (t) => {
    const { kv } = await open(t);
    const first = await kv.put("k", "1", { ifVersion: null });
    assert.equal(await kv.put("k", "2", { ifVersion: null }), null);
    const second = await kv.put("k", "2", { ifVersion: first });
    assert.equal(await kv.put("k", "3", { ifVersion: first }), null);
    assert.equal(await kv.delete("k", { ifVersion: first ?? "" }), false);
    assert.equal(await kv.get("k"), "2");
    assert.equal(await kv.delete("k", { ifVersion: second ?? "" }), true);
    assert.equal(await kv.delete("k"), false);
  });

  it("lets entries expire", async (t) => {
    const { kv, pass } = await open(t);
    await kv.put("ttl", "1", { expirationTtl: 60 });
    await kv.put("at", "2", { expiration: 1_800_000_000 + 120 });
    const { keys } = await kv.list();
    assert.deepEqual(keys, [
      { name: "at", expiration: 1_800_000_120 },
      { name: "ttl", expiration: 1_800_000_060 },
    ]);
    pass(60);
    assert.equal(await kv.get("ttl"), null);
    assert.equal(await kv.get("at"), "2");
    pass(60);
    assert.deepEqual((await kv.list()).keys, []);
  });

  it("lists keys in pages", async (t) => {
    const { kv } = await open(t);
    const names = Array.from({ length: 25 }, (_, at) => `a/${String(at).padStart(2, "0")}`);
    await Promise.all(names.map((name) => kv.put(name, "x", { metadata: name })));
    await kv.put("b/1", "x");
    const found: string[] = [];
    let cursor: string | null = null;
    for (let pages = 1; ; pages += 1) {
      const page = await kv.list({ prefix: "a/", limit: 10, cursor });
      found.push(...page.keys.map(({ name }) => name));
      for (const { name, metadata } of page.keys) assert.equal(metadata, name);
      assert.equal(page.list_complete, pages === 3);
      assert.equal(page.cursor === undefined, page.list_complete);
      if (page.cursor === undefined) break;
      cursor = page.cursor;
    }
    assert.deepEqual(found, names);
    assert.equal((await kv.list({ prefix: "a/", limit: 25 })).list_complete, true);
  });

  it("refuses wrong arguments", async (t) => {
    const { kv } = await open(t);
    const wrong: [RegExp, () => Promise<unknown>][] = [
      [/the key ""/, () => kv.get("")],
      [/the key "\.\."/, () => kv.put("..", "x")],
      [/key of 514 bytes, expected at most 512/, () => kv.get("é".repeat(257))],
      [/as "xml", expected one of text/, () => kv.getWithMetadata("k", "xml" as "text")],
      [/value of type number/, () => kv.put("k", 7 as unknown as string)],
      [/value of 26214401 bytes/, () => kv.put("k", new Uint8Array(25 * 1024 ** 2 + 1))],
      [/expirationTtl 0, expected/, () => kv.put("k", "v", { expirationTtl: 0 })],
      [/expiration 5, expected/, () => kv.put("k", "v", { expiration: 5 })],
      [/metadata of 1026 bytes/, () => kv.put("k", "v", { metadata: "x".repeat(1_024) })],
      [/metadata of function/, () => kv.put("k", "v", { metadata: () => {} })],
      [/list 0 keys/, () => kv.list({ limit: 0 })],
      [/cursor "\?"/, () => kv.list({ cursor: "?" })],
    ];
    for (const [message, run] of wrong) {
      await assert.rejects(async () => run(), { name: "TypeError", message });
    }
    assert.deepEqual((await kv.list()).keys, []);
  });
});
