import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { killUnderLoad, poisonUnderLoad } from "../../scripts/soak/lose-workers.ts";
import { startServer } from "../helpers/start-server.ts";

// The long versions are in scripts/soak/kill-workers.ts and poison.ts.
const KILLS = {
  language: "javascript" as const,
  killEveryMs: 200,
  isEnough: (kills: number, requests: number): boolean => kills >= 6 && requests > 100,
  // Half of the connections have a request in flight. The soaks have no pauses, and take all processors.
  pauseMs: 5,
};
const TIMES = 20;

describe("workers that are killed all the time", { timeout: 600_000 }, () => {
  it("cost no GET, and no answer goes astray", async (t) => {
    const report = await killUnderLoad(t, { ...KILLS, method: "GET" });
    assert.ok(report.workers > 1, JSON.stringify(report));
    assert.deepEqual([report.failed, report.wrong, report.lost], [[], [], 0]);
  });

  it("cost the POSTs that they had, and none besides", async (t) => {
    const report = await killUnderLoad(t, { ...KILLS, method: "POST" });
    assert.ok(report.workers > 1, JSON.stringify(report));
    assert.deepEqual([report.failed, report.wrong], [Array(report.lost).fill("502"), []]);
  });
});

describe("a request that kills workers, sent again and again", { timeout: 600_000 }, () => {
  for (const how of ["exit", "abort", "throw", "bomb", "loop"]) {
    it(`costs two workers and nothing else: ${how}`, async (t) => {
      const paths = Array.from({ length: TIMES }, () => `/poison?how=${how}`);
      const env = { NODE_OPTIONS: "--max-old-space-size=48" };
      const { pauseMs } = KILLS;
      // A busy machine keeps a worker silent for seconds, and then the server takes it for hung.
      const flags = how === "loop" ? [] : ["--hang-timeout", "60s"];
      const options = { language: "javascript" as const, paths, env, flags, pauseMs };
      const report = await poisonUnderLoad(t, options);
      assert.deepEqual([report.failed, report.wrong], [[], []]);
      assert.deepEqual(report.poison, [502, ...Array<number>(TIMES - 1).fill(503)]);
      assert.deepEqual([report.workers, report.quarantined], [2, 1]);
    });
  }
});

function neverAnswers(replay: boolean): string {
  return `export const config = { replay: ${replay} };
    export default () => {
      process.stderr.write(JSON.stringify({ msg: "began", pid: process.pid }) + "\\n");
      return new Promise(() => {});
    };`;
}

describe("a handler that must not run twice", { timeout: 300_000 }, () => {
  it("says so, and one that may says that", async (t) => {
    const handlers = { "never.ts": neverAnswers(false), "always.ts": neverAnswers(true) };
    const server = await startServer(t, { handlers, workers: 2 });
    const began = async (count: number): Promise<number> => {
      let seen = 0;
      const line = await server.until(({ msg }) => msg === "began" && ++seen === count);
      return Number(line["pid"]);
    };
    const never = server.fetch("/never");
    process.kill(await began(1), "SIGKILL");
    assert.equal((await never).status, 502);
    const leave = new AbortController();
    const always = server.fetch("/always", { method: "POST", body: "x", signal: leave.signal });
    const first = await began(2);
    process.kill(first, "SIGKILL");
    assert.notEqual(await began(3), first);
    leave.abort();
    await assert.rejects(always);
  });
});
