import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import { startServer, type TestServer } from "../../test/helpers/start-server.ts";
import { temporaryFolder } from "../../test/helpers/temporary-folder.ts";
import { readOpenFilesLimit } from "../bench/proc.ts";
import { spreadOf } from "../bench/statistics.ts";
import { BesiegedServer, BODY_PATH, toReadPath, type Siege } from "./besieged-server.ts";
import { measureCrowdTimes, type CrowdTimes } from "./crowd-times.ts";
import { pythonFlags, soakOf, type Language } from "./language.ts";
import { Holdings, snapshotEnvironment } from "./leftovers.ts";
import { sequence } from "./random.ts";
import { checkLogs } from "./server-log.ts";
import { SENDING, type Cut } from "./slow-crowd.ts";
import { runSlowHttpTest, type SlowHttpTest } from "./slowhttptest.ts";
import {
  atLeast,
  atMost,
  kibibytes,
  mebibytes,
  none,
  shown,
  type Figure,
  type Soak,
  queueFlags,
} from "./soak.ts";
import { socketsOf } from "../../test/helpers/proc.ts";
import { NORMAL_CONNECTIONS, normalTraffic, Traffic } from "./traffic.ts";

const CROWD = 2_000;
/** Open files besides one per client. */
const OWN_FILES = 200;
/** Slow readers when the system buffers 4 MB for each: with more, the system itself is the bottleneck. */
const READERS = 20;
/** Size of a response for slow readers, larger than all buffers. The whole response of a Python application goes to disk. */
const READ_BYTES: Readonly<Record<Language, number>> = {
  javascript: 8 * 1024 ** 2,
  python: 1024 ** 2,
};
const WARM_UP_SECONDS = 5;
/** How long the server may take to accept the connections of normal traffic. */
const ACCEPT_MS = 30_000;
const QUIET_SECONDS = 5;
const BRIEF_QUIET_SECONDS = 2;
/** Most memory of the primary per slow client. Most of it is a piece of a file for a slow reader. */
const CLIENT_BYTES = 128 * 1024;
/** Most memory that may stay after a crowd: the allocator keeps some for the next one. */
const LEFT_BYTES = 192 * 1024 ** 2;
/**
 * Longest life of a client without a sign of life: every 4 s, uWebSockets.js ends connections that are idle for 8 s.
 */
const HEAD_SECONDS = 15;

/** Runs 2,000 clients that do everything slowly: normal clients must not notice. */
export const slowClients: Soak = slowClientsOf("javascript");

/** The same, with a Python application: two threads in all, of which slow clients hold none. */
export const slowClientsPython: Soak = slowClientsOf("python");

function slowClientsOf(language: Language): Soak {
  return soakOf(language, {
    name: "slow-clients",
    about: "2,000 slow clients at once beside normal traffic, which loses nothing",
    buffersBytes: 64 * 1024,
    async run({ scope, seed, seconds, brief, smallBuffers, say }) {
      const dir = temporaryFolder(scope);
      const size = Math.min(CROWD, readOpenFilesLimit() - OWN_FILES);
      const isPython = language === "python";
      const readPath = toReadPath(READ_BYTES[language]);
      const options = {
        workers: 2,
        handlers: isPython ? {} : join(import.meta.dirname, "handlers"),
        flags: [
          ...(isPython ? pythonFlags() : []),
          ...queueFlags(brief),
          "--access-log",
          "off",
          "--body-timeout",
          "4s",
          "--send-timeout",
          "4s",
        ],
        env: snapshotEnvironment(dir),
      };
      const server = await startServer(scope, options);
      const endpoint = { port: server.port("http"), secure: false };
      const setting = {
        size,
        readers: smallBuffers ? Math.floor(size / 4) : Math.min(READERS, size),
        readPath,
        random: sequence(seed),
        quietSeconds: brief ? BRIEF_QUIET_SECONDS : QUIET_SECONDS,
      };
      const startTraffic = (): Promise<Traffic> => Traffic.start(scope, normalTraffic(endpoint));

      const traffics: Traffic[] = [];
      let times: CrowdTimes | null = null;
      if (!brief) {
        const other = await startServer(scope, options);
        const traffic = await startTraffic();
        // New code is slow, and would distort the first answers.
        await delay(WARM_UP_SECONDS * 1000);
        const servers = { server, other };
        times = await measureCrowdTimes(servers, { ...setting, traffic }, { seconds, say });
        await traffic.stop();
        traffics.push(traffic);
        await other.stop();
      }

      // Leftovers are counted over one more crowd.
      const workers = isPython ? [] : server.workers.values();
      const holdings = await Holdings.read([server.pid, ...workers], dir);
      const before = socketsOf(server.pid);
      const traffic = await startTraffic();
      // The kernel completes connections before the server accepts them. The crowd's leftovers are counted beside these.
      const deadlineMs = performance.now() + ACCEPT_MS;
      while (socketsOf(server.pid) < before + NORMAL_CONNECTIONS) {
        if (performance.now() > deadlineMs) throw new Error("the server accepts no connections");
        await delay(10);
      }
      const besieged = new BesiegedServer(server, { ...setting, traffic });
      await besieged.besiege();
      const tests = await runSlowHttpTest({
        port: endpoint.port,
        connections: Math.floor(size / 3),
        seconds: brief ? 6 : 20,
        readPath,
        bodyPath: BODY_PATH,
      });
      await besieged.untilLeft();
      await traffic.stop();
      traffics.push(traffic);
      const answered = traffics.reduce((sum, each) => sum + each.answered, 0);
      // A heap snapshot takes memory, too.
      const { sieges } = times?.beside ?? besieged;
      return [
        shown("slow clients at once", size),
        shown("of them slow readers", setting.readers),
        atLeast("normal requests answered", answered, 1),
        none(
          "normal requests lost",
          traffics.flatMap(({ losses }) => losses),
        ),
        ...(times?.figures ?? []),
        ...memoryFigures(sieges, size),
        ...cutFigures(server, [...(times?.beside.cuts ?? []), ...besieged.cuts], brief),
        ...testFigures(tests),
        ...(await holdings.findLeftovers()),
        checkLogs(server),
      ];
    },
  });
}

function memoryFigures(sieges: readonly Siege[], size: number): Figure[] {
  const crowd = Math.max(...sieges.map(({ crowdBytes }) => crowdBytes));
  const first = sieges[0]?.leftBytes ?? 0;
  const last = sieges.at(-1)?.leftBytes ?? 0;
  return [
    atMost("primary, for a slow client", crowd / size, CLIENT_BYTES, kibibytes),
    atMost("primary, left of them", last, LEFT_BYTES, mebibytes),
    // This depends on the last garbage collection. The objects that are left show whether anything stays.
    shown("primary, more than after the first crowd", mebibytes(last - first)),
  ];
}

/** Each kind is cut off. A cut-off by Edgicorn has a log line that names the setting. Brief runs do not judge its time. */
function cutFigures(server: TestServer, cuts: readonly Cut[], brief: boolean): Figure[] {
  const figures = SENDING.map((kind) => {
    const lives = cuts.filter((cut) => cut.kind === kind).map(({ livedMs }) => livedMs / 1000);
    const name = `slow ${kind}: cut, after`;
    const spread = spreadOf(lives);
    if (spread === undefined) {
      return { name, value: "never", breach: `no client with slow ${kind} was cut off` };
    }
    const { median, max } = spread;
    const value = `${lives.length}, ${median.toFixed(1)} s (at most ${max.toFixed(1)})`;
    const isLate = !brief && max > HEAD_SECONDS;
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
      .map(([setting, count]) => shown(`cut by ${setting}`, count)),
  ];
}

function testFigures(tests: readonly SlowHttpTest[] | null): Figure[] {
  if (tests === null) return [shown("slowhttptest", "not installed")];
  return tests.map(({ mode, available, exit }) => {
    const figure = { name: `slowhttptest ${mode}`, value: exit, bound: "available" };
    return available ? figure : { ...figure, breach: `slowhttptest ${mode} was not answered` };
  });
}
