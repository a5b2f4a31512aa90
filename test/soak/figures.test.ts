import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { countInstances } from "../../scripts/soak/heap-snapshot.ts";
import { PER_EXCHANGE } from "../../scripts/soak/leftovers.ts";
import { judgeTimes } from "../../scripts/soak/disturbance.ts";
import { percentileOf, summarize } from "../../runtime/drill/latencies.ts";
import { readSlowHttpTest } from "../../scripts/soak/slowhttptest.ts";
import { atLeast, atMost } from "../../scripts/soak/soak.ts";

describe("percentileOf()", () => {
  const cases: readonly (readonly [number[], number, number])[] = [
    [[], 0.99, 0],
    [[5], 0.5, 5],
    [[1, 2, 3, 4], 0.5, 2],
    [[1, 2, 3, 4], 0.99, 4],
    [Array.from({ length: 200 }, (_, index) => index + 1), 0.99, 198],
  ];
  for (const [values, part, expected] of cases) {
    it(`${part} of ${values.length} values`, () => {
      assert.equal(percentileOf(values, part), expected);
    });
  }
});

describe("summarize()", () => {
  it("needs no sorted values", () => {
    assert.deepEqual(summarize([3, 1, 2]), { count: 3, p50Ms: 2, p99Ms: 3, maxMs: 3 });
  });
});

describe("atMost() and atLeast()", () => {
  it("report a breach beyond the bound only", () => {
    assert.equal(atMost("a", 5, 5).breach, undefined);
    assert.equal(atMost("a", 6, 5).breach, "a: 6, expected at most 5");
    assert.equal(atLeast("a", 5, 5).breach, undefined);
    assert.equal(atLeast("a", 4, 5).breach, "a: 4, expected at least 5");
  });
});

describe("PER_EXCHANGE", () => {
  it("names classes that exist, else a leftover would not be found", () => {
    const runtime = join(import.meta.dirname, "../../runtime");
    const sources = readdirSync(runtime, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(join(runtime, name), "utf8"));
    const classes = new Set(
      sources.flatMap((text) =>
        [...text.matchAll(/^export (?:abstract )?class (\w+)/gm)].map(([, name]) => name),
      ),
    );
    // Of Node.
    classes.add("Timeout");
    assert.deepEqual(
      PER_EXCHANGE.filter((name) => !classes.has(name)),
      [],
    );
  });
});

describe("judgeTimes()", () => {
  const cases = [
    { times: 1.1, cores: 0, brief: false, isBroken: false },
    { times: 1.3, cores: 0, brief: false, isBroken: true },
    { times: 1.3, cores: 0.5, brief: false, isBroken: false },
    { times: 1.3, cores: 0, brief: true, isBroken: false },
  ];
  for (const { times, cores, brief, isBroken } of cases) {
    it(`${isBroken ? "breaks" : "holds"} at ${times} with ${cores} cores of others, brief: ${brief}`, () => {
      const figures = judgeTimes(times, { cores, brief });
      assert.equal(
        figures.some(({ breach }) => breach !== undefined),
        isBroken,
      );
    });
  }
});

/** A small program's own snapshot, with a number of live objects. */
async function countAlive(things: number): Promise<number> {
  const program = `
    class SoakedThing { constructor(n) { this.n = n; } }
    const kept = Array.from({ length: ${things} }, (_, n) => new SoakedThing(n));
    for (let n = 0; n < 100; n++) new SoakedThing(n);
    require("node:v8").getHeapSnapshot().pipe(process.stdout).on("close", () => kept.length);`;
  const options = { maxBuffer: 256 * 1024 ** 2 };
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", program], options);
  return countInstances(stdout, ["SoakedThing"]).get("SoakedThing") ?? -1;
}

describe("countInstances()", () => {
  it("counts live objects only", async () => {
    assert.deepEqual([await countAlive(0), await countAlive(3)], [0, 3]);
  });
});

function state(answer: string): string {
  return `\u001B[1;32mservice available:\u001B[1;32m   \u001B[1;32m${answer}\u001B[0m\n`;
}

describe("readSlowHttpTest()", () => {
  const end = "Test ended on 5th second\nExit status:\u001B[1;36m Hit test time limit\n\u001B[0m";

  it("is available when no probe has failed", () => {
    const read = readSlowHttpTest(state("YES") + state("YES") + end);
    assert.deepEqual(read, { available: true, exit: "Hit test time limit" });
  });

  it("is unavailable when a probe has failed, or none was made", () => {
    assert.equal(
      readSlowHttpTest(state("YES") + state("NO") + state("YES") + end).available,
      false,
    );
    assert.equal(readSlowHttpTest(end).available, false);
  });
});
