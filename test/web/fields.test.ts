import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { copyHeaders, formatFields, parseFields } from "../../runtime/web/fields.ts";

const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9a-zA-Z]{1,20}$/);
const value = fc
  .string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCodePoint(code)) })
  .map((text) => text.replaceAll("\u007f", "").trim());

describe("parseFields()", () => {
  it("gives no fields for an empty block", () => {
    assert.deepEqual([...parseFields("")], []);
  });

  it("keeps empty values and the order of repeated fields", () => {
    const headers = parseFields("b\n\na\n1\nx\n\na\n2\nset-cookie\nc=1\nset-cookie\nd=2\nlast\n");
    assert.deepEqual(
      [...headers],
      [
        ["a", "1, 2"],
        ["b", ""],
        ["last", ""],
        ["set-cookie", "c=1"],
        ["set-cookie", "d=2"],
        ["x", ""],
      ],
    );
  });

  for (const block of ["a b\n1", "a\n\0", "a\n\u0100", "\n1"]) {
    it(`refuses ${JSON.stringify(block)}`, () => {
      assert.throws(() => parseFields(block), TypeError);
    });
  }

  it("gives what Node makes of the same pairs", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(token, value)), (pairs) => {
        const block = pairs.map(([name, text]) => `${name}\n${text}`).join("\n");
        assert.deepEqual([...parseFields(block)], [...new Headers(pairs)]);
      }),
    );
  });
});

describe("formatFields()", () => {
  it("writes names in lower case and every cookie on its own", () => {
    const headers = new Headers([
      ["Set-Cookie", "a=1, b"],
      ["X-Empty", ""],
      ["set-cookie", "c=2"],
    ]);
    assert.equal(formatFields(headers), "set-cookie\na=1, b\nset-cookie\nc=2\nx-empty\n");
  });

  it("writes what the headers hold, whatever a subclass makes of its iteration", () => {
    class Odd extends Headers {}
    for (const name of ["forEach", "entries", Symbol.iterator]) {
      Object.defineProperty(Odd.prototype, name, { value: () => [] });
    }
    assert.equal(formatFields(new Odd({ a: "1" })), "a\n1");
  });

  it("is undone by parseFields()", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(token, value)), (pairs) => {
        const headers = new Headers(pairs);
        const again = parseFields(formatFields(headers));
        // Two empty values become ", ", and what surrounds a value is no part of it (RFC 9110 section 5.5).
        assert.deepEqual(
          [...again],
          [...headers].map(([name, text]) => [name, text.trim()]),
        );
        assert.deepEqual(again.getSetCookie(), headers.getSetCookie());
      }),
    );
  });
});

describe("copyHeaders()", () => {
  it("leaves the target with nothing but what the source has", () => {
    const source = new Headers([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x", "1"],
    ]);
    const target = new Headers({ y: "2", x: "old", "set-cookie": "old" });
    copyHeaders(source, target);
    assert.deepEqual([...target], [...source]);
    assert.deepEqual(target.getSetCookie(), ["a=1", "b=2"]);
  });
});
