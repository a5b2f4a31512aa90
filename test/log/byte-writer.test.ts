import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { ByteWriter } from "../../runtime/log/byte-writer.ts";

function written(write: (writer: ByteWriter) => void): string {
  const writer = new ByteWriter(Buffer.alloc(64, "?"));
  writer.at = 1;
  write(writer);
  const text = writer.memory.toString("latin1");
  assert.match(text.slice(writer.at), /^\?*$/);
  assert.equal(text[0], "?");
  return text.slice(1, writer.at);
}

const EDGES = [0, 9, 10, 35, 36, 99, 100, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1];

describe("ByteWriter", () => {
  it("writes numbers as JSON has them", () => {
    const any = fc.oneof(fc.maxSafeNat(), fc.double(), fc.integer(), fc.constantFrom(...EDGES));
    fc.assert(
      fc.property(any, (value) => {
        const expected = JSON.stringify(Object.is(value, -0) ? 0 : value);
        assert.equal(
          written((writer) => writer.number(value)),
          expected,
        );
      }),
      { numRuns: 2000 },
    );
  });

  it("writes ids in base 36", () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeNat(), fc.constantFrom(...EDGES)), (value) => {
        assert.equal(
          written((writer) => writer.base36(value)),
          value.toString(36),
        );
      }),
      { numRuns: 2000 },
    );
  });

  it("writes milliseconds with three decimals", () => {
    const cases: [ms: number, text: string][] = [
      [0, "0.000"],
      [0.42, "0.420"],
      [0.0004, "0.000"],
      [12.0065, "12.007"],
      [999.9996, "1000.000"],
      [86_400_000.001, "86400000.001"],
      [Number.NaN, "null"],
      [Number.POSITIVE_INFINITY, "null"],
      [-1.5, "-1.5"],
    ];
    for (const [ms, text] of cases) {
      assert.equal(
        written((writer) => writer.milliseconds(ms)),
        text,
      );
    }
  });

  it("writes pieces one after the other", () => {
    const text = written((writer) => {
      writer.ascii("a=");
      writer.bytes(Buffer.from("b,"));
      writer.number(12);
      writer.ascii("!");
    });
    assert.equal(text, "a=b,12!");
  });
});
