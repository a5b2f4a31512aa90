import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findField } from "../../runtime/http/find-field.ts";

describe("findField()", () => {
  it("finds values by name, joins several, and never takes a value for a name", () => {
    const block = "host\na\ncookie\nb=1\nrange\ncookie\naccept\n\nx\n1\ncookie\nb=2";
    const cases: [block: string, name: string, value: string | undefined][] = [
      ["", "host", undefined],
      ["host\na", "host", "a"],
      [block, "host", "a"],
      [block, "range", "cookie"],
      [block, "accept", ""],
      [block, "cookie", "b=1, b=2"],
      [block, "b=1", undefined],
      [block, "a", undefined],
      [block, "", undefined],
      [block, "hos", undefined],
      ["x\n\nx\n", "x", ", "],
    ];
    for (const [fields, name, value] of cases) {
      assert.equal(findField(fields, name), value, `${name} in ${JSON.stringify(fields)}`);
    }
  });
});
