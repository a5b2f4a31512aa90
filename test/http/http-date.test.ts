import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { parseHttpDate } from "../../runtime/http/http-date.ts";

const NOW = Date.UTC(2025, 5, 1);
const EXAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37);

describe("parseHttpDate()", () => {
  it("reads the three forms of RFC 9110 section 5.6.7", () => {
    assert.equal(parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT", NOW), EXAMPLE);
    assert.equal(parseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT", NOW), EXAMPLE);
    assert.equal(parseHttpDate("Sun Nov  6 08:49:37 1994", NOW), EXAMPLE);
  });

  it("takes two digits of a year for the past if they are more than 50 years ahead", () => {
    assert.equal(
      parseHttpDate("Sunday, 06-Nov-75 08:49:37 GMT", NOW),
      Date.UTC(2075, 10, 6, 8, 49, 37),
    );
    assert.equal(
      parseHttpDate("Sunday, 06-Nov-76 08:49:37 GMT", NOW),
      Date.UTC(1976, 10, 6, 8, 49, 37),
    );
  });

  it("refuses what is no HTTP-date", () => {
    const values = [
      "",
      "0",
      "1994-11-06T08:49:37Z",
      "Sun, 06 Nov 1994 08:49:37",
      "Sun, 06 Nov 1994 08:49:37 UTC",
      "Sun, 6 Nov 1994 08:49:37 GMT",
      "Sun, 31 Feb 1994 08:49:37 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT",
      "Sun, 06 Anu 1994 08:49:37 GMT",
      "Sun, 06 Ove 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:49:37 GMT",
      "Sun, 06 Nov 1994 08:60:37 GMT",
      "Sun, 06 Nov 1994 08:49:61 GMT",
      "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    ];
    for (const value of values) assert.equal(parseHttpDate(value, NOW), null, value);
  });

  it("reads what toUTCString() writes", () => {
    const seconds = fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) / 1000 });
    fc.assert(
      fc.property(seconds, (second) => {
        const date = new Date(second * 1000);
        assert.equal(parseHttpDate(date.toUTCString(), NOW), date.getTime());
      }),
    );
  });
});
