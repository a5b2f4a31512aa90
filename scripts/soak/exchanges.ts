import { join } from "node:path";
import { residentBytesOf } from "../../test/helpers/proc.ts";
import { startServer, type TestServer } from "../../test/helpers/start-server.ts";
import { temporaryFolder, type Owner } from "../../test/helpers/temporary-folder.ts";
import type { Endpoint } from "../../runtime/drill/connection.ts";
import {
  findAccessBreaches,
  runExchanges,
  type AccessOutcome,
  type ExchangeRecord,
} from "./exchange-load.ts";
import { FILE_SIZES } from "./exchange-plan.ts";
import { Holdings, snapshotEnvironment } from "./leftovers.ts";
import { patternOf } from "./pattern.ts";
import { atMost, mebibytes, milliseconds, none, shown, type Figure, type Soak } from "./soak.ts";
import { setTimeout as delay } from "node:timers/promises";

const CONCURRENCY = 16;
/** Memory that a process may keep after a load: uncollected heap, buffers of the allocator. */
const GROWTH_BYTES = 128 * 1024 ** 2;
const WARM_UP_SECONDS = 3;

/** Random exchanges: each has exactly one outcome, and nothing of any is left. */
export const exchanges: Soak = {
  name: "exchanges",
  // Otherwise no response would ever have to wait for its client.
  buffersBytes: 16 * 1024,
  about: "random exchanges, cut at every point by either side: one outcome each, nothing left",
  async run({ scope, seed, seconds, say }) {
    const dir = temporaryFolder(scope);
    const server = await startExchangeServer(scope, snapshotEnvironment(dir));
    const pids = [server.pid, ...server.workers.values()];
    const endpoints = endpointsOf(server);
    // Measure once warm: code and buffers of the first load stay.
    const warm = { endpoints, seed, seconds: WARM_UP_SECONDS, concurrency: CONCURRENCY };
    const first = await runExchanges({ ...warm, from: 100_000_000 });
    await delay(500);
    const before = await Holdings.read(pids, dir);
    const rss = pids.map((pid) => residentBytesOf(pid));
    say(`warm after ${first.length} exchanges`);
    const records = await runExchanges({ ...warm, seconds });
    const grown = pids.map((pid, index) => residentBytesOf(pid) - (rss[index] ?? 0));
    const leftovers = await before.findLeftovers();
    const figures = [
      ...countOutcomes(records),
      none("exchanges without one access line", await untilLogged(server, [...first, ...records])),
      ...leftovers,
      atMost("memory grown by, at most", Math.max(...grown), GROWTH_BYTES, mebibytes),
      await stop(server),
    ];
    return figures;
  },
};

/** Starts the server for the exchanges. */
export function startExchangeServer(
  owner: Owner,
  env: Readonly<Record<string, string>> = {},
): Promise<TestServer> {
  const files = FILE_SIZES.map((size) => [`file-${size}.bin`, patternOf(0, size)] as const);
  // Far enough apart that a busy machine does not mix them up.
  const timers = ["--body-timeout", "3s", "--request-timeout", "9s"];
  return startServer(owner, {
    workers: 2,
    handlers: join(import.meta.dirname, "handlers"),
    public: Object.fromEntries(files),
    https: true,
    flags: ["--body-limit", "1gb", ...timers],
    env,
  });
}

/** Plain HTTP twice, so that two of three connections use it. */
export function endpointsOf(server: TestServer): readonly [Endpoint, ...Endpoint[]] {
  const plain = { port: server.port("http"), secure: false };
  return [plain, plain, { port: server.port("https"), secure: true }];
}

/** The server's log so far. */
export function accessOutcomes(server: TestServer): AccessOutcome[] {
  return server.accessLines.map(({ path, status }) => ({
    path: String(path),
    status: Number(status),
  }));
}

function countOutcomes(records: readonly ExchangeRecord[]): Figure[] {
  const counts = new Map<string, number>();
  for (const { outcome } of records) counts.set(outcome.kind, (counts.get(outcome.kind) ?? 0) + 1);
  return [shown("exchanges", records.length), ...[...counts].map(([kind, n]) => shown(kind, n))];
}

/** Access lines are written in batches: those of the last exchanges may still come. */
async function untilLogged(
  server: TestServer,
  records: readonly ExchangeRecord[],
): Promise<string[]> {
  const deadlineMs = performance.now() + LOG_MS;
  for (;;) {
    const breaches = findAccessBreaches(records, accessOutcomes(server));
    if (breaches.length === 0 || performance.now() > deadlineMs) return breaches;
    await delay(LOG_POLL_MS);
  }
}

const LOG_MS = 60_000;
const LOG_POLL_MS = 200;

/** Stopping would wait for an exchange that is still in flight. */
async function stop(server: TestServer): Promise<Figure> {
  const startMs = performance.now();
  server.kill("SIGTERM");
  const { code } = await server.exit;
  const figure = shown("stopped in", milliseconds(performance.now() - startMs));
  if (code !== 0) return { ...figure, breach: `exit code ${code}, expected 0` };
  const isCutOff = server.logs.some(({ setting }) => setting === "drainGrace");
  return isCutOff ? { ...figure, breach: "an exchange was in flight until drainGrace" } : figure;
}
