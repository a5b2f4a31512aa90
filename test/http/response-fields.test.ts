import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { prepareFields, ResponseFields } from "../../runtime/http/response-fields.ts";

/** A prepared block as the bytes that the library writes for it. */
function toLines(block: string): string | null {
  const prepared = prepareFields(block);
  if (prepared === null) return null;
  const [kept, last] = [prepared.kept, prepared.last].map(({ name, value }) => {
    const text = value.toString("latin1");
    return name.length === 0 ? text : `${name.toString()}: ${text}`;
  });
  assert.equal(kept, `${last === "" ? "" : `${last}\r\n`}Keep-Alive: timeout=7`);
  return last ?? null;
}

describe("prepareFields()", () => {
  it("writes fields in order, as they are, duplicates too", () => {
    const cases: [block: string, lines: string][] = [
      ["", ""],
      ["content-type\ntext/plain", "content-type: text/plain"],
      ["a\n1\nb\n2\na\n3", "a: 1\r\nb: 2\r\na: 3"],
      ["set-cookie\na=1; Path=/\nset-cookie\nb=2", "set-cookie: a=1; Path=/\r\nset-cookie: b=2"],
      ["empty\n\nx\n", "empty: \r\nx: "],
      ["X-Mixed\n\t! ~", "X-Mixed: \t! ~"],
      ["x\ncaf\u00e9 \u00ff\u0080", "x: caf\u00e9 \u00ff\u0080"],
    ];
    for (const [block, lines] of cases) assert.equal(toLines(block), lines, JSON.stringify(block));
  });

  it("writes a character outside of ASCII as one byte", () => {
    for (const block of ["x\n\u00e9", "a\n1\nx\n\u00e9", "x\n\u00e9\na\n1"]) {
      const value = prepareFields(block)?.last.value;
      assert.ok(Buffer.isBuffer(value) && value.includes(0xe9) && !value.includes(0xc3));
    }
  });

  it("leaves out what is ours to write, in any case", () => {
    const ours = [
      "connection",
      "content-length",
      "date",
      "keep-alive",
      "proxy-connection",
      "te",
      "trailer",
      "transfer-encoding",
      "upgrade",
    ];
    for (const name of [...ours, ...ours.map((each) => each.toUpperCase())]) {
      assert.equal(toLines(`${name}\n1`), "", name);
      assert.equal(toLines(`${name}\n1\na\n1`), "a: 1", name);
      assert.equal(toLines(`a\n1\n${name}\n1\nb\n2`), "a: 1\r\nb: 2", name);
    }
    for (const name of ["content-lengths", "x-date", "content-type", "dates"]) {
      assert.equal(toLines(`${name}\n1`), `${name}: 1`);
    }
  });

  it("remembers the length that a block states, if it is one", () => {
    const cases: [block: string, length: string | null][] = [
      ["a\n1", null],
      ["content-length\n12", "12"],
      ["Content-Length\n0\na\n1", "0"],
      ["content-length\n-1", null],
      ["content-length\n1, 1", null],
      ["content-length\n", null],
      ["content-length\n0x10", null],
      ["content-length\n999999999999999", "999999999999999"],
      // More than the library can count to.
      ["content-length\n99999999999999999999", null],
    ];
    for (const [block, length] of cases) {
      assert.equal(prepareFields(block)?.contentLength, length, JSON.stringify(block));
    }
  });

  it("refuses what would break out of its line", () => {
    const blocks = [
      "a\n1\r",
      "a\n1\r\nb: 2",
      "a\n1\rset-cookie: x",
      "a\n\0",
      "a\n\x1f",
      "a\n\x7f",
      "a\n\u0100",
      "a\n\u{1f984}",
      "a\r\n1",
      "a b\n1",
      "a:\n1",
      ":\n1",
      "\n1",
      "a\0\n1",
      "\u00e9\n1",
      "ok\n1\na b\n1",
      // Also in fields that are left out.
      "connection\nclose\r\nx: 1",
      // A name without a value.
      "a",
      "a\n1\nb",
    ];
    for (const block of blocks) assert.equal(prepareFields(block), null, JSON.stringify(block));
  });

  it("never writes a line that it was not given", () => {
    const text = fc.string({
      unit: fc.integer({ min: 0, max: 300 }).map((c) => String.fromCharCode(c)),
    });
    const name = fc.oneof(text, fc.constantFrom("a", "x-long-name", "date", "set-cookie"));
    const value = fc.oneof(text, fc.string());
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 6 }), (fields) => {
        const lines = toLines(fields.flat().join("\n"));
        if (lines === null || lines === "") return;
        // Neither a line more than there are fields, nor one without a name.
        assert.ok(lines.split("\r\n").length <= fields.length);
        assert.match(lines, /^(?:[^\s:]+: [^\r\n\0]*(?:\r\n|$))+$/);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("ResponseFields", () => {
  it("gives the same as prepareFields(), also for blocks that it has seen, long ones and many", () => {
    const prepared = new ResponseFields(prepareFields);
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 1_500; number++) {
        const block = `x-number\n${number}\ncontent-length\n${number}`;
        assert.deepEqual(prepared.prepare(block), prepareFields(block));
      }
      const long = `x\n${"y".repeat(2_000)}`;
      assert.deepEqual(prepared.prepare(long), prepareFields(long));
      assert.equal(prepared.prepare("a\n1\r"), null);
    }
  });

  it("prepares the blocks of a thousand files once, and keeps none that occurred once", () => {
    const prepared = new ResponseFields(prepareFields);
    const blocks = Array.from({ length: 1_000 }, (_, number) => `etag\n"4-${number}"`);
    const [first, second, third] = [1, 2, 3].map(() =>
      blocks.map((each) => prepared.prepare(each)),
    );
    assert.ok(second !== undefined && third !== undefined);
    const isKept = (from: typeof first, to: typeof first): number =>
      blocks.filter((_, at) => from?.[at] === to?.[at]).length;
    assert.equal(isKept(first, second), 0);
    assert.ok(isKept(second, third) > 980);
  });

  it("goes on when more blocks come again than it keeps", () => {
    const prepared = new ResponseFields(prepareFields);
    for (let number = 0; number < 10_000; number++) {
      const block = `x-long\n${number}${"y".repeat(400)}`;
      prepared.prepare(block);
      assert.deepEqual(prepared.prepare(block), prepareFields(block));
      assert.equal(prepared.prepare(block), prepared.prepare(block));
    }
  });
});
