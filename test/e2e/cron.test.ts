import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { noRedis, RedisServer } from "../helpers/redis-server.ts";
import { runCommand } from "../helpers/run-command.ts";
import { type LogLine, startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const TICK = `
export const config = { schedule: "* * * * * *" };
export function scheduled(event, env, context) {
  context.log.info({ primary: process.ppid, at: event.scheduledTime, event: event.type + event.cron }, "tick");
}`;

/** Kills its worker in its first run. */
const CRASHES = `
import { appendFileSync, readFileSync } from "node:fs";
export default {
  fetch: () => new Response("answers"),
  scheduled() {
    appendFileSync("runs", "x");
    if (readFileSync("runs").length === 1) process.kill(process.pid, "SIGKILL");
  },
};
export const config = { schedule: "0 0 1 1 *" };`;

const SLOW = `
export const config = { schedule: { cron: "0 0 1 1 *", timeZone: "Asia/Tokyo" }, timeoutMs: 300 };
export const scheduled = (event, env, context) =>
  new Promise((resolve) => {
    const stop = () => (context.log.info("told to stop"), resolve());
    // A worker that is late reads the run and its end at once.
    if (event.signal.aborted) stop();
    else event.signal.addEventListener("abort", stop);
  });`;

const FAILS = `
export const config = { schedule: "0 0 1 1 *" };
export async function scheduled() { throw new Error("no luck"); }`;

/** Does not end in its first run. */
const HANGS = `
import { existsSync, writeFileSync } from "node:fs";
export const config = { schedule: "* * * * * *" };
export async function scheduled(event, env, context) {
  const isFirst = !existsSync("begun");
  writeFileSync("begun", "");
  context.log.info({ at: event.scheduledTime }, isFirst ? "hangs" : "runs");
  if (isFirst) await new Promise(() => setInterval(() => {}, 1_000));
}`;

/** The times for which the handler ran, so far. */
function ticks({ logs }: TestServer): number[] {
  return logs.flatMap(({ msg, at }) => (msg === "tick" ? [Number(at)] : []));
}

/** The ticks whose end the server has told the store. The run of another tick is done again after a kill. */
function endedTicks(server: TestServer): number[] {
  const ended = new Set(
    server.logs.flatMap(({ msg, route, scheduledTime }) =>
      msg === "scheduled run ended" && route === "/tick" ? [Date.parse(String(scheduledTime))] : [],
    ),
  );
  return ticks(server).filter((time) => ended.has(time));
}

/** Waits for a tick that comes later than all lines so far. */
async function nextTick(server: TestServer, fits: (line: LogLine) => boolean): Promise<LogLine> {
  const seen = server.logs.length;
  return server.until(
    (line) => line.msg === "tick" && fits(line) && server.logs.indexOf(line) >= seen,
  );
}

describe("handlers with times", { timeout: 300_000 }, () => {
  const owner = new SuiteOwner();
  after(() => owner.end());
  let shared: Promise<TestServer> | null = null;
  /** A run of this time or earlier may have lost its worker after its line was written, and have run again. */
  let repeatableMs = 0;
  const start = (): Promise<TestServer> =>
    (shared ??= startServer(owner, {
      handlers: {
        "tick.ts": TICK,
        "crashes.ts": CRASHES,
        "slow.ts": SLOW,
        "fails.ts": FAILS,
        "_404.ts": `export default () => new Response("not here")`,
      },
      workers: 2,
    }));

  it("run once for each time, over all workers, and answer no request", async () => {
    const server = await start();
    for (let count = 0; count < 3; count++) await nextTick(server, () => true);
    const times = ticks(server);
    assert.equal(new Set(times).size, times.length);
    assert.ok(times.every((time) => time % 1_000 === 0));
    const tick = server.logs.find(({ msg }) => msg === "tick");
    assert.equal(tick?.["event"], "scheduled* * * * * *");
    const [silent, answers] = await Promise.all([server.fetch("/tick"), server.fetch("/crashes")]);
    assert.deepEqual([silent.status, await silent.text()], [404, "not here"]);
    assert.equal(await answers.text(), "answers");
    const { stdout } = await runCommand(["routes"], server.dir);
    assert.doesNotMatch(stdout, /tick\.ts/);
    assert.match(stdout, /crashes\.ts/);
  });

  it("go to another worker when theirs is lost", async () => {
    const server = await start();
    const { code, stdout } = await runCommand(["cron", "run", "/crashes"], server.dir);
    assert.match(stdout, /^\/crashes: done after \d+ ms\n$/);
    assert.equal(code, 0);
    assert.equal(readFileSync(join(server.dir, "runs"), "utf8"), "xx");
    repeatableMs = Date.now();
  });

  it("end at their limit, and fail with their error in the log", async () => {
    const server = await start();
    const [slow, fails, none] = await Promise.all(
      ["/slow", "fails.ts", "/none"].map((name) => runCommand(["cron", "run", name], server.dir)),
    );
    assert.match(slow?.stdout ?? "", /^\/slow: timed out after \d+ ms \(the log/);
    assert.equal(slow?.code, 70);
    await server.until(({ msg }) => msg === "told to stop");
    assert.match(fails?.stdout ?? "", /^\/fails: failed after/);
    await server.until(
      ({ msg, err }) => msg === "scheduled() failed" && JSON.stringify(err).includes("no luck"),
    );
    // The view of recent failures is renewed each second.
    for (
      let shown = "";
      !/(once|\d+ times) +500 +scheduled\(\) \/fails +handlers\/fails\.ts:3 +Error: no luck/.test(
        shown,
      );
    ) {
      // oxlint-disable-next-line no-await-in-loop -- Until the view has it.
      shown = (await runCommand(["status"], server.dir)).stdout;
    }
    assert.equal(none?.code, 78);
    assert.match(none?.stderr ?? "", /found no handler with times.*\/slow "0 0 1 1 \*"/);
  });

  it("are listed with their results", async () => {
    const server = await start();
    const { stdout } = await runCommand(["cron"], server.dir);
    assert.match(stdout, /^\/slow +0 0 1 1 \* \(Asia\/Tokyo\) +\d+-12-31T15:00.* timed out /m);
    assert.match(stdout, /^\/fails .* failed /m);
    assert.match(stdout, /^\/crashes .* done /m);
    const json = await runCommand(["status", "--json"], server.dir);
    assert.match(json.stdout, /"cron": "\* \* \* \* \* \*"/);
  });

  it("keep their times through a reload, with new code", async () => {
    const server = await start();
    writeFileSync(join(server.handlersDir, "tick.ts"), TICK.replace("event.type", `"new"`));
    const { code, stderr } = await runCommand(["reload"], server.dir);
    assert.equal(code, 0, stderr);
    await nextTick(server, ({ event }) => String(event).startsWith("new"));
    const times = ticks(server).filter((time) => time > repeatableMs);
    assert.equal(new Set(times).size, times.length);
  });

  it("stop a reload whose times are wrong", async () => {
    const server = await start();
    const file = join(server.handlersDir, "fails.ts");
    writeFileSync(file, FAILS.replace("0 0 1 1 *", "0 25 * * *"));
    const { code, stderr } = await runCommand(["reload"], server.dir);
    writeFileSync(file, FAILS);
    assert.equal(code, 70);
    assert.match(
      stderr,
      /fails\.ts:2:\d+: config\.schedule has the cron expression "0 25 \* \* \*"/,
    );
  });

  it("run in one of two processes during an upgrade", async () => {
    const server = await start();
    server.kill("SIGUSR2");
    await server.until(({ msg }) => msg?.startsWith("took over") === true);
    await nextTick(server, ({ primary }) => primary !== server.pid);
    await nextTick(server, ({ primary }) => primary !== server.pid);
    const times = ticks(server).filter((time) => time > repeatableMs);
    assert.equal(new Set(times).size, times.length, "no time comes twice");
  });

  it("are made up for when their server was killed", async (t) => {
    const first = await startServer(t, { handlers: { "hangs.ts": HANGS } });
    const { at } = await first.until(({ msg }) => msg === "hangs");
    first.kill("SIGKILL");
    await first.exit;
    const second = await startServer(t, { handlers: first.handlersDir, cwd: first.dir });
    await second.until(({ msg }) => msg?.includes("was interrupted") === true);
    const redone = await second.until(({ msg }) => msg === "runs");
    assert.ok(Number(redone["at"]) >= Number(at));
    await second.until(({ msg, result }) => msg === "scheduled run ended" && result === "done");
    // It writes into the folder of the first one, which is removed after the test.
    await second.stop();
  });

  it(
    "run once on two servers with one Redis, and again when their server was killed",
    { skip: noRedis },
    async (t) => {
      const redis = await RedisServer.start(t);
      const hangs = HANGS.replace(`"* * * * * *"`, `{ cron: "* * * * * *", catchUp: "all" }`);
      const options = {
        handlers: {
          "tick.ts": TICK,
          "hangs.ts": hangs.replaceAll(
            `"begun"`,
            JSON.stringify(join(temporaryFolder(t), "begun")),
          ),
        },
        workers: 1,
        files: {
          "edgicorn.config.mjs": `export default {
          cronStore: "shared",
          stores: { shared: { redis: "unix:${redis.socket}", timeout: "20s" } },
        };`,
        },
      };
      const killed = await startServer(t, options);
      const { at } = await killed.until(({ msg }) => msg === "hangs");
      // It starts when the run is in flight.
      const survivor = await startServer(t, options);
      while (ticks(killed).length + ticks(survivor).length < 6) {
        // oxlint-disable-next-line no-await-in-loop -- Until the servers have done some runs.
        await Promise.race([nextTick(killed, () => true), nextTick(survivor, () => true)]);
      }
      killed.kill("SIGKILL");
      await survivor.until((line) => line.msg === "runs" && line["at"] === at);
      const before = ticks(survivor).length;
      while (ticks(survivor).length < before + 3) {
        // oxlint-disable-next-line no-await-in-loop -- As above.
        await nextTick(survivor, () => true);
      }
      const times = [...endedTicks(killed), ...ticks(survivor)];
      assert.equal(new Set(times).size, times.length, "no time has two runs");
    },
  );
});
