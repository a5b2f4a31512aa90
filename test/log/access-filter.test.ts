import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AccessFilterSettings, createAccessFilter } from "../../runtime/log/access-filter.ts";

const ALL = { accessLogStatus: null, accessLogSkip: null, accessLogSample: 1 };

function filter(settings: Partial<AccessFilterSettings>, random = 0.5) {
  const made = createAccessFilter({ ...ALL, ...settings }, () => random);
  assert.ok(made !== null);
  return made;
}

describe("createAccessFilter()", () => {
  it("is absent where every request has a line", () => {
    assert.equal(createAccessFilter(ALL), null);
  });

  it("selects statuses and classes", () => {
    const takes = filter({ accessLogStatus: ["4xx", "503"] });
    const taken = [200, 301, 400, 499, 500, 503].filter((status) => takes("/", status));
    assert.deepEqual(taken, [400, 499, 503]);
  });

  it("skips paths as the server resolves them, so that no client hides a request", () => {
    const takes = filter({ accessLogSkip: ["/healthz", "/assets/**"] });
    for (const skipped of [
      "/healthz",
      "/healthz/",
      "/healthz?a",
      "/assets",
      "/assets/a/b.js",
      "/%68ealthz",
    ]) {
      assert.equal(takes(skipped, 500), false, skipped);
    }
    for (const kept of [
      "/",
      "/healthzz",
      "/assets/../admin",
      "/assets/%2e%2e/admin",
      "/assets//admin",
      "/assets/..%2fadmin",
      "/HEALTHZ",
      "http://[",
    ]) {
      assert.equal(takes(kept, 200), true, kept);
    }
  });

  it("samples good answers only", () => {
    const settings = { accessLogSample: 0.25 };
    assert.equal(filter(settings, 0.24)("/", 200), true);
    assert.equal(filter(settings, 0.25)("/", 304), false);
    for (const status of [400, 404, 500]) assert.equal(filter(settings, 0.9)("/", status), true);
    assert.equal(filter({ accessLogSample: 0 }, 0)("/", 200), false);
  });
});
