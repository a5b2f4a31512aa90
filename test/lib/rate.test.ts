import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatRate, parseRate } from "../../runtime/lib/rate.ts";

describe("parseRate()", () => {
  it("parses a number of requests and a window", () => {
    const cases: [string, number, number][] = [
      ["100/min", 100, 60_000],
      ["10/s", 10, 1_000],
      ["1/1s", 1, 1_000],
      ["5000/12h", 5_000, 43_200_000],
      ["3 / 2 minute", 3, 120_000],
      ["7/day", 7, 86_400_000],
    ];
    for (const [text, requests, windowMs] of cases) {
      assert.deepEqual(parseRate(text), { requests, windowMs }, text);
    }
  });

  it("refuses all other texts", () => {
    const texts = ["", "100", "100/", "/min", "0/min", "1/0s", "-1/s", "1.5/s", "1/week", "1/MIN"];
    for (const text of [...texts, "1/s2", "100 per min", "1/400day", "9999999999/s"]) {
      assert.equal(parseRate(text), null, text);
    }
  });

  it("reads what formatRate() writes", () => {
    for (const text of ["100/min", "300/15min", "10/s", "1/day", "5/1500ms"]) {
      const rate = parseRate(text);
      assert.ok(rate !== null);
      assert.equal(formatRate(rate), text);
    }
  });
});
