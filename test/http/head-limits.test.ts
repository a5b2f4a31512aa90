import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findHeadBreach, type HeadSize } from "../../runtime/http/head-limits.ts";

const LIMITS = { headerLimitBytes: 1_000, headerCountLimit: 10, urlLimitBytes: 100 };
const SIZE: HeadSize = { requestLineBytes: 116, targetBytes: 100, fields: 10, fieldsBytes: 882 };

describe("findHeadBreach()", () => {
  it("names the setting that a head breaks, and the status that says so", () => {
    const cases: [change: Partial<HeadSize>, breach: [setting: string, status: number] | null][] = [
      [{}, null],
      [{ targetBytes: 101 }, ["urlLimit", 414]],
      [{ fields: 11 }, ["headerCountLimit", 431]],
      [{ fieldsBytes: 883 }, ["headerLimit", 431]],
      // The first of them is the one that a client can do something about.
      [{ targetBytes: 2_000, requestLineBytes: 2_016, fields: 11 }, ["urlLimit", 414]],
    ];
    for (const [change, breach] of cases) {
      const found = findHeadBreach({ ...SIZE, ...change }, LIMITS);
      assert.deepEqual(
        found === null ? null : [found.setting, found.status],
        breach,
        JSON.stringify(change),
      );
    }
  });
});
