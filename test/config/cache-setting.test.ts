import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cachePolicy, cacheReload } from "../../runtime/config/cache-setting.ts";

const plain = { maxAgeMs: null, staleMs: null, query: null, ignoreQuery: [], cookies: [] };

describe("cachePolicy()", () => {
  const type = cachePolicy();

  it("takes words, a time, and an object", () => {
    const rows: [unknown, unknown][] = [
      ["off", "off"],
      [false, "off"],
      ["on", plain],
      [true, plain],
      ["1m", { ...plain, maxAgeMs: 60_000 }],
      [{}, plain],
      [{ maxAge: "0s" }, { ...plain, maxAgeMs: 0 }],
      [
        { maxAge: "1s", stale: "1h", query: ["a"], ignoreQuery: ["utm_source"], cookies: ["lang"] },
        {
          maxAgeMs: 1_000,
          staleMs: 3_600_000,
          query: ["a"],
          ignoreQuery: ["utm_source"],
          cookies: ["lang"],
        },
      ],
      [{ query: "all" }, plain],
      [{ query: [] }, { ...plain, query: [] }],
    ];
    for (const [input, value] of rows)
      assert.deepEqual(type.parse(input), { value }, JSON.stringify(input));
  });

  it("names the member that is wrong", () => {
    const rows: [object, string][] = [
      [{ maxAge: 30 }, ".maxAge"],
      [{ stale: "soon" }, ".stale"],
      [{ query: "page" }, ".query"],
      [{ cookies: ["a=b"] }, ".cookies"],
      [{ ignoreQuery: [1] }, ".ignoreQuery"],
      [{ ttl: "1m" }, ".ttl"],
    ];
    for (const [input, key] of rows) {
      assert.equal(type.parse(input), null, key);
      assert.equal(type.explain?.(input)?.key, key);
    }
    for (const input of ["soon", 5, null, [], "1 fortnight"]) assert.equal(type.parse(input), null);
  });

  it("takes the form of handlers, and the policy that a worker reports", () => {
    const { inHandler } = type;
    const policy = { ...plain, maxAgeMs: 1_000, cookies: ["lang"] };
    const rows: [unknown, unknown][] = [
      [true, plain],
      [false, "off"],
      ["off", "off"],
      [{ maxAgeMs: 1_000, cookies: ["lang"] }, policy],
      [policy, policy],
    ];
    for (const [input, value] of rows) assert.deepEqual(inHandler?.parse(input), { value });
    for (const input of [{ maxAgeMs: "1s" }, { maxAgeMs: -1 }, { maxAge: "1s" }, 5, "1m"])
      assert.equal(inHandler?.parse(input), null, JSON.stringify(input));
  });
});

describe("cacheReload()", () => {
  it("takes two words, and tags", () => {
    const type = cacheReload();
    assert.deepEqual(type.parse("drop"), { value: "drop" });
    assert.deepEqual(type.parse("a, b"), { value: ["a", "b"] });
    assert.deepEqual(type.parse(["a"]), { value: ["a"] });
    for (const input of ["", [], ["a b"], 5]) assert.equal(type.parse(input), null);
  });
});
