import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { formatColumns } from "../../../runtime/cli/top/format-columns.ts";
import { clipToWidth, widthOf } from "../../../runtime/cli/top/text-width.ts";

describe("widthOf()", () => {
  const cases: [text: string, width: number][] = [
    ["", 0],
    ["GET /a", 6],
    ["Füße …·", 7],
    ["e\u0301", 1],
    ["日本語", 6],
    ["한국어", 6],
    ["ＡＢ", 4],
    ["ｱｲ", 2],
    ["🚀", 2],
    ["👨‍👩‍👧", 2],
    ["🇩🇪", 2],
    ["👍🏽", 2],
    ["❤\uFE0F", 2],
    ["1", 1],
    ["Привет", 6],
  ];
  for (const [text, width] of cases) {
    it(`is ${width} for ${JSON.stringify(text)}`, () => {
      assert.equal(widthOf(text), width);
    });
  }
});

describe("clipToWidth()", () => {
  const text = fc
    .array(fc.constantFrom("a", "ß", "日", "🚀", "👨‍👩‍👧", "e\u0301", " "), { maxLength: 20 })
    .map((parts) => parts.join(""));

  it("fits, and keeps a text that fits", () => {
    fc.assert(
      fc.property(text, fc.nat(12), (whole, width) => {
        const cut = clipToWidth(whole, width);
        assert.ok(widthOf(cut) <= width, cut);
        if (widthOf(whole) <= width) assert.equal(cut, whole);
        // A wide character that does not fit leaves one cell.
        else if (width > 0) assert.ok(widthOf(cut) >= width - 1 && cut.endsWith("…"), cut);
      }),
    );
  });
});

describe("formatColumns()", () => {
  it("aligns columns with wide characters", () => {
    const lines = formatColumns(
      [
        { route: "/日本語", count: "1" },
        { route: "/a", count: "22" },
      ],
      [
        { head: "route", cell: ({ route }) => route },
        { head: "count", cell: ({ count }) => count, isNumber: true },
      ],
      { columns: 80, style: (line) => line },
    );
    assert.deepEqual(lines, ["route    count", "/日本語      1", "/a          22"]);
  });
});
