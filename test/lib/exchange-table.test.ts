import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { ExchangeId } from "../../runtime/channel/messages.ts";
import { ExchangeTable } from "../../runtime/lib/exchange-table.ts";

function idOf(number: number): ExchangeId {
  return number as ExchangeId;
}

type Step = { do: "add" | "delete" | "get"; id: ExchangeId } | { do: "clear" };

/** Few numbers, so that steps meet; with a step in common, as in a group; and beyond 32 bits. */
const numbers: fc.Arbitrary<ExchangeId> = fc
  .oneof(
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 200 }).map((n) => 32 * n),
    fc.integer({ min: 1, max: 40 }).map((n) => Number.MAX_SAFE_INTEGER - n),
  )
  .map(idOf);

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 60, arbitrary: fc.record({ do: fc.constant("add" as const), id: numbers }) },
  { weight: 50, arbitrary: fc.record({ do: fc.constant("delete" as const), id: numbers }) },
  { weight: 20, arbitrary: fc.record({ do: fc.constant("get" as const), id: numbers }) },
  { weight: 1, arbitrary: fc.constant({ do: "clear" as const }) },
);

describe("ExchangeTable", () => {
  it("holds the same items as a map, in any order of insertions and deletions", () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 1_000, size: "max" }), (sequence) => {
        const table = new ExchangeTable<{ id: ExchangeId }>();
        const model = new Map<ExchangeId, { id: ExchangeId }>();
        for (const step of sequence) take(step, table, model);
        for (const [id, item] of model) assert.equal(table.get(id), item);
        const inOrder = [...model.values()].toSorted((a, b) => a.id - b.id);
        assert.deepEqual(table.values(), inOrder);
      }),
      { numRuns: 100 },
    );
  });

  it("stays small when it holds few items at a time", () => {
    const table = new ExchangeTable<{ id: ExchangeId }>();
    for (let n = 1; n <= 100_000; n++) {
      table.add({ id: idOf(n) });
      if (n > 20) assert.ok(table.delete(idOf(n - 20)));
    }
    assert.equal(table.size, 20);
    assert.equal(table.capacity, 64);
  });
});

function take(
  step: Step,
  table: ExchangeTable<{ id: ExchangeId }>,
  model: Map<ExchangeId, { id: ExchangeId }>,
): void {
  if (step.do === "clear") {
    table.clear();
    model.clear();
  } else if (step.do === "get") {
    assert.equal(table.get(step.id), model.get(step.id));
  } else if (step.do === "delete") {
    assert.equal(table.delete(step.id), model.delete(step.id));
  } else if (!model.has(step.id)) {
    const item = { id: step.id };
    table.add(item);
    model.set(step.id, item);
  }
  assert.equal(table.size, model.size);
}
