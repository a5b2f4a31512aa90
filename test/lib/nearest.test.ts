import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pickNearest } from "../../runtime/lib/nearest.ts";

describe("pickNearest()", () => {
  const names = ["start", "dev", "--http", "--https", "--workers", "bodyLimit"];
  const cases: [string, string | null][] = [
    ["strat", "start"],
    ["stat", "start"],
    ["--htpp", "--http"],
    ["--httpss", "--https"],
    ["--worker", "--workers"],
    ["bodylimit", "bodyLimit"],
    ["body_limit", "bodyLimit"],
    ["zebra", null],
    ["x", null],
    ["", null],
  ];
  for (const [word, nearest] of cases) {
    it(`takes ${JSON.stringify(word)} for ${nearest}`, () => {
      assert.equal(pickNearest(word, names), nearest);
    });
  }
});
