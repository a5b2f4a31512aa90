import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parsePartialSuccess } from "../../runtime/trace/partial-success.ts";

describe("parsePartialSuccess()", () => {
  const cases: [text: string, rejectedSpans: number, message: string][] = [
    ["", 0, ""],
    ["{}", 0, ""],
    ["null", 0, ""],
    ["partialSuccess", 0, ""],
    ['"partialSuccess"', 0, ""],
    ['{"partialSuccess":{}}', 0, ""],
    ['{"partialSuccess":null}', 0, ""],
    ['{"partialSuccess":{"rejectedSpans":"12","errorMessage":"too old"}}', 12, "too old"],
    ['{"partialSuccess":{"rejectedSpans":12}}', 12, ""],
    ['{"partialSuccess":{"errorMessage":"use gzip"}}', 0, "use gzip"],
    ['{"partialSuccess":{"rejectedSpans":-1,"errorMessage":7}}', 0, ""],
    ['{"partialSuccess":{"rejectedSpans":"many"}}', 0, ""],
    [JSON.stringify({ partialSuccess: { errorMessage: "x".repeat(300) } }), 0, "x".repeat(200)],
  ];
  for (const [text, rejectedSpans, message] of cases) {
    it(`reads ${text.slice(0, 80)}`, () => {
      assert.deepEqual(parsePartialSuccess(text), { rejectedSpans, message });
    });
  }
});
