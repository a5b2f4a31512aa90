import assert from "node:assert/strict";
import { describe, it } from "node:test";
import pino from "pino";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { exitCodeOf, type Raised, Succession } from "../../runtime/server/succession.ts";
import type { ExitOf, Successor } from "../../runtime/server/successor.ts";
import type { Place } from "../../runtime/server/takeover.ts";

const OURS = [{ scheme: "http" as const, port: 80 }];
const THEIRS = [{ scheme: "http" as const, port: 8080 }];

/** A succession whose processes are made up: `answer` decides what comes of the one that is raised now. */
function trial(): {
  succession: Succession;
  places: Place[];
  messages: string[];
  ended: number[];
  answer: { serve: (pid: number) => void; fail: (error: Error) => void };
} {
  const places: Place[] = [];
  const messages: string[] = [];
  const ended: number[] = [];
  const answer: ReturnType<typeof trial>["answer"] = { serve: () => {}, fail: () => {} };
  const log = pino(
    {},
    { write: (line) => void messages.push((JSON.parse(line) as { msg: string }).msg) },
  );
  const succession = new Succession({
    log,
    listeners: () => OURS,
    raise: (place, signal) => {
      places.push(place);
      return new Promise((resolve, reject) => {
        answer.serve = (pid) => {
          const end = async (): Promise<void> => void ended.push(pid);
          // All that a succession asks of one.
          resolve({ pid, listeners: THEIRS, end } as unknown as Successor);
        };
        answer.fail = reject;
        signal.addEventListener("abort", () => messages.push("(told to stop)"));
      });
    },
  });
  return { succession, places, messages, ended, answer };
}

/** Who serves; `null`: this process. */
function servingPid({ current }: Succession): number | null {
  return current?.pid ?? null;
}

/** The process that was raised; `null`: none. */
function raisedPid(raised: Raised): number | null {
  return "next" in raised ? raised.next.pid : null;
}

describe("Succession", () => {
  it("raises one in place of this process, the next in place of that one", async () => {
    const { succession, places, answer } = trial();
    assert.equal(servingPid(succession), null);
    const raising = succession.raise();
    assert.equal(succession.isRaising, true);
    answer.serve(100);
    assert.equal(raisedPid(await raising), 100);
    assert.equal(servingPid(succession), 100);
    assert.equal(succession.isRaising, false);
    const again = succession.raise();
    answer.serve(200);
    await again;
    assert.equal(servingPid(succession), 200);
    assert.deepEqual(places, [
      { serving: process.pid, listeners: OURS },
      { serving: 100, listeners: THEIRS },
    ]);
  });

  it("raises one at a time", async () => {
    const { succession, places, messages, answer } = trial();
    const first = succession.raise();
    assert.deepEqual(await succession.raise(), { refused: "another upgrade is under way" });
    assert.match(messages.at(-1) ?? "", /^upgrade ignored/);
    answer.serve(100);
    await first;
    assert.equal(places.length, 1);
  });

  it("leaves everything as it is when one does not come to serve, and can try again", async () => {
    const { succession, messages, answer } = trial();
    const first = succession.raise();
    answer.serve(100);
    await first;
    const failing = succession.raise();
    answer.fail(new RuntimeError("ERR_BOOT_LOOP", "Cannot upgrade: no"));
    assert.deepEqual(await failing, { refused: "Cannot upgrade: no" });
    assert.match(messages.at(-1) ?? "", /^upgrade refused, .*Cannot upgrade: no$/);
    assert.equal(servingPid(succession), 100);
    const again = succession.raise();
    answer.serve(300);
    assert.equal(raisedPid(await again), 300);
  });

  it("ends one that serves when nobody wants it any more", async () => {
    const { succession, ended, messages, answer } = trial();
    const raising = succession.raise();
    succession.abort();
    assert.equal(messages.at(-1), "(told to stop)");
    answer.serve(100);
    assert.deepEqual(await raising, { refused: "the server stops" });
    assert.deepEqual(ended, [100]);
    assert.equal(servingPid(succession), null);
  });

  it("does not call it an error when one that is not wanted fails", async () => {
    const { succession, messages, answer } = trial();
    const raising = succession.raise();
    succession.abort();
    answer.fail(new Error("ended"));
    assert.deepEqual(await raising, { refused: "the server stops" });
    assert.match(messages.at(-1) ?? "", /^upgrade given up/);
    succession.abort();
  });
});

describe("exitCodeOf()", () => {
  const cases: [exit: ExitOf, code: number][] = [
    [{ code: 0, signal: null }, 0],
    [{ code: 70, signal: null }, 70],
    [{ code: null, signal: "SIGKILL" }, 137],
    [{ code: null, signal: "SIGTERM" }, 143],
    // It was never started.
    [{ code: null, signal: null }, 70],
  ];
  for (const [exit, code] of cases) {
    it(`is ${code} for ${JSON.stringify(exit)}`, () => {
      assert.equal(exitCodeOf(exit), code);
    });
  }
});
