import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseOptions } from "../../scripts/bench/options.ts";

describe("parseOptions()", () => {
  it("measures everything by default", () => {
    assert.deepEqual(parseOptions([]), {
      action: "measure",
      install: false,
      rounds: 5,
      seconds: 4,
      warmUpSeconds: 1,
      retries: 1,
      connections: 64,
      workers: undefined,
      cases: "default",
      only: [],
      jsonFile: undefined,
    });
  });

  it("takes values after a space or an equals sign", () => {
    const options = parseOptions([
      "--rounds",
      "3",
      "--seconds=2",
      "--workers",
      "4",
      "--json=x.json",
    ]);
    assert.equal(options.rounds, 3);
    assert.equal(options.seconds, 2);
    assert.equal(options.workers, 4);
    assert.equal(options.jsonFile, "x.json");
  });

  it("takes zero where none is a choice", () => {
    assert.equal(parseOptions(["--retries", "0"]).retries, 0);
  });

  it("splits --only at commas", () => {
    assert.deepEqual(parseOptions(["--only", "bun,hello/uws"]).only, ["bun", "hello/uws"]);
  });

  it("knows the servers of other cases only when these are selected", () => {
    assert.throws(() => parseOptions(["--only", "nginx"]), { code: "ERR_CONFIG" });
    const options = parseOptions(["--only", "nginx,idle", "--cases", "all"]);
    assert.deepEqual([options.only, options.cases], [["nginx", "idle"], "all"]);
  });

  it("installs and lists in one go", () => {
    const options = parseOptions(["--install", "--list"]);
    assert.deepEqual([options.install, options.action], [true, "list"]);
  });

  const refused: readonly (readonly [string[], RegExp])[] = [
    [["--rounds", "0"], /--rounds: "0", expected a whole number from 1 to 1000/],
    [["--retries", "101"], /--retries: "101", expected a whole number from 0 to 100/],
    [["--rounds", "1.5"], /--rounds: "1.5"/],
    [["--seconds", "soon"], /--seconds: "soon"/],
    [["--connections", "4001"], /--connections: "4001"/],
    [["--workers=-1"], /--workers: "-1"/],
    [["--workers"], /--workers/],
    [["--only", "bun,bum"], /--only: "bum", expected one of .*workerd/],
    [["--cases", "some"], /--cases: "some", expected default or all/],
    [["--faster"], /--faster/],
    [["hello"], /hello/],
  ];
  for (const [args, message] of refused) {
    it(`refuses ${args.join(" ")}`, () => {
      assert.throws(() => parseOptions(args), { code: "ERR_CONFIG", message });
    });
  }
});
