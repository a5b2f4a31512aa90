import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { BOUNDS_MS } from "../../runtime/lib/duration-bounds.ts";
import { FAMILIES, nameOf } from "../../runtime/metrics/families.ts";
import { mergePools } from "../../runtime/metrics/merge-pools.ts";
import { writeMetrics } from "../../runtime/metrics/write-metrics.ts";
import { readMetricsPage, withMetricsTable } from "../../scripts/metrics-table.ts";
import { createFacts } from "./sample-facts.ts";

const DASHBOARD = join(import.meta.dirname, "../../scripts/grafana-dashboard.json");

/** Returns the names of the series of a family, as a query has them. */
function queryNames(family: (typeof FAMILIES)[number]): string[] {
  const name = nameOf(family);
  if (family.type !== "histogram") return [name];
  return ["_bucket", "_sum", "_count"].map((ending) => name + ending);
}

describe("FAMILIES", () => {
  it("have different names, in the form of Prometheus, and a sentence of help", () => {
    const names = FAMILIES.map(nameOf);
    assert.equal(new Set(names).size, names.length);
    for (const family of FAMILIES) {
      const { name, unit, help } = family;
      assert.match(name, /^edgicorn_[a-z]+(_[a-z]+)*$/);
      assert.match(help, /^[A-Z0-9].*\.$/, name);
      // OpenMetrics wants the unit at the end of the name.
      if (unit !== null) assert.ok(name.endsWith(`_${unit}`), name);
    }
  });

  it("give as many values as labels, and each set of values once", () => {
    const facts = createFacts();
    for (const { name, labels, collect } of FAMILIES) {
      const samples = [...collect(facts)];
      assert.ok(samples.length > 0, `${name} has no sample`);
      const sets = samples.map(([values]) => {
        assert.equal(values.length, labels.length, name);
        return JSON.stringify(values);
      });
      assert.equal(new Set(sets).size, sets.length, name);
    }
  });

  it("count two pools with one version of the code together", () => {
    const facts = createFacts();
    const [pool] = facts.pools;
    assert.ok(pool !== undefined);
    const retiring = { ...pool, desired: 0, queueAgeMs: pool.queueAgeMs + 5 };
    const other = { ...pool, generation: "another" };
    const [both, last, ...rest] = mergePools([pool, retiring, other]);
    assert.deepEqual(rest, []);
    assert.equal(last, other);
    assert.deepEqual(both, {
      ...pool,
      queued: 2 * pool.queued,
      inFlight: 2 * pool.inFlight,
      queueAgeMs: pool.queueAgeMs + 5,
      workers: [...pool.workers, ...pool.workers],
    });
  });

  it("are the table of docs/metrics.md (`npm run docs` writes it)", () => {
    const page = readMetricsPage();
    assert.equal(page, withMetricsTable(page));
  });

  it("are what the dashboard and the queries of the page name", () => {
    const known = new Set(FAMILIES.flatMap(queryNames));
    const dashboard = readFileSync(DASHBOARD, "utf8");
    assert.ok(Array.isArray((JSON.parse(dashboard) as { panels: unknown }).panels));
    const [prose = ""] = readMetricsPage().split("<!-- metrics -->");
    for (const text of [dashboard, prose]) {
      const named = [...text.matchAll(/\bedgicorn_[a-z_]+/g)].map(([name]) => name);
      assert.ok(named.length > 0);
      assert.deepEqual(
        named.filter((name) => !known.has(name)),
        [],
      );
    }
  });

  it("are read from the dashboard without a bound, since operators choose the buckets", () => {
    const dashboard = readFileSync(DASHBOARD, "utf8");
    const queries = [...dashboard.matchAll(/"expr": "(.*)"/g)].map(([, query = ""]) => query);
    const ofBuckets = queries.filter((query) => query.includes("_bucket{"));
    assert.ok(ofBuckets.length > 0);
    for (const query of ofBuckets) {
      assert.match(query, /histogram_quantile\([\d.]+, sum by \(le\b/);
      assert.doesNotMatch(query, /\ble *[=!]/);
    }
  });

  const setsOfBuckets = { some: createFacts().bucketsMs, one: [200], all: [...BOUNDS_MS] };
  for (const [name, bucketsMs] of Object.entries(setsOfBuckets)) {
    it(`satisfy promtool, with ${name} of the bounds`, (t) => {
      const input = writeMetrics(FAMILIES, { ...createFacts(), bucketsMs }, "text");
      const checked = spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" });
      if (checked.error !== undefined) {
        t.skip("promtool is not installed (Debian: prometheus)");
        return;
      }
      assert.deepEqual([checked.status, checked.stdout, checked.stderr], [0, "", ""]);
    });
  }
});
