import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  formatBytes,
  formatCount,
  formatMs,
  formatShare,
} from "../../runtime/live/format-figures.ts";

const MB = 1024 * 1024;

const CASES: [(value: number | null) => string, [number | null, string][]][] = [
  [
    formatMs,
    [
      [null, "–"],
      [0, "0 ms"],
      [0.44, "0.4 ms"],
      [12.3, "12 ms"],
      [999.6, "1 s"],
      [1_540, "1.5 s"],
      [59_000, "59 s"],
      [125_000, "2 min"],
      [7_300_000, "2 h"],
      [260_000_000, "3 d"],
    ],
  ],
  [
    formatCount,
    [
      [null, "–"],
      [0, "0"],
      [0.01, "<0.1"],
      [0.25, "0.3"],
      [7, "7"],
      [9_999, "9999"],
      [12_345, "12k"],
      [1_234_567, "1.2M"],
    ],
  ],
  [
    formatBytes,
    [
      [null, "–"],
      [0, "0 B"],
      [1_023, "1023 B"],
      [1_536, "1.5 KB"],
      [61.4 * MB, "61 MB"],
      [1_023.9 * MB, "1 GB"],
    ],
  ],
  [
    formatShare,
    [
      [null, "–"],
      [0, "0 %"],
      [0.0001, "<0.1 %"],
      [0.0123, "1.2 %"],
      [1, "100 %"],
    ],
  ],
];

describe("formats of figures", () => {
  for (const [format, cases] of CASES) {
    it(`${format.name}() is short and exact to two digits`, () => {
      for (const [value, expected] of cases) assert.equal(format(value), expected);
    });
  }

  it("never exceed the width of their columns", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (value) => {
        for (const [format] of CASES.slice(0, 2)) {
          assert.ok(format(value).length <= 8, format(value));
        }
        assert.ok(formatBytes(value).length <= 7, formatBytes(value));
      }),
    );
  });
});
