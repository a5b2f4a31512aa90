import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dropFields, repeatChange, replaceFields } from "../../runtime/http/change-fields.ts";

describe("dropFields()", () => {
  it("leaves the others in order", () => {
    const block = "a\n1\ncontent-type\nx\na\n2";
    assert.equal(
      dropFields(block, (name) => name.startsWith("content-")),
      "a\n1\na\n2",
    );
    assert.equal(
      dropFields("", () => true),
      "",
    );
  });
});

describe("replaceFields()", () => {
  const rows: [block: string, by: string, expected: string][] = [
    ["a\n1", "", "a\n1"],
    ["", "a\n1", "a\n1"],
    ["a\n1\nb\n2", "b\n3", "a\n1\nb\n3"],
    ["a\n1\na\n2\nb\n3", "a\n4\na\n5", "b\n3\na\n4\na\n5"],
    ["a\n", "b\n", "a\n\nb\n"],
  ];
  for (const [block, by, expected] of rows) {
    it(`${JSON.stringify(block)} by ${JSON.stringify(by)}`, () => {
      assert.equal(replaceFields(block, by), expected);
    });
  }
});

describe("repeatChange()", () => {
  const rows: [title: string, before: string, after: string, on: string, expected: string][] = [
    ["nothing", "a\n1", "a\n1", "a\n2", "a\n2"],
    ["a new field", "a\n1", "a\n1\nb\n2", "a\n9", "a\n9\nb\n2"],
    ["a removed field", "a\n1\nb\n2", "a\n1", "a\n9\nb\n9", "a\n9"],
    ["a changed field", "a\n1\nb\n2", "a\n1\nb\n3", "a\n9\nb\n9", "a\n9\nb\n3"],
    ["another order", "a\n1\nb\n2", "b\n2\na\n1", "a\n9\nb\n9", "a\n9\nb\n9"],
    ["one of two values", "a\n1\na\n2", "a\n1", "a\n1\na\n2", "a\n1"],
    ["a field that only the third has", "a\n1", "", "a\n1\nc\n3", "c\n3"],
  ];
  for (const [title, before, after, on, expected] of rows) {
    it(title, () => assert.equal(repeatChange(before, after, on), expected));
  }
});
