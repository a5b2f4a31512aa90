import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { pickCoding, type ContentCoding } from "../../runtime/http/content-coding.ts";

const ALL: ContentCoding[] = ["br", "zstd", "gzip"];

describe("pickCoding()", () => {
  const cases: [string | undefined, ContentCoding[], ContentCoding | null][] = [
    [undefined, ALL, null],
    ["", ALL, null],
    // RFC 9110 section 12.5.3.
    ["compress, gzip", ALL, "gzip"],
    ["*", ALL, "br"],
    ["compress;q=0.5, gzip;q=1.0", ALL, "gzip"],
    ["gzip;q=1.0, identity; q=0.5, *;q=0", ALL, "gzip"],
    // Browsers.
    ["gzip, deflate, br, zstd", ALL, "br"],
    ["gzip, deflate, br, zstd", ["zstd", "gzip"], "zstd"],
    ["gzip, deflate", ALL, "gzip"],
    ["gzip", [], null],
    ["gzip", ["br"], null],
    ["deflate", ALL, null],
    ["identity", ALL, null],
    ["br;q=0.5, gzip;q=0.8", ALL, "gzip"],
    ["gzip;q=0.1", ALL, "gzip"],
    ["gzip;q=0", ALL, null],
    ["*;q=0", ALL, null],
    ["*;q=0, gzip", ALL, "gzip"],
    ["br;q=0, *;q=0.5", ALL, "zstd"],
    ["identity;q=0", ALL, null],
    ["identity;q=0, gzip;q=0.2", ALL, "gzip"],
    ["gzip;q=0.5, identity", ALL, null],
    ["gzip;q=0.5, identity;q=0.5", ALL, "gzip"],
    ["GZIP;Q=0.5", ALL, "gzip"],
    ["x-gzip", ALL, "gzip"],
    ["gzip ; q=0.001 ,", ALL, "gzip"],
    ["gzip;q=abc, br;q=1.5.2", ALL, null],
    ["gzip;level=9", ALL, null],
  ];
  for (const [value, available, expected] of cases) {
    it(`picks ${expected} of ${available.join("/")} for ${value}`, () => {
      assert.equal(pickCoding(value, available), expected);
    });
  }

  it("picks the same with and without weights that say nothing", () => {
    const name = fc.constantFrom("br", "zstd", "gzip", "x-gzip", "brr", "deflate", "identity", "");
    const member = fc.tuple(fc.constantFrom("", " ", "\t"), name, fc.constantFrom("", " "));
    fc.assert(
      fc.property(fc.array(member), fc.subarray(ALL), (members, available) => {
        const plain = members.map((parts) => parts.join("")).join(",");
        const weighted = members
          .map(([before, coding, after]) => (coding === "" ? "" : `${before}${coding};q=1${after}`))
          .join(",");
        assert.equal(pickCoding(plain, available), pickCoding(`${weighted},x;q=1`, available));
      }),
    );
  });

  it("picks only what there is", () => {
    fc.assert(
      fc.property(fc.string(), fc.subarray(ALL), (value, available) => {
        const coding = pickCoding(value, available);
        assert.ok(coding === null || available.includes(coding));
      }),
    );
  });
});
