import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { Family } from "../../runtime/metrics/family.ts";
import { BOUNDS_MS } from "../../runtime/lib/duration-bounds.ts";
import { pickFormat, writeMetrics } from "../../runtime/metrics/write-metrics.ts";
import { Histogram } from "../../runtime/observe/histogram.ts";
import { createFacts } from "./sample-facts.ts";

function familyOf(own: Partial<Family> & Pick<Family, "type" | "collect">): Family {
  return { name: "a_b", unit: null, labels: [], help: "Help.", ...own };
}

function write(family: Family, format: "text" | "openmetrics" = "text"): string[] {
  return writeMetrics([family], createFacts(), format).split("\n");
}

describe("writeMetrics()", () => {
  it("writes counters, whose name OpenMetrics describes without its ending", () => {
    const family = familyOf({
      type: "counter",
      unit: "bytes",
      name: "sent_bytes",
      labels: ["to"],
      collect: () => [
        [["a"], 1],
        [['"\\\n'], 2.5],
      ],
    });
    const samples = ['sent_bytes_total{to="a"} 1', 'sent_bytes_total{to="\\"\\\\\\n"} 2.5'];
    assert.deepEqual(write(family), [
      "# HELP sent_bytes_total Help.",
      "# TYPE sent_bytes_total counter",
      ...samples,
      "",
    ]);
    assert.deepEqual(write(family, "openmetrics"), [
      "# HELP sent_bytes Help.",
      "# TYPE sent_bytes counter",
      "# UNIT sent_bytes bytes",
      ...samples,
      "# EOF",
      "",
    ]);
  });

  it("writes histograms with buckets that add up, in seconds", () => {
    const histogram = new Histogram();
    for (const ms of [0.05, 1, 1.1, 2.5, 59_000, 61_000, 1e9]) histogram.note(ms);
    const lines = write(
      familyOf({ type: "histogram", labels: ["x"], collect: () => [[["y"], histogram]] }),
    );
    const buckets = lines.flatMap(
      (line) => /le="(.+?)"} (\d+)/.exec(line)?.slice(1).join(" ") ?? [],
    );
    assert.deepEqual(buckets.slice(0, 3), ["0.001 2", "0.0025 4", "0.005 4"]);
    assert.deepEqual(buckets.slice(-3), ["30.0 4", "60.0 5", "+Inf 7"]);
    assert.ok(lines.includes('a_b_count{x="y"} 7'));
    assert.ok(lines.includes('a_b_bucket{x="y",le="1.0"} 4'));
    assert.ok(
      lines.some((line) => line.startsWith('a_b_sum{x="y"} 1000120.00')),
      lines.join("\n"),
    );
  });

  it("writes exactly the bounds of the setting, and counts each duration at its place", () => {
    const bounds = fc.uniqueArray(fc.constantFrom(...BOUNDS_MS), { minLength: 1 });
    const durations = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }));
    fc.assert(
      fc.property(bounds, durations, (unsorted, all) => {
        const bucketsMs = unsorted.toSorted((one, other) => one - other);
        const histogram = new Histogram();
        for (const ms of all) histogram.note(ms);
        const family = familyOf({ type: "histogram", collect: () => [[[], histogram]] });
        const text = writeMetrics([family], { ...createFacts(), bucketsMs }, "text");
        const found = [...text.matchAll(/le="(.+?)"} (\d+)/g)].map(([, le, count]) => [
          le === "+Inf" ? Infinity : Number(le),
          Number(count),
        ]);
        const expected = [...bucketsMs, Infinity].map((bound) => [
          bound === Infinity ? bound : Number(`${bound}e-3`),
          all.filter((ms) => ms <= bound).length,
        ]);
        assert.deepEqual(found, expected);
      }),
    );
  });

  it("refuses a bound that histograms do not have", () => {
    assert.throws(
      () => writeMetrics([], { ...createFacts(), bucketsMs: [1.1] }, "text"),
      TypeError,
    );
  });

  it("leaves out metrics without samples", () => {
    assert.deepEqual(write(familyOf({ type: "gauge", collect: () => [] })), [""]);
  });
});

describe("pickFormat()", () => {
  const cases: [string | undefined, string][] = [
    [undefined, "text"],
    ["", "text"],
    ["*/*", "text"],
    ["text/plain;version=0.0.4", "text"],
    ["application/openmetrics-text", "openmetrics"],
    [
      "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
      "openmetrics",
    ],
    ["application/openmetrics-text;q=0,text/plain", "text"],
  ];
  for (const [accept, expected] of cases) {
    it(`is ${expected} for ${accept}`, () => assert.equal(pickFormat(accept), expected));
  }
});
