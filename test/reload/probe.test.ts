import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judge, type Comparison } from "../../runtime/reload/probe.ts";

function compare(target: string, before: [number, number], now: [number, number]): Comparison {
  return {
    request: { origin: "http://a", target, status: before[0], durationMs: before[1] },
    outcome: { status: now[0], durationMs: now[1] },
  };
}

/** The warnings about three requests with these times before and now. */
function times(before: number, now: number): string[] {
  return judge([1, 2, 3].map((n) => compare(`/${n}`, [200, before], [200, now]))).warnings;
}

describe("judge()", () => {
  it("accepts equal answers, and no answers", () => {
    assert.deepEqual(judge([]), { refusal: null, warnings: [] });
    const same = [compare("/", [200, 5], [204, 9]), compare("/b", [500, 5], [503, 5])];
    assert.deepEqual(judge(same), { refusal: null, warnings: [] });
  });

  it("refuses a request that fails now and did not before", () => {
    for (const before of [200, 304, 404]) {
      const { refusal } = judge([compare("/x", [before, 5], [502, 5])]);
      assert.match(
        refusal ?? "",
        new RegExp(`GET /x, which was answered with ${before}, is .*502`),
      );
    }
  });

  it("warns about another class of status, and does not refuse it", () => {
    const { refusal, warnings } = judge([compare("/x", [200, 5], [404, 5])]);
    assert.equal(refusal, null);
    assert.deepEqual(warnings, [
      "GET /x was answered with 200 before, and is answered with 404 now",
    ]);
  });

  it("warns when the median time is much longer", () => {
    assert.deepEqual(times(1, 40), []);
    assert.deepEqual(times(100, 290), []);
    assert.deepEqual(times(20, 90), [
      "the median time of 3 recent requests was 20 ms, and is 90 ms now",
    ]);
  });
});
