import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { addHandlerTime, takeHandlerTime } from "../../runtime/channel/handler-time.ts";

describe("takeHandlerTime()", () => {
  const block = fc
    .array(fc.tuple(fc.constantFrom("a", "etag", "x-edgicorn-handler-time"), fc.string()))
    .map((fields) => fields.flatMap(([name, value]) => [name, value.replaceAll("\n", "")]))
    .map((parts) => parts.join("\n"));

  it("takes the measurement that was added, and leaves the block as it was", () => {
    const ms = fc.integer({ min: 0, max: 2_000_000_000 });
    fc.assert(
      fc.property(block, ms, ms, (fields, startMs, durationMs) => {
        const measured = addHandlerTime(fields, { startMs, durationMs });
        assert.deepEqual(takeHandlerTime(measured), { fields, time: { startMs, durationMs } });
      }),
    );
  });

  it("changes no block without a measurement", () => {
    for (const fields of [
      "",
      "etag\nx",
      "x-edgicorn-handler-time\nabc",
      "x-edgicorn-handler-time\n1 -1",
      "a\nx-edgicorn-handler-time\nb\nx-edgicorn-handler-time\n",
      "not-x-edgicorn-handler-time\n1 1",
    ]) {
      assert.deepEqual(takeHandlerTime(fields), { fields, time: null });
    }
  });
});
