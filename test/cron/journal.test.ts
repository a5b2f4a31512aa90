import assert from "node:assert/strict";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { foldJournal, RunJournal } from "../../runtime/cron/journal.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const RUN = { job: "a", time: 1_000, startedMs: 1_001, pid: 7 } as const;

function openJournal(dir: string): { journal: RunJournal; problems: unknown[] } {
  const problems: unknown[] = [];
  const onProblem = (error: unknown): void => void problems.push(error);
  return { journal: new RunJournal({ stateDir: dir, onProblem }), problems };
}

describe("foldJournal()", () => {
  it("has runs that began and did not end", () => {
    const begin = JSON.stringify({ at: "begin", ...RUN, manual: false });
    const end = JSON.stringify({ at: "end", ...RUN, result: "done", durationMs: 5 });
    const { job: _, ...open } = { ...RUN, manual: false };
    const expected = { seenMs: 1_000, open: [open], waiting: [], last: null };
    assert.deepEqual(foldJournal(begin).get("a"), expected);
    assert.deepEqual(foldJournal(`${begin}\n${end}`).get("a"), {
      seenMs: 1_000,
      open: [],
      waiting: [],
      last: { time: 1_000, startedMs: 1_001, result: "done", durationMs: 5 },
    });
  });

  it("has times whose runs wait, until these begin or are left out", () => {
    const wait = [3_000, 1_000, 2_000, 1_000].map((time) => ({ at: "wait", job: "a", time }));
    const lines = [...wait, { at: "begin", ...RUN, manual: false }, { ...wait[2], at: "drop" }];
    const fold = (count: number): unknown => {
      const text = lines.slice(0, count).map((line) => JSON.stringify(line));
      return foldJournal(text.join("\n")).get("a")?.waiting;
    };
    assert.deepEqual(fold(4), [1_000, 2_000, 3_000]);
    assert.deepEqual(fold(5), [2_000, 3_000]);
    assert.deepEqual(fold(6), [3_000]);
  });

  it("does not count the time of a run for an operator", () => {
    const begin = JSON.stringify({ at: "begin", ...RUN, manual: true });
    assert.equal(foldJournal(begin).get("a")?.seenMs, 0);
  });

  it("ignores damaged lines, wherever the text ends", () => {
    const text = [
      { at: "seen", job: "a", time: 900 },
      { at: "begin", ...RUN, manual: false },
      { at: "end", ...RUN, result: "done", durationMs: 5 },
    ]
      .map((entry) => `${JSON.stringify(entry)}\n`)
      .join("");
    for (let end = 0; end <= text.length; end++) {
      const record = foldJournal(`${text.slice(0, end)}\n{"at":"seen","job":"b","time":1}`);
      assert.equal(record.get("b")?.seenMs, 1, `cut at ${end}`);
      assert.ok((record.get("a")?.open.length ?? 0) <= 1);
    }
    const odd = ["null", "7", "[]", '{"at":"end","job":"a"}', '{"at":"begin","job":1,"time":2}'];
    assert.equal(foldJournal(odd.join("\n")).size, 0);
  });
});

describe("RunJournal", () => {
  it("keeps what several processes write", async (t) => {
    const dir = temporaryFolder(t);
    const [one, two] = [openJournal(dir), openJournal(dir)];
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => [
        one.journal.add({ at: "seen", job: `one ${index}`, time: index }),
        two.journal.add({ at: "seen", job: `two ${index}`, time: index }),
      ]).flat(),
    );
    assert.equal((await one.journal.load()).size, 100);
    assert.equal(statSync(join(dir, "cron.jsonl")).mode & 0o077, 0);
  });

  it("is empty when there is none, and reports a disk that refuses once", async (t) => {
    const dir = temporaryFolder(t);
    const { journal, problems } = openJournal(join(dir, "none"));
    assert.equal((await journal.load()).size, 0);
    assert.equal(problems.length, 0);
    await journal.add({ at: "seen", job: "a", time: 1 });
    await journal.add({ at: "seen", job: "a", time: 2 });
    assert.equal(problems.length, 1);
    mkdirSync(join(dir, "none"));
    await journal.add({ at: "seen", job: "a", time: 3 });
    assert.equal((await journal.load()).get("a")?.seenMs, 3);
  });

  it("becomes short and loses no state", async (t) => {
    const dir = temporaryFolder(t);
    const path = join(dir, "cron.jsonl");
    const { journal } = openJournal(dir);
    const lines: string[] = [];
    for (let index = 0; index < 3_000; index++) {
      const run = { job: `job ${index % 3}`, time: index, startedMs: index, pid: 7 };
      lines.push(JSON.stringify({ at: "begin", ...run, manual: false }));
      if (index < 2_999)
        lines.push(JSON.stringify({ at: "end", ...run, result: "failed", durationMs: 1 }));
    }
    writeFileSync(path, lines.join("\n"));
    const before = await journal.load();
    await journal.shorten(10_000);
    assert.ok(readFileSync(path).length < 2_000);
    assert.deepEqual(await journal.load(), before);
    // Jobs of long ago are forgotten, once it is long again.
    writeFileSync(path, lines.join("\n"));
    await journal.shorten(10_000 + 500 * 24 * 3_600_000);
    assert.equal((await journal.load()).size, 0);
  });
});
