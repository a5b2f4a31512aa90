import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BOUNDS_MS } from "../../runtime/lib/duration-bounds.ts";

describe("BOUNDS_MS", () => {
  it("ascend, by a quarter at most up to 100 s, from which on they double at most", () => {
    for (const [index, bound] of BOUNDS_MS.entries()) {
      const before = BOUNDS_MS[index - 1];
      if (before === undefined) continue;
      assert.ok(bound > before && bound <= before * 2, String(bound));
      assert.ok(bound > 100_000 || bound <= before * 1.2501, String(bound));
    }
  });

  it("have each number of one digit, and the usual bounds of Prometheus", () => {
    const digits = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const oneDigit = digits.flatMap((digit) =>
      ["e-1", "e0", "e1", "e2", "e3", "e4"].map((power) => Number(`${digit}${power}`)),
    );
    const ofClients = [5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000];
    const missing = [...oneDigit, ...ofClients, 100_000].filter(
      (bound) => !BOUNDS_MS.includes(bound),
    );
    assert.deepEqual(missing, []);
  });
});
