import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createGenerationId, isGenerationId } from "../../runtime/generation/generation-id.ts";

describe("createGenerationId()", () => {
  it("says when, in UTC", () => {
    const before = new Date(Date.now() - 1000).toISOString().replace(/\D/g, "");
    const id = createGenerationId();
    const after = new Date(Date.now() + 1000).toISOString().replace(/\D/g, "");
    const time = id.replace("-", "").slice(0, 17);
    assert.ok(before <= time && time <= after, id);
    assert.ok(isGenerationId(id), id);
  });

  it("gives ids that sort by time and never repeat", () => {
    const ids = Array.from({ length: 1000 }, createGenerationId);
    assert.equal(new Set(ids).size, ids.length);
    const times = ids.map((id) => id.slice(0, 21));
    assert.deepEqual(times.toSorted(), times);
  });
});

describe("isGenerationId()", () => {
  it("refuses other names", () => {
    for (const name of [
      "",
      "..",
      ".building-20260131-235959123456-9f86d081",
      "20260131-235959123456-9f86d08g",
    ]) {
      assert.ok(!isGenerationId(name), name);
    }
  });
});
