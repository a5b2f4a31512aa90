import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isSampled, toTraceParent } from "../../runtime/lib/trace-parent.ts";

const VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

describe("toTraceParent()", () => {
  it("accepts values of Trace Context only", () => {
    const cases: [value: string | undefined, expected: string | undefined][] = [
      [VALID, VALID],
      [VALID.replace(/^00/, "cc"), VALID.replace(/^00/, "cc")],
      // A later version may add parts.
      [`${VALID.replace(/^00/, "cc")}-what-"ever"`, VALID.replace(/^00/, "cc")],
      [`${VALID}-x`, undefined],
      [VALID.replace(/^00/, "ff"), undefined],
      [VALID.toUpperCase(), undefined],
      [VALID.replace(/4bf92f3577b34da6a3ce929d0e0e4736/, "0".repeat(32)), undefined],
      [VALID.replace(/00f067aa0ba902b7/, "0".repeat(16)), undefined],
      [`${VALID}, ${VALID}`, undefined],
      [`cc${VALID.slice(2)}-${"x".repeat(100)}`, undefined],
      ["", undefined],
      [undefined, undefined],
    ];
    for (const [value, expected] of cases) assert.equal(toTraceParent(value), expected, value);
  });
});

describe("isSampled()", () => {
  const cases: [fields: string, sampled: boolean][] = [
    ["", false],
    ["a\nb", false],
    [field("01"), true],
    [field("00"), false],
    [`a\nb\n${field("01")}\ntracestate\nx=1`, true],
    [`${field("01")}\n${field("00")}`, false],
    ["traceparent\n", false],
  ];
  for (const [fields, sampled] of cases) {
    it(`is ${sampled} for ${JSON.stringify(fields)}`, () => {
      assert.equal(isSampled(fields), sampled);
    });
  }
});

function field(flags: string): string {
  return `traceparent\n00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`;
}
