import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isOwnCloseCode, isSendableCloseCode } from "../../runtime/lib/close-codes.ts";

/** Codes of RFC 6455 section 7.4 and its registry: `sendable` in a frame, `own`: by applications. */
const CODES: [code: number, sendable: boolean, own: boolean][] = [
  [999, false, false],
  [1000, true, true],
  [1001, true, true],
  [1002, true, false],
  [1003, true, false],
  [1004, false, false],
  [1005, false, false],
  [1006, false, false],
  [1007, true, true],
  [1009, true, true],
  [1010, true, false],
  [1011, true, true],
  [1014, true, true],
  [1015, false, false],
  [2999, false, false],
  [3000, true, true],
  [4999, true, true],
  [5000, false, false],
  [1000.5, false, false],
  [Number.NaN, false, false],
];

describe("isSendableCloseCode(), isOwnCloseCode()", () => {
  for (const [code, sendable, own] of CODES) {
    it(`knows ${code}`, () => {
      assert.deepEqual([isSendableCloseCode(code), isOwnCloseCode(code)], [sendable, own]);
    });
  }
});
