import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseArguments } from "../../../runtime/cli/arguments.ts";
import { parseProfile } from "../../../runtime/cli/profile/parse-profile.ts";
import { parseProfileRequest } from "../../../runtime/control/profiling.ts";

describe("parseProfile()", () => {
  it("reads a worker, and the kind of the profile", () => {
    const { wish, problems } = parseProfile(["3"], {});
    assert.deepEqual(problems, []);
    assert.deepEqual(wish, { request: { target: 3, kind: "cpu", seconds: 10 }, output: null });
    const own = { heap: [""], output: ["a.heapsnapshot"] };
    assert.deepEqual(parseProfile(["primary"], own).wish, {
      request: { target: "primary", kind: "heap", seconds: 10 },
      output: "a.heapsnapshot",
    });
  });

  const wrong: [words: string[], own: Record<string, string[]>, problem: RegExp][] = [
    [[], {}, /found nothing, expected a worker's number or process id/],
    [["0"], {}, /found "0"/],
    [["worker"], {}, /found "worker"/],
    [["1"], { seconds: ["0"] }, /--seconds: found "0", expected a number above 0, up to 600/],
    [["1"], { seconds: ["601"] }, /found "601"/],
    [["1"], { seconds: ["1e2"] }, /found "1e2"/],
    [["1"], { seconds: ["5"], heap: [""] }, /found it with --heap/],
    [["1"], { output: [""] }, /--output: found no name/],
  ];
  for (const [words, own, problem] of wrong) {
    it(`refuses ${JSON.stringify({ words, own })}`, () => {
      assert.match(parseProfile(words, own).problems.join("\n"), problem);
    });
  }
});

describe("parseArguments()", () => {
  it("gives --seconds to profile and to drill", () => {
    const profile = parseArguments(["profile", "2", "--seconds", "3", "--json"]);
    assert.ok(profile.command === "profile");
    assert.deepEqual([profile.request.seconds, profile.json], [3, true]);
    const drill = parseArguments(["drill", "--seconds", "3"]);
    assert.ok(drill.command === "drill");
    assert.equal(drill.seconds, 3);
    assert.throws(
      () => parseArguments(["status", "--seconds", "3"]),
      /only profile and shadow have it/,
    );
    assert.throws(() => parseArguments(["profile", "1", "2"]), /found "2", expected one worker/);
  });
});

describe("parseProfileRequest()", () => {
  const cases: [body: unknown, isTaken: boolean][] = [
    [{ target: "primary", kind: "cpu", seconds: 1 }, true],
    [{ target: 7, kind: "heap", seconds: 0.5 }, true],
    [{ target: "worker", kind: "cpu", seconds: 1 }, false],
    [{ target: -1, kind: "cpu", seconds: 1 }, false],
    [{ target: 1, kind: "memory", seconds: 1 }, false],
    [{ target: 1, kind: "cpu", seconds: 1e9 }, false],
    [{ target: 1, kind: "cpu", seconds: "1" }, false],
    [null, false],
    [[], false],
  ];
  for (const [body, isTaken] of cases) {
    it(`${isTaken ? "takes" : "refuses"} ${JSON.stringify(body)}`, () => {
      assert.equal(parseProfileRequest(JSON.stringify(body)) !== null, isTaken);
    });
  }
  it("refuses text that is no JSON", () => assert.equal(parseProfileRequest("{"), null));
});
