import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  isRangeCurrent,
  resolvePrecondition,
  type Precondition,
  type Validators,
} from "../../runtime/http/conditional.ts";

const BEFORE = "Sat, 29 Oct 1994 19:43:30 GMT";
const SAME = "Sat, 29 Oct 1994 19:43:31 GMT";
const AFTER = "Sat, 29 Oct 1994 19:43:32 GMT";
const current: Validators = { etag: '"xyzzy"', lastModifiedMs: Date.parse(SAME) };
const NOW = Date.UTC(2025, 5, 1);

type Fields = Record<string, string>;

function resolve(fields: Fields, validators = current): Precondition {
  return resolvePrecondition((name) => fields[name], validators, NOW);
}

describe("resolvePrecondition() of a weak tag, or of none", () => {
  const weak: Validators = { etag: 'W/"xyzzy"', lastModifiedMs: null };
  const none: Validators = { etag: null, lastModifiedMs: null };
  const cases: [Fields, Validators, Precondition][] = [
    // RFC 9110 section 8.8.3.2: the weak comparison ignores the mark, the strong one never matches a weak tag.
    [{ "if-none-match": 'W/"xyzzy"' }, weak, "not-modified"],
    [{ "if-none-match": '"xyzzy"' }, weak, "not-modified"],
    [{ "if-none-match": '"other"' }, weak, "proceed"],
    [{ "if-match": 'W/"xyzzy"' }, weak, "failed"],
    [{ "if-match": '"xyzzy"' }, weak, "failed"],
    [{ "if-match": "*" }, weak, "proceed"],
    [{ "if-none-match": '"xyzzy"' }, none, "proceed"],
    [{ "if-none-match": "" }, none, "proceed"],
    [{ "if-none-match": "*" }, none, "not-modified"],
    [{ "if-match": '"xyzzy"' }, none, "failed"],
    [{ "if-match": "*" }, none, "proceed"],
  ];
  for (const [fields, validators, expected] of cases) {
    it(`${JSON.stringify(fields)} against ${validators.etag ?? "none"}: ${expected}`, () => {
      assert.equal(resolve(fields, validators), expected);
    });
  }

  it("takes no range for a weak tag", () => {
    assert.equal(isRangeCurrent('W/"xyzzy"', weak, NOW), false);
    assert.equal(isRangeCurrent('"xyzzy"', weak, NOW), false);
    assert.equal(isRangeCurrent('"xyzzy"', none, NOW), false);
  });
});

describe("resolvePrecondition()", () => {
  const cases: [Fields, Precondition][] = [
    [{}, "proceed"],
    // RFC 9110 section 13.1.1: strong comparison.
    [{ "if-match": '"xyzzy"' }, "proceed"],
    [{ "if-match": '"xyzzy", "r2d2xxxx", "c3piozzzz"' }, "proceed"],
    [{ "if-match": '"r2d2xxxx","xyzzy"' }, "proceed"],
    [{ "if-match": "*" }, "proceed"],
    [{ "if-match": '"other"' }, "failed"],
    [{ "if-match": 'W/"xyzzy"' }, "failed"],
    [{ "if-match": "xyzzy" }, "failed"],
    [{ "if-match": "" }, "failed"],
    [{ "if-match": '"a,"xyzzy"' }, "failed"],
    // Section 13.1.2: weak comparison.
    [{ "if-none-match": '"xyzzy"' }, "not-modified"],
    [{ "if-none-match": 'W/"xyzzy"' }, "not-modified"],
    [{ "if-none-match": '"xyzzy", "r2d2xxxx", "c3piozzzz"' }, "not-modified"],
    [{ "if-none-match": 'W/"a" , W/"xyzzy"' }, "not-modified"],
    [{ "if-none-match": '"a,b", "xyzzy"' }, "not-modified"],
    [{ "if-none-match": "*" }, "not-modified"],
    [{ "if-none-match": '"other"' }, "proceed"],
    [{ "if-none-match": "xyzzy" }, "proceed"],
    [{ "if-none-match": "" }, "proceed"],
    // Section 13.1.3.
    [{ "if-modified-since": SAME }, "not-modified"],
    [{ "if-modified-since": AFTER }, "not-modified"],
    [{ "if-modified-since": BEFORE }, "proceed"],
    [{ "if-modified-since": "yesterday" }, "proceed"],
    // Section 13.1.4.
    [{ "if-unmodified-since": SAME }, "proceed"],
    [{ "if-unmodified-since": AFTER }, "proceed"],
    [{ "if-unmodified-since": BEFORE }, "failed"],
    [{ "if-unmodified-since": "yesterday" }, "proceed"],
    // Section 13.2.2: what takes precedence.
    [{ "if-match": '"xyzzy"', "if-unmodified-since": BEFORE }, "proceed"],
    [{ "if-match": '"other"', "if-unmodified-since": AFTER }, "failed"],
    [{ "if-match": '"other"', "if-none-match": '"xyzzy"' }, "failed"],
    [{ "if-match": '"xyzzy"', "if-none-match": '"xyzzy"' }, "not-modified"],
    [{ "if-unmodified-since": BEFORE, "if-none-match": '"xyzzy"' }, "failed"],
    [{ "if-none-match": '"other"', "if-modified-since": AFTER }, "proceed"],
    [{ "if-none-match": '"xyzzy"', "if-modified-since": BEFORE }, "not-modified"],
    [{ "if-match": '"xyzzy"', "if-modified-since": AFTER }, "not-modified"],
  ];
  for (const [fields, expected] of cases) {
    it(`answers ${JSON.stringify(fields)} with ${expected}`, () => {
      assert.equal(resolve(fields), expected);
    });
  }

  it("ignores dates where the file's own says nothing", () => {
    const undated = { ...current, lastModifiedMs: null };
    assert.equal(resolve({ "if-modified-since": AFTER }, undated), "proceed");
    assert.equal(resolve({ "if-unmodified-since": BEFORE }, undated), "proceed");
  });
});

describe("isRangeCurrent()", () => {
  const cases: [string | undefined, boolean][] = [
    [undefined, true],
    ['"xyzzy"', true],
    ['"other"', false],
    ['W/"xyzzy"', false],
    ['"xyzzy", "other"', false],
    [SAME, true],
    [BEFORE, false],
    [AFTER, false],
    ["", false],
    ["*", false],
  ];
  for (const [value, expected] of cases) {
    it(`says ${expected} to ${value}`, () => {
      assert.equal(isRangeCurrent(value, current, NOW), expected);
    });
  }

  it("does not trust a date that is only a moment old", () => {
    assert.equal(isRangeCurrent(SAME, current, Date.parse(SAME) + 1999), false);
    assert.equal(isRangeCurrent(SAME, current, Date.parse(SAME) + 2000), true);
  });
});
