import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judge, type Seen } from "../../runtime/drill/judge.ts";

const FINE: Seen = {
  requests: 100,
  failed: 0,
  refused: 0,
  closed: 0,
  p50Ms: 1,
  p99Ms: 2,
  failures: [],
};

describe("judge()", () => {
  const cases: [title: string, seen: Partial<Seen>, mayRefuse: boolean, breaches: string[]][] = [
    ["holds when all requests were answered", {}, false, []],
    ["does not judge times", { p50Ms: 9_999, p99Ms: 99_999 }, false, []],
    [
      "proves nothing without requests",
      { requests: 0 },
      true,
      ["no requests were sent, so nothing is known"],
    ],
    [
      "tells the failures",
      { failed: 2, failures: ["GET / was 500", "no answer"] },
      true,
      ["2 requests failed: GET / was 500; no answer"],
    ],
    ["allows 503 when the load exceeds the capacity", { refused: 5 }, true, []],
    ["allows no 503 elsewhere", { refused: 5 }, false, ["5 requests were answered 503"]],
    ["never allows a closed connection", { closed: 1 }, true, ["1 connections were closed"]],
    [
      "tells all that is wrong",
      { failed: 1, refused: 1, closed: 1, failures: ["x"] },
      false,
      ["1 requests failed: x", "1 requests were answered 503", "1 connections were closed"],
    ],
  ];
  for (const [title, seen, mayRefuse, breaches] of cases) {
    it(title, () => {
      assert.deepEqual(judge({ ...FINE, ...seen }, { mayRefuse }), breaches);
    });
  }
});
