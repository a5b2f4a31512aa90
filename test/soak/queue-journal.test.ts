import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeptValue } from "../../scripts/soak/kept-value.ts";
import { judgeJournal, parseJournal } from "../../scripts/soak/queue-journal.ts";

describe("parseJournal()", () => {
  it("leaves out lines without their end", () => {
    const lines = parseJournal("begin m1 .\nend m1\nbegin m1kill\nkilled\nempty\nbegin m2");
    assert.deepEqual(lines, [{ kind: "begin", id: "m1" }, { kind: "killed" }, { kind: "empty" }]);
  });
});

describe("judgeJournal()", () => {
  const cases: readonly (readonly [
    string,
    readonly string[],
    { repeats: number; unexplained?: string[]; revived?: string[] },
  ])[] = [
    ["one run", ["begin m .", "end m ."], { repeats: 0 }],
    ["a kill between two runs", ["begin m .", "kill", "killed", "begin m ."], { repeats: 1 }],
    ["a run during a kill", ["kill", "begin m .", "killed", "begin m ."], { repeats: 1 }],
    ["both runs during a kill", ["kill", "begin m .", "begin m .", "killed"], { repeats: 1 }],
    ["no kill", ["begin m .", "end m .", "begin m ."], { repeats: 1, unexplained: ["m"] }],
    [
      "a kill before both runs",
      ["kill", "killed", "begin m .", "begin m ."],
      { repeats: 1, unexplained: ["m"] },
    ],
    [
      "one kill for three runs",
      ["begin m .", "kill", "killed", "begin m .", "begin m ."],
      { repeats: 2, unexplained: ["m"] },
    ],
    [
      "a kill after the store was empty",
      ["begin m .", "empty", "kill", "killed", "begin m ."],
      { repeats: 1, revived: ["m"] },
    ],
  ];
  for (const [title, lines, { repeats, unexplained = [], revived = [] }] of cases) {
    it(`judges ${title}`, () => {
      const report = judgeJournal(parseJournal(lines.join("\n")));
      assert.deepEqual([...report.begun], ["m"]);
      const found = { repeats: report.repeats, unexplained: report.unexplained };
      assert.deepEqual(found, { repeats, unexplained });
      assert.deepEqual(report.revived, revived);
    });
  }

  it("tells a message whose run did not come to its end", () => {
    const { begun, ended } = judgeJournal(parseJournal("begin a .\nbegin b .\nend b ."));
    assert.deepEqual([...begun], ["a", "b"]);
    assert.deepEqual([...ended], ["b"]);
  });
});

/** Judges two reads of a key with an acknowledged 1 and an unanswered 2. */
function judgeTwice(first: string, second: string): (string | null)[] {
  const value = new KeptValue("k");
  value.begin();
  value.acknowledge();
  value.begin();
  return [value.judge(first), value.judge(second)];
}

describe("KeptValue", () => {
  it("must have its last acknowledged number", () => {
    const value = new KeptValue("k");
    assert.equal(value.judge(null), null);
    for (const number of [1, 2]) {
      assert.equal(value.begin(), number);
      value.acknowledge();
    }
    assert.equal(value.judge("2"), null);
    for (const wrong of [null, "1", "3"]) assert.notEqual(value.judge(wrong), null);
  });

  it("may have the number of a write without an answer, and keeps it then", () => {
    assert.deepEqual(judgeTwice("1", "1"), [null, null]);
    assert.deepEqual(judgeTwice("2", "2"), [null, null]);
    assert.equal(judgeTwice("2", "1")[1], "k was 2, and is 1");
    assert.equal(judgeTwice("3", "3")[0], "k is 3, expected 1 or 2");
  });
});
