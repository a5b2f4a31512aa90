import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import { residentBytesOf, socketsOf } from "../../test/helpers/proc.ts";
import { startServer, type TestServer } from "../../test/helpers/start-server.ts";
import { temporaryFolder } from "../../test/helpers/temporary-folder.ts";
import { readOpenFilesLimit } from "../bench/proc.ts";
import { spreadOf } from "../bench/statistics.ts";
import { Disturbance, judgeTimes } from "./disturbance.ts";
import type { LatencySummary } from "./latencies.ts";
import { findLeftovers, readHoldings, snapshotEnvironment } from "./leftovers.ts";
import { formatOrder } from "./produce.ts";
import { sequence, type Random } from "./random.ts";
import { checkLogs } from "./server-log.ts";
import { SENDING, SlowCrowd, type Cut } from "./slow-crowd.ts";
import { runSlowHttpTest, type SlowHttpTest } from "./slowhttptest.ts";
import {
  atLeast,
  atMost,
  kibibytes,
  mebibytes,
  milliseconds,
  told,
  type Figure,
  type Soak,
  patience,
} from "./soak.ts";
import { checkLosses, Traffic } from "./traffic.ts";

const CROWD = 2_000;
/** Files that we have open besides one for each client. */
const OWN_FILES = 200;
/** Slow readers where the system takes 4 MB for each: with more it is the system that is kept busy. */
const READERS = 20;
const CONNECTIONS = 32;
const REQUESTS_PER_SECOND = 400;
/** Long enough for the slowest way of being cut: a body below its least rate, after a grace of 10 s. */
const CROWD_SECONDS = 16;
const SETTLE_IN_SECONDS = 3;
const QUIET_SECONDS = 5;
const BRIEF_QUIET_SECONDS = 2;
/** What the primary may take for a slow client: most of it is a piece of a file that a slow reader asked for. */
const CLIENT_BYTES = 128 * 1024;
/** What may be left of a crowd that has gone: the allocator keeps what it has for the next one. */
const LEFT_BYTES = 192 * 1024 ** 2;
const SETTLE_MS = 30_000;
/** No client lives longer without a sign of life, whatever it does slowly: the library looks every 4 s at what is 8 s old. */
const HEAD_SECONDS = 15;

const READ_PATH = `/produces/0${formatOrder({ from: 0, bytes: 8 * 1024 ** 2, piece: 65_536, pauseEvery: 0, announced: false })}`;
const BODY_PATH = "/reads/0";

/** What was measured in one phase of quiet and one beside a crowd. */
interface Round {
  readonly quiet: LatencySummary;
  readonly beside: LatencySummary;
  readonly crowdBytes: number;
  readonly leftBytes: number;
}

/** 2,000 clients that do everything slowly take nothing from those that do not. */
export const slowClients: Soak = {
  name: "slow-clients",
  about: "2,000 slow clients at once beside normal traffic, which loses nothing",
  buffersBytes: 64 * 1024,
  async run({ scope, seed, seconds, brief, smallBuffers, say }) {
    const dir = temporaryFolder(scope);
    const size = Math.min(CROWD, readOpenFilesLimit() - OWN_FILES);
    const server = await startServer(scope, {
      handlers: join(import.meta.dirname, "handlers"),
      flags: [
        ...patience(brief),
        "--access-log",
        "off",
        "--body-timeout",
        "4s",
        "--send-timeout",
        "4s",
      ],
      env: snapshotEnvironment(dir),
    });
    const pids = [server.pid, ...server.workers.values()];
    const holdings = await readHoldings(pids, dir);
    const random = sequence(seed);
    const readers = smallBuffers ? Math.floor(size / 4) : Math.min(READERS, size);
    const port = server.port("http");
    const task = { connections: CONNECTIONS, requestsPerSecond: REQUESTS_PER_SECOND };
    const traffic = await Traffic.start(scope, { ...task, door: { port, secure: false } });
    // Code that is new is slow, and the first answers would say so.
    await delay((brief ? 1 : 3) * 1000);
    await traffic.cut();
    const sockets = socketsOf(server.pid);
    const before = residentBytesOf(server.pid);
    const quietSeconds = brief ? BRIEF_QUIET_SECONDS : QUIET_SECONDS;
    const disturbance = new Disturbance(server.pid);
    const rounds: Round[] = [];
    const cuts: Cut[] = [];
    // In brief: once.
    const endMs = brief ? 0 : performance.now() + seconds * 1000;
    do {
      const round = await runRound(server, traffic, {
        size,
        readers,
        before,
        sockets,
        cuts,
        quietSeconds,
        random,
      });
      rounds.push(round);
      say(
        `p99 ${round.quiet.p99Ms.toFixed(1)} ms, beside ${size} slow clients ${round.beside.p99Ms.toFixed(1)} ms`,
      );
    } while (performance.now() < endMs);
    const { cores } = disturbance;
    const tests = await runSlowHttpTest({
      port,
      connections: Math.floor(size / 3),
      seconds: brief ? 6 : 20,
      readPath: READ_PATH,
      bodyPath: BODY_PATH,
    });
    await untilSockets(server, sockets);
    await traffic.stop();
    const figures = [
      told("slow clients at once", size),
      told("of them slow readers", readers),
      atLeast("normal requests answered", traffic.answered, 1),
      checkLosses(traffic),
      ...latencyFigures(rounds),
      ...judgeTimes(medianOf(rounds, timesOf), { cores, brief }),
      ...memoryFigures(rounds, size),
      ...cutFigures(server, cuts),
      ...testFigures(tests),
      ...(await findLeftovers(holdings, dir)),
      checkLogs(server),
    ];
    return figures;
  },
};

async function runRound(
  server: TestServer,
  traffic: Traffic,
  options: {
    size: number;
    readers: number;
    before: number;
    sockets: number;
    cuts: Cut[];
    quietSeconds: number;
    random: Random;
  },
): Promise<Round> {
  const { size, readers, before, sockets, cuts, quietSeconds, random } = options;
  await traffic.cut();
  await delay(quietSeconds * 1000);
  const quiet = await traffic.cut();
  const crowd = await SlowCrowd.gather({
    port: server.port("http"),
    size,
    readers,
    readPath: READ_PATH,
    bodyPath: BODY_PATH,
    random,
  });
  // That they all come at once is not what is measured.
  await delay(SETTLE_IN_SECONDS * 1000);
  await traffic.cut();
  let crowdBytes = 0;
  try {
    for (let second = 0; second < CROWD_SECONDS - SETTLE_IN_SECONDS; second++) {
      await delay(1000);
      crowdBytes = Math.max(crowdBytes, residentBytesOf(server.pid) - before);
    }
    if (crowd.refused > 0) throw new Error(`${crowd.refused} slow clients were refused`);
  } finally {
    crowd.leave();
  }
  const beside = await traffic.cut();
  cuts.push(...crowd.cuts);
  await untilSockets(server, sockets);
  // What is garbage is collected when there is need of it: normal traffic makes some.
  await delay(quietSeconds * 1000);
  const leftBytes = residentBytesOf(server.pid) - before;
  return { quiet, beside, crowdBytes, leftBytes };
}

/** Nothing tells of the end of a connection, so this is asked for. @throws Error when some are left for too long. */
async function untilSockets(server: TestServer, expected: number): Promise<void> {
  const deadlineMs = performance.now() + SETTLE_MS;
  while (socketsOf(server.pid) > expected) {
    if (performance.now() > deadlineMs) {
      const left = socketsOf(server.pid) - expected;
      throw new Error(`${left} connections are left ${SETTLE_MS / 1000} s after their clients`);
    }
    await delay(50);
  }
}

function latencyFigures(rounds: readonly Round[]): Figure[] {
  const of = (pick: (round: Round) => number): string => milliseconds(medianOf(rounds, pick));
  return [
    told("rounds", rounds.length),
    told(
      "p50 without, beside",
      `${of(({ quiet }) => quiet.p50Ms)}, ${of(({ beside }) => beside.p50Ms)}`,
    ),
    told(
      "p99 without, beside",
      `${of(({ quiet }) => quiet.p99Ms)}, ${of(({ beside }) => beside.p99Ms)}`,
    ),
  ];
}

/** Within a round: a machine that slows down slows both sides. */
function timesOf({ quiet, beside }: Round): number {
  return beside.p99Ms / quiet.p99Ms;
}

function medianOf(rounds: readonly Round[], pick: (round: Round) => number): number {
  return spreadOf(rounds.map(pick))?.median ?? 0;
}

function memoryFigures(rounds: readonly Round[], size: number): Figure[] {
  const crowd = Math.max(...rounds.map(({ crowdBytes }) => crowdBytes));
  const first = rounds[0]?.leftBytes ?? 0;
  const last = rounds.at(-1)?.leftBytes ?? 0;
  return [
    atMost("primary, for a slow client", crowd / size, CLIENT_BYTES, kibibytes),
    atMost("primary, left of them", last, LEFT_BYTES, mebibytes),
    // Depends on when garbage was collected last: that nothing stays is seen by the objects that are left.
    told("primary, more than after the first crowd", mebibytes(last - first)),
  ];
}

/** Each kind is cut off, and those that we cut off have a line that names the setting. */
function cutFigures(server: TestServer, cuts: readonly Cut[]): Figure[] {
  const figures = SENDING.map((kind) => {
    const lives = cuts.filter((cut) => cut.kind === kind).map(({ livedMs }) => livedMs / 1000);
    const name = `slow ${kind}: cut, after`;
    const spread = spreadOf(lives);
    if (spread === undefined) {
      return { name, value: "never", breach: `no client with slow ${kind} was cut off` };
    }
    const { median, max } = spread;
    const value = `${lives.length}, ${median.toFixed(1)} s (at most ${max.toFixed(1)})`;
    const isLate = max > HEAD_SECONDS;
    const breach = `a client with slow ${kind} lived ${max.toFixed(1)} s, expected ${HEAD_SECONDS}`;
    return { name, value, bound: `<= ${HEAD_SECONDS} s`, ...(isLate ? { breach } : {}) };
  });
  const settings = new Map<string, number>();
  for (const { msg, setting } of server.logs as readonly Record<string, unknown>[]) {
    if (msg !== "slow client cut off" || typeof setting !== "string") continue;
    settings.set(setting, (settings.get(setting) ?? 0) + 1);
  }
  return [
    ...figures,
    ...["bodyTimeout", "minBodyRate", "sendTimeout"].map((setting) =>
      atLeast(`cut by ${setting}`, settings.get(setting) ?? 0, 1),
    ),
    ...[...settings]
      .filter(([setting]) => !["bodyTimeout", "minBodyRate", "sendTimeout"].includes(setting))
      .map(([setting, count]) => told(`cut by ${setting}`, count)),
  ];
}

function testFigures(tests: readonly SlowHttpTest[] | null): Figure[] {
  if (tests === null) return [told("slowhttptest", "not installed")];
  return tests.map(({ mode, available, exit }) => {
    const figure = { name: `slowhttptest ${mode}`, value: exit, bound: "available" };
    return available ? figure : { ...figure, breach: `slowhttptest ${mode} was not answered` };
  });
}
