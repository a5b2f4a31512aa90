import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { findField } from "../../runtime/http/find-field.ts";
import { CONFORMANCE, type ConformanceCase, NOW_MS } from "./conformance.ts";
import { ModelCache, toPolicy } from "./model-cache.ts";

/** Runs a case against the decisions alone. */
function run({ steps, settings = {} }: ConformanceCase): void {
  const cache = new ModelCache(toPolicy(settings));
  for (const [index, step] of steps.entries()) {
    const number = String(index + 1);
    const { expect } = step;
    const answer = cache.answer(step, {
      origin: { body: number, ...step.origin },
      nowMs: NOW_MS + (step.atSeconds ?? 0) * 1000,
    });
    const where = `step ${number}`;
    assert.equal(cache.asked.length > 0, expect.isAsked, `${where}: the origin is asked`);
    assert.equal(
      cache.refreshed.length > 0,
      expect.isRefreshed ?? false,
      `${where}: the origin is asked in the background`,
    );
    assert.equal(answer.status, expect.status ?? 200, `${where}: status`);
    const body = expect.body === undefined ? (expect.isAsked ? number : "1") : expect.body;
    if (body !== null) assert.equal(answer.body, body, `${where}: body`);
    for (const [name, value] of Object.entries(expect.sees ?? {})) {
      assert.equal(findField(cache.asked[0] ?? "", name) ?? null, value, `${where}: sees ${name}`);
    }
    for (const [name, value] of Object.entries(expect.fields ?? {})) {
      const found = findField(answer.fields, name) ?? null;
      if (value instanceof RegExp) assert.match(found ?? "", value, `${where}: ${name}`);
      else assert.equal(found, value, `${where}: ${name}`);
    }
  }
}

describe("decisions of the cache", () => {
  for (const group of new Set(CONFORMANCE.map((each) => each.group))) {
    describe(group, () => {
      for (const each of CONFORMANCE.filter((one) => one.group === group)) {
        it(`RFC ${each.section}: ${each.name}`, () => run(each));
      }
    });
  }

  it("has a name of its own for each case", () => {
    const names = CONFORMANCE.map(({ group, section, name, steps }) =>
      [group, section, name, steps.length].join(" "),
    );
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.length >= 120);
  });
});
