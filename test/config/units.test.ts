import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseDurationMs, parseSizeBytes } from "../../runtime/config/units.ts";

describe("parseSizeBytes()", () => {
  const cases: [string, number | null][] = [
    ["0", 0],
    ["512", 512],
    ["512b", 512],
    ["1k", 1024],
    ["1kb", 1024],
    ["1KiB", 1024],
    ["10mb", 10_485_760],
    ["1.5 MB", 1_572_864],
    ["2g", 2_147_483_648],
    ["", null],
    ["mb", null],
    ["-1", null],
    ["1 tb", null],
    ["0.3b", null],
    ["1e3", null],
    ["99999999999g", null],
  ];
  for (const [text, bytes] of cases) {
    it(`reads ${JSON.stringify(text)} as ${bytes}`, () => {
      assert.equal(parseSizeBytes(text), bytes);
    });
  }
});

describe("parseDurationMs()", () => {
  const cases: [string, number | null][] = [
    ["500ms", 500],
    ["30s", 30_000],
    ["0.29s", 290],
    ["1.5 S", 1500],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["0s", 0],
    ["30", null],
    ["", null],
    ["s", null],
    ["1d", null],
    ["-1s", null],
    ["0.5ms", null],
  ];
  for (const [text, ms] of cases) {
    it(`reads ${JSON.stringify(text)} as ${ms}`, () => {
      assert.equal(parseDurationMs(text), ms);
    });
  }
});
