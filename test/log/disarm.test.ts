import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { disarm } from "../../runtime/log/disarm.ts";

describe("disarm()", () => {
  const cases: [title: string, text: string, shown: string][] = [
    ["plain text", "hello, wörld", "hello, wörld"],
    [
      "an escape sequence",
      "\u001b[31mred\u001b]0;title\u0007",
      "\\u001b[31mred\\u001b]0;title\\u0007",
    ],
    ["an escape sequence of one character", "\u009b31m\u007f", "\\u009b31m\\u007f"],
    ["characters that go back in the line", "real\rforged\b\f", "real\\rforged\\b\\f"],
    ["characters that change the direction of writing", "a\u202eb\u2066c", "a\\u202eb\\u2066c"],
    ["lines and tabs", "at a\n\tat b", "at a\n\tat b"],
    ["text that only looks like an escape", "\\u001b \\\\u001b", "\\u001b \\\\u001b"],
    ["a backslash before an escape", "\\\u001b", "\\\\u001b"],
  ];
  for (const [title, text, shown] of cases) {
    it(`shows ${title}`, () => {
      assert.deepEqual(JSON.parse(disarm(JSON.stringify({ msg: text }))), { msg: shown });
    });
  }
});
