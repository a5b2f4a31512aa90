import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeError } from "../../runtime/worker/describe-error.ts";

function circle(): Error {
  const error = new Error("a");
  error.cause = new Error("b", { cause: error });
  return error;
}

function chain(length: number): Error {
  return length === 0 ? new Error("end") : new Error(String(length), { cause: chain(length - 1) });
}

describe("describeError()", () => {
  it("tells in one line what was thrown, and what failed first", () => {
    const password = new Error("password wrong");
    const table: [unknown, string][] = [
      [new TypeError("no\n  database"), "TypeError: no database"],
      [new RangeError(), "RangeError"],
      [
        new Error("no database", { cause: password }),
        "Error: no database (cause: Error: password wrong)",
      ],
      [new Error("no", { cause: "a text" }), 'Error: no (cause: string "a text")'],
      [new Error("no", { cause: null }), "Error: no (cause: null)"],
      [
        new AggregateError([new Error("a", { cause: password }), "b"], "none"),
        'AggregateError: none (errors: Error: a (cause: Error: password wrong); string "b")',
      ],
      [
        new AggregateError(["a", "b", "c", "d", "e", "f", "g"]),
        'AggregateError (errors: string "a"; string "b"; string "c"; string "d"; string "e"; and 2 more)',
      ],
      ["text", 'threw string "text"'],
      [undefined, "threw undefined"],
      [{ code: 1 }, "threw object { code }"],
      [circle(), "Error: a (cause: Error: b)"],
    ];
    for (const [error, text] of table) assert.equal(describeError(error), text);
  });

  it("goes only so deep", () => {
    assert.doesNotMatch(describeError(chain(10)), /end/);
    assert.match(describeError(chain(5)), /end/);
  });
});
