import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type CacheKey, toKey } from "../../runtime/cache/cache-key.ts";
import { EntryIndex, type Indexed, MOST_VARIANTS } from "../../runtime/cache/entry-index.ts";
import type { EntryPlace, Purge } from "../../runtime/cache/store.ts";
import { varyValues } from "../../runtime/cache/vary-values.ts";
import { keyOf } from "./stored-heads.ts";

interface Entry extends Indexed {
  name: string;
}

function entry(
  name: string,
  key: CacheKey,
  { vary = [], fields = "", tags = [], receivedMs = 0 }: Partial<Entry> & { fields?: string } = {},
): Entry {
  return { name, key, vary, varyValues: varyValues(vary, fields), tags, receivedMs };
}

const A = keyOf("https://x.example/a");

function within({ origin }: EntryPlace): boolean {
  return origin === "https://x.example";
}

describe("EntryIndex", () => {
  it("lets the oldest variant go beyond the limit of one key", () => {
    const index = new EntryIndex<Entry>();
    for (let each = 0; each <= MOST_VARIANTS; each++) {
      const fields = `user-agent\n${each}`;
      const replaced = index.add(entry(String(each), A, { vary: ["user-agent"], fields }));
      const expected = each === MOST_VARIANTS ? ["0"] : [];
      assert.deepEqual(
        replaced?.map(({ name }) => name),
        expected,
      );
    }
    assert.equal(index.size, MOST_VARIANTS);
    assert.equal(index.find(A, "user-agent\n0"), null);
    assert.equal(index.find(A, "user-agent\n1")?.name, "1");
  });

  it("keeps the newer of two entries for one place", () => {
    const index = new EntryIndex<Entry>();
    index.add(entry("new", A, { receivedMs: 2 }));
    assert.equal(index.add(entry("old", A, { receivedMs: 1 })), null);
    assert.equal(index.find(A, "")?.name, "new");
    assert.deepEqual(
      index.add(entry("newest", A, { receivedMs: 3 }))?.map(({ name }) => name),
      ["new"],
    );
    assert.equal(index.size, 1);
  });

  const tree: [name: string, key: CacheKey, tags: string[]][] = [
    ["a", A, ["t"]],
    ["a?1", keyOf("https://x.example/a?q=1"), []],
    ["a?2", keyOf("https://x.example/a?q=2"), ["t", "u"]],
    ["ab", keyOf("https://x.example/ab"), []],
    ["a/b", keyOf("https://x.example/a/b"), ["u"]],
    ["plain", keyOf("http://x.example/a"), []],
    ["other", keyOf("https://y.example/a"), ["t"]],
    ["space", keyOf("https://x.example/a", "s"), ["t"]],
  ];
  const purges: [Purge, string[]][] = [
    [{ kind: "url", url: "https://x.example/a" }, ["a", "space"]],
    [{ kind: "url", url: "https://x.example/a", space: "" }, ["a"]],
    [{ kind: "url", url: "https://x.example/a#part", space: "" }, ["a"]],
    [{ kind: "url", url: "https://x.example/a?q=1" }, ["a?1"]],
    [{ kind: "url", url: "https://x.example/a", space: "s" }, ["space"]],
    [{ kind: "url", url: "https://x.example/none" }, []],
    [{ kind: "prefix", prefix: "https://x.example/a" }, ["a", "a/b", "a?1", "a?2", "ab", "space"]],
    [{ kind: "prefix", prefix: "https://x.example/a", space: "s" }, ["space"]],
    [
      { kind: "prefix", prefix: "https://x.example/a", space: "" },
      ["a", "a/b", "a?1", "a?2", "ab"],
    ],
    [{ kind: "prefix", prefix: "https://x.example/a?" }, ["a?1", "a?2"]],
    [{ kind: "prefix", prefix: "https://x.example/a/" }, ["a/b"]],
    [{ kind: "tag", tag: "t" }, ["a", "a?2", "other", "space"]],
    [{ kind: "tag", tag: "t", space: "" }, ["a", "a?2", "other"]],
    [{ kind: "tag", tag: "t", space: "s" }, ["space"]],
    [{ kind: "tag", tag: "none" }, []],
    [{ kind: "all", space: "s" }, ["space"]],
    [{ kind: "all", space: "" }, ["a", "a/b", "a?1", "a?2", "ab", "other", "plain"]],
    [{ kind: "all", within }, ["a", "a/b", "a?1", "a?2", "ab", "space"]],
    [{ kind: "tag", tag: "t", within }, ["a", "a?2", "space"]],
    [{ kind: "url", url: "https://y.example/a", within }, []],
    [{ kind: "all" }, ["a", "a/b", "a?1", "a?2", "ab", "other", "plain", "space"]],
  ];
  for (const [purge, expected] of purges) {
    it(`finds the entries of a purge: ${JSON.stringify(purge)}${purge.within ? " of a site" : ""}`, () => {
      const index = new EntryIndex<Entry>();
      for (const [name, key, tags] of tree) index.add(entry(name, key, { tags }));
      const found = index.covered(purge);
      assert.deepEqual(found.map(({ name }) => name).toSorted(), expected);
      for (const each of found) assert.equal(index.delete(each), true);
      assert.equal(index.size, tree.length - expected.length);
      assert.deepEqual(index.covered(purge), []);
    });
  }

  it("finds all variants, all cookies and all ignored parameters of a purged URL", () => {
    const index = new EntryIndex<Entry>();
    const policy = { query: { kind: "except", names: ["utm"] }, cookies: ["lang"] } as const;
    const request = { origin: "https://x.example", pathname: "/a" };
    for (const fields of ["cookie\nlang=de", "cookie\nlang=en", ""]) {
      const key = toKey({ ...request, search: "?q=1&utm=2", fields }, policy);
      for (const kind of ["x-kind\n1", "x-kind\n2"]) {
        index.add(entry(fields + kind, key, { vary: ["x-kind"], fields: kind }));
      }
    }
    assert.equal(index.size, 6);
    assert.equal(index.covered({ kind: "url", url: "https://x.example/a?utm=7&q=1" }).length, 6);
  });

  it("forgets pages and tags without entries", () => {
    const index = new EntryIndex<Entry>();
    for (let round = 0; round < 3; round++) {
      const one = entry("one", A, { tags: ["t"], receivedMs: round });
      index.add(one);
      assert.equal(index.delete(one), true);
      assert.equal(index.delete(one), false);
    }
    assert.deepEqual([...index], []);
    assert.equal(index.size, 0);
  });
});
