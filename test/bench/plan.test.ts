import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { allEntries, orderOfRound, pickEntries } from "../../scripts/bench/plan.ts";

describe("pickEntries()", () => {
  it("picks everything in the scope without a name", () => {
    assert.deepEqual(pickEntries([], "all"), allEntries());
    const cases = new Set(pickEntries([], "default").map((entry) => entry.case.id));
    assert.deepEqual([...cases], ["hello", "hello-tls", "hello-log"]);
  });

  it("picks a named case, whatever the scope", () => {
    const ids = ["stream-64k/edgicorn", "stream-64k/nginx-node"];
    assert.deepEqual(idsOf(["stream-64k"]), ids);
    assert.deepEqual(idsOf(["stream-64k/edgicorn"]), ids.slice(0, 1));
  });

  it("picks a server in the cases of the scope", () => {
    assert.deepEqual(idsOf(["nginx"]), []);
    const all = pickEntries(["nginx"], "all").map(({ id }) => id);
    assert.deepEqual(all, [
      "static-1k/nginx",
      "static-1k-h2/nginx",
      "static-100k/nginx",
      "static-10m/nginx",
    ]);
  });

  it("picks a case, a server in all its cases, or one of the pairs", () => {
    assert.deepEqual(idsOf(["hello-tls"]), ["hello-tls/edgicorn", "hello-tls/nginx-node"]);
    assert.deepEqual(idsOf(["nginx-node"]), [
      "hello/nginx-node",
      "hello-tls/nginx-node",
      "hello-log/nginx-node",
    ]);
    assert.deepEqual(idsOf(["hello/bun"]), ["hello/bun"]);
  });

  it("keeps the order of the tables and names nothing twice", () => {
    assert.deepEqual(idsOf(["hello/bun", "uws", "bun", "hello/uws"]), ["hello/uws", "hello/bun"]);
  });

  it("gives every row a name of its own", () => {
    const ids = allEntries().map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
  });
});

describe("orderOfRound()", () => {
  const plans = fc.record({ length: fc.nat(30), rounds: fc.integer({ min: 1, max: 12 }) });

  it("has every row once in every round", () => {
    fc.assert(
      fc.property(plans, ({ length, rounds }) => {
        const items = Array.from({ length }, (_, index) => index);
        for (let round = 0; round < rounds; round++) {
          const order = orderOfRound(items, round, rounds);
          assert.deepEqual(
            order.toSorted((a, b) => a - b),
            items,
          );
        }
      }),
    );
  });

  it("spreads the first places evenly over the rows", () => {
    const items = ["a", "b", "c", "d", "e", "f"];
    const firsts = [0, 1, 2].map((round) => orderOfRound(items, round, 3)[0]);
    assert.deepEqual(firsts, ["a", "c", "e"]);
  });
});

function idsOf(names: readonly string[]): readonly string[] {
  return pickEntries(names, "default").map(({ id }) => id);
}
