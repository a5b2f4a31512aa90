import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Owner } from "../helpers/temporary-folder.ts";
import type { Store, StoredEntry } from "../../runtime/stores/store.ts";

export interface OpenedStore {
  store: Store;
  /** Opens the same data once more, as another process does. */
  again: () => Promise<Store>;
  /** Lets this time pass for the store. */
  pass: (ms: number) => Promise<void>;
  now: () => number;
}

function entry(value: string, more: Partial<StoredEntry> = {}): StoredEntry {
  return { value: Buffer.from(value), metadata: null, expiresMs: 0, ...more };
}

function long(byte: number): Buffer {
  return Buffer.alloc(200_000, byte);
}

function text(found: { value: Uint8Array } | null): string | null {
  return found === null ? null : Buffer.from(found.value).toString();
}

/** The behaviour that every kind of store has. `open` returns a store without entries. */
export function describeStore(name: string, open: (t: Owner) => Promise<OpenedStore>): void {
  describe(name, { timeout: 300_000 }, () => {
    it("returns the value, the metadata and the time of an entry", async (t) => {
      const { store, now } = await open(t);
      assert.equal(await store.get("a", "k"), null);
      const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
      const expiresMs = now() + 60_000;
      const version = await store.put("a", "k", { value: bytes, metadata: '{"x":"é"}', expiresMs });
      assert.notEqual(version, null);
      const found = (await store.get("a", "k")) ?? assert.fail("no entry");
      assert.deepEqual(new Uint8Array(found.value), bytes);
      assert.equal(found.metadata, '{"x":"é"}');
      assert.equal(found.expiresMs, expiresMs);
      assert.equal(found.version, version);
    });

    it("keeps empty values and keys of any characters", async (t) => {
      const { store } = await open(t);
      for (const key of ["", " ", "a:b", "{x}", "é", "😀", "a\u0000b", "\n", "x".repeat(512)]) {
        await store.put("a", key, entry(""));
        assert.equal(text(await store.get("a", key)), "", JSON.stringify(key));
      }
      assert.equal((await store.list("a", { prefix: "", after: null, limit: 99 })).length, 9);
    });

    it("replaces and removes entries, each time with another version", async (t) => {
      const { store } = await open(t);
      const first = await store.put("a", "k", entry("1", { metadata: "1" }));
      const second = await store.put("a", "k", entry("2"));
      assert.notEqual(first, second);
      assert.equal((await store.get("a", "k"))?.metadata, null);
      assert.equal(await store.delete("a", "k"), true);
      assert.equal(await store.delete("a", "k"), false);
      assert.equal(await store.get("a", "k"), null);
      const third = await store.put("a", "k", entry("1"));
      assert.ok(![first, second, null].includes(third));
    });

    it("writes only if the entry has the expected version", async (t) => {
      const { store } = await open(t);
      assert.equal(await store.put("a", "k", { ...entry("1"), version: "123" }), null);
      const first = await store.put("a", "k", { ...entry("1"), version: null });
      assert.notEqual(first, null);
      assert.equal(await store.put("a", "k", { ...entry("2"), version: null }), null);
      assert.equal(text(await store.get("a", "k")), "1");
      const second = await store.put("a", "k", { ...entry("2"), version: first });
      assert.equal(await store.put("a", "k", { ...entry("3"), version: first }), null);
      assert.equal(text(await store.get("a", "k")), "2");
      assert.equal(await store.delete("a", "k", first ?? ""), false);
      assert.equal(await store.delete("a", "k", second ?? ""), true);
    });

    it("counts the keys of a range", async (t) => {
      const { store } = await open(t);
      assert.equal(await store.count("a", { from: "", before: "z" }), 0);
      for (const key of ["a", "b", "ba", "c", "é"]) await store.put("a", key, entry("1"));
      await store.put("other", "b", entry("1"));
      assert.equal(await store.count("a", { from: "b", before: "c" }), 2);
      assert.equal(await store.count("a", { from: "b", before: "d" }), 3);
      assert.equal(await store.count("a", { from: "d", before: "z" }), 0);
      await store.delete("a", "b");
      assert.equal(await store.count("a", { from: "b", before: "c" }), 1);
    });

    it("lets one of many writers win", async (t) => {
      const { store, again } = await open(t);
      const stores = [store, await again(), await again()];
      const results = await Promise.all(
        Array.from({ length: 30 }, (_, at) =>
          (stores[at % 3] ?? store).put("a", "k", { ...entry(String(at)), version: null }),
        ),
      );
      const winners = results.flatMap((version, at) => (version === null ? [] : [at]));
      assert.equal(winners.length, 1);
      assert.equal(text(await store.get("a", "k")), String(winners[0]));
    });

    it("moves an entry in one step", async (t) => {
      const { store } = await open(t);
      const version = (await store.put("a", "1", entry("x"))) ?? assert.fail("not written");
      assert.equal(
        await store.move("a", { key: "1", version: "9" }, { key: "2", ...entry("y") }),
        null,
      );
      assert.equal(await store.get("a", "2"), null);
      const moved = await store.move("a", { key: "1", version }, { key: "2", ...entry("y") });
      assert.equal(await store.get("a", "1"), null);
      assert.equal((await store.get("a", "2"))?.version, moved);
      assert.equal(await store.move("a", { key: "1", version }, { key: "3", ...entry("z") }), null);
      const same = await store.move(
        "a",
        { key: "2", version: moved ?? "" },
        { key: "2", ...entry("w") },
      );
      assert.notEqual(same, null);
      assert.equal(text(await store.get("a", "2")), "w");
      const all = await store.list("a", { prefix: "", after: null, limit: 9 });
      assert.deepEqual(
        all.map(({ key }) => key),
        ["2"],
      );
    });

    it("forgets entries when they expire", async (t) => {
      const { store, pass, now } = await open(t);
      await store.put("a", "soon", entry("1", { expiresMs: now() + 300 }));
      await store.put("a", "later", entry("2", { expiresMs: now() + 600_000 }));
      // Again if a busy machine was late, so that the entry had expired before its next version came.
      let kept: string | null = null;
      while (kept === null) {
        const version = await store.put("a", "kept", entry("3", { expiresMs: now() + 300 }));
        kept = await store.put("a", "kept", { ...entry("3"), version });
      }
      await store.add("a", "sum", { by: 5, expiresMs: now() + 300 });
      await pass(400);
      assert.equal(await store.get("a", "soon"), null);
      assert.equal(await store.delete("a", "soon"), false);
      assert.equal(text(await store.get("a", "later")), "2");
      assert.equal(text(await store.get("a", "kept")), "3");
      const left = await store.list("a", { prefix: "", after: null, limit: 9 });
      assert.deepEqual(
        left.map(({ key }) => key),
        ["kept", "later"],
      );
      assert.notEqual(await store.put("a", "soon", { ...entry("4"), version: null }), null);
      assert.equal(text(await store.get("a", "soon")), "4");
      assert.equal(await store.add("a", "sum", { by: 1, expiresMs: 0 }), 1);
    });

    it("counts the time of an entry from its write, by its own clock", async (t) => {
      const { store, pass, now } = await open(t);
      const fresh = { value: Buffer.from("1"), metadata: null };
      const beforeMs = now();
      await store.put("a", "put", { ...fresh, ttlMs: 600_000 });
      await store.add("a", "sum", { by: 1, ttlMs: 600_000 });
      const version = (await store.put("a", "from", entry("1"))) ?? assert.fail("not written");
      await store.move("a", { key: "from", version }, { key: "to", ...fresh, ttlMs: 600_000 });
      const afterMs = now();
      for (const key of ["put", "sum", "to"]) {
        // oxlint-disable-next-line no-await-in-loop -- One after the other.
        const { expiresMs } = (await store.get("a", key)) ?? assert.fail(`no ${key}`);
        assert.ok(expiresMs >= beforeMs + 600_000 && expiresMs <= afterMs + 600_000, key);
      }
      await store.put("a", "soon", { ...fresh, ttlMs: 300 });
      await store.add("a", "sum soon", { by: 5, ttlMs: 300 });
      // An entry that is there keeps its time.
      assert.equal(await store.add("a", "sum", { by: 5, ttlMs: 1 }), 6);
      await pass(400);
      assert.equal(await store.get("a", "soon"), null);
      const left = await store.list("a", { prefix: "", after: null, limit: 9 });
      assert.deepEqual(
        left.map(({ key }) => key),
        ["put", "sum", "to"],
      );
    });

    it("lists keys in the order of their bytes, in pages", async (t) => {
      const { store } = await open(t);
      const keys = [
        "b",
        "a",
        "aa",
        "a\u0000",
        "B",
        "é",
        "z",
        "😀",
        "\uffff",
        "ab/1",
        "ab/2",
        "ab0",
      ];
      await Promise.all(
        keys.map((key) => store.put("a", key, entry(key, { metadata: `"${key}"` }))),
      );
      await store.put("a2", "other", entry("space"));
      await store.put("", "other", entry("space"));
      const sorted = keys.toSorted((one, other) =>
        Buffer.compare(Buffer.from(one), Buffer.from(other)),
      );
      const found: string[] = [];
      for (let after: string | null = null; ;) {
        const page = await store.list("a", { prefix: "", after, limit: 5 });
        found.push(...page.map(({ key }) => key));
        for (const { key, ...each } of page) assert.equal(text(each), key);
        if (page.length < 5) break;
        after = page.at(-1)?.key ?? null;
      }
      assert.deepEqual(found, sorted);
      const under = await store.list("a", { prefix: "ab/", after: null, limit: 9 });
      assert.deepEqual(
        under.map(({ key }) => key),
        ["ab/1", "ab/2"],
      );
      const rest = await store.list("a", { prefix: "ab/", after: "ab/1", limit: 9 });
      assert.deepEqual(
        rest.map(({ key }) => key),
        ["ab/2"],
      );
      assert.equal(under[0]?.metadata, '"ab/1"');
      assert.notEqual(under[0]?.version, undefined);
    });

    it("adds without losing a sum, in several processes at a time", async (t) => {
      const { store, again } = await open(t);
      const stores = [store, await again(), await again()];
      const sums = await Promise.all(
        Array.from({ length: 90 }, (_, at) =>
          (stores[at % 3] ?? store).add("a", "n", { by: 2, expiresMs: 0 }),
        ),
      );
      assert.deepEqual(
        sums.toSorted((one, other) => one - other),
        Array.from({ length: 90 }, (_, at) => 2 * (at + 1)),
      );
      assert.equal(await store.add("a", "n", { by: -180, expiresMs: 0 }), 0);
      assert.equal(text(await store.get("a", "n")), "0");
      await store.put("a", "text", entry("no number"));
      await assert.rejects(store.add("a", "text", { by: 1, expiresMs: 0 }), /whole number/);
    });

    it("keeps nothing of a write whose time has passed", async (t) => {
      const { store, now } = await open(t);
      const expiresMs = now() - 1_000;
      assert.equal(await store.add("a", "sum", { by: 5, expiresMs }), 5);
      assert.equal(await store.get("a", "sum"), null);
      assert.equal(await store.add("a", "sum", { by: 3, expiresMs }), 3);
      assert.notEqual(await store.put("a", "k", entry("1", { expiresMs })), null);
      assert.equal(await store.get("a", "k"), null);
      const version = (await store.put("a", "from", entry("1"))) ?? assert.fail("not written");
      await store.move("a", { key: "from", version }, { key: "to", ...entry("1", { expiresMs }) });
      assert.deepEqual(await store.list("a", { prefix: "", after: null, limit: 9 }), []);
      assert.equal(await store.add("a", "sum", { by: 2, expiresMs: 0 }), 2);
    });

    it("keeps long values, and lists entries without their values", async (t) => {
      const { store } = await open(t);
      const read = async (key: string): Promise<Buffer> =>
        Buffer.from((await store.get("a", key))?.value ?? []);
      const own = long(1);
      const written = store.put("a", "long", { value: own, metadata: '"m"', expiresMs: 0 });
      const version = (await written) ?? assert.fail("not written");
      own.fill(9);
      assert.deepEqual(await read("long"), long(1));
      await store.put("a", "short", entry("1"));
      const range = { prefix: "", after: null, limit: 9 };
      const bare = await store.list("a", { ...range, withoutValues: true });
      assert.deepEqual(
        bare.map(({ key, value, metadata }) => [key, value.length, metadata]),
        [
          ["long", 0, '"m"'],
          ["short", 0, null],
        ],
      );
      assert.equal(bare[0]?.version, version);
      const whole = await store.list("a", range);
      assert.deepEqual(
        whole.map(({ value }) => value.length),
        [200_000, 1],
      );
      await store.put("a", "long", entry("2"));
      assert.equal((await read("long")).toString(), "2");
      const again = await store.put("a", "long", { ...entry(""), value: long(3) });
      await store.move("a", { key: "long", version: again ?? "" }, { key: "moved", ...entry("4") });
      assert.equal(await store.get("a", "long"), null);
      await store.put("a", "long", { ...entry(""), value: long(5) });
      assert.equal(await store.delete("a", "long"), true);
      await store.put("a", "long", entry("6"));
      assert.deepEqual([(await read("long")).length, (await read("moved")).length], [1, 1]);
    });

    it("ends the writes in flight before it closes", async (t) => {
      const { store, again } = await open(t);
      const writes = Array.from({ length: 20 }, (_, at) => store.put("a", `k${at}`, entry("1")));
      const closed = store.close();
      await assert.rejects(store.put("a", "late", entry("1")), /closed/);
      await closed;
      for (const version of await Promise.all(writes)) assert.notEqual(version, null);
      const other = await again();
      assert.equal((await other.list("a", { prefix: "", after: null, limit: 99 })).length, 20);
    });

    it("has its entries when it is opened again", async (t) => {
      const { store, again } = await open(t);
      await store.put("a", "k", entry("1"));
      const other = await again();
      assert.equal(text(await other.get("a", "k")), "1");
      await other.put("a", "k", entry("2"));
      assert.equal(text(await store.get("a", "k")), "2");
      await store.close();
      await assert.rejects(store.get("a", "k"), /closed/);
      assert.equal(text(await other.get("a", "k")), "2");
    });
  });
}
