import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseOptions, type Options } from "../../scripts/soak/options.ts";

function parse(...args: readonly string[]): Options {
  return parseOptions(args, { known: ["exchanges", "echo-1g"], randomSeed: 42 });
}

describe("parseOptions()", () => {
  it("runs all soaks, one at a time, by default", () => {
    assert.deepEqual(parse(), {
      help: false,
      names: [],
      brief: false,
      seconds: null,
      seed: 42,
      maxGrowthBytes: null,
      jobs: 1,
    });
  });

  it("takes names and numbers", () => {
    const options = parse("exchanges", "--seconds", "5", "--seed", "7", "--max-growth", "64");
    const { names, seconds, seed, maxGrowthBytes } = options;
    assert.deepEqual([names, seconds, seed, maxGrowthBytes], [["exchanges"], 5, 7, 64 * 1024 ** 2]);
  });

  it("runs several at a time in brief", () => {
    assert.equal(parse("--brief").jobs, 3);
    assert.equal(parse("--brief", "--jobs", "1").jobs, 1);
  });

  const wrong = [
    ["nothing-of-the-kind"],
    ["--seconds", "0"],
    ["--seconds", "1.5"],
    ["--seed", "x"],
    ["--what"],
  ];
  for (const args of wrong) {
    it(`refuses ${args.join(" ")}`, () => {
      assert.throws(() => parse(...args), { code: "ERR_CONFIG" });
    });
  }
});
