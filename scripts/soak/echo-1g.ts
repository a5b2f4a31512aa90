import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { peakBytesOf, residentBytesOf } from "../../test/helpers/proc.ts";
import { startServer } from "../../test/helpers/start-server.ts";
import { echo } from "../clients/echo.ts";
import { checkLogs } from "./server-log.ts";
import { atMost, mebibytes, shown, type Figure, type Soak } from "./soak.ts";

const BYTES = 1024 ** 3;
const BRIEF_BYTES = 256 * 1024 ** 2;
/** Growth that is ignored: code, and buffers that the first bytes allocate. */
const WARM_UP_BYTES = 64 * 1024 ** 2;
const GOAL_BYTES = 64 * 1024 ** 2;

/** 1 GiB to a handler and back at the same time: all bytes right, and little of it in any process's memory. */
export const echo1g: Soak = {
  name: "echo-1g",
  about:
    "1 GiB through a handler and back, HTTP and HTTPS, compared byte by byte; growth of memory",
  async run({ scope, seconds, brief, maxGrowthBytes, say }) {
    const server = await startServer(scope, {
      workers: 2,
      handlers: join(import.meta.dirname, "handlers"),
      https: true,
      flags: ["--access-log", "off", "--body-limit", "2gb"],
    });
    const workers = [...server.workers.values()];
    const pids = [server.pid, ...workers];
    const bases = [server.http, server.https];
    // Two of each, so that each worker has one.
    for (const base of [...bases, ...bases]) {
      await echo({ url: `${base}/echo/0`, sizeBytes: WARM_UP_BYTES });
    }
    const before = pids.map((pid) => residentBytesOf(pid));
    for (const pid of pids) resetPeak(pid);
    const sizeBytes = brief ? BRIEF_BYTES : BYTES;
    const rates: number[] = [];
    // In brief: one of each.
    const endMs = brief ? 0 : performance.now() + seconds * 1000;
    do {
      for (const base of bases) {
        const { rate } = await echo({ url: `${base}/echo/0`, sizeBytes });
        rates.push(rate);
        say(`${mebibytes(sizeBytes)} echoed at ${rate.toFixed(0)} MiB/s, ${base}`);
      }
    } while (performance.now() < endMs);
    const grown = pids.map((pid, index) => peakBytesOf(pid) - (before[index] ?? 0));
    const all = grown.reduce((sum, bytes) => sum + bytes, 0);
    return [
      shown(`echoes of ${mebibytes(sizeBytes)}, all bytes right`, rates.length),
      shown("MiB/s, each way", Math.min(...rates).toFixed(0)),
      shown("primary grown by", mebibytes(grown[0] ?? 0)),
      shown("workers grown by", grown.slice(1).map(mebibytes).join(", ")),
      judgeGrowth(all, maxGrowthBytes),
      checkLogs(server),
    ];
  },
};

/** Resets the peak (proc(5), `clear_refs`). */
function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

function judgeGrowth(bytes: number, maxGrowthBytes: number | null): Figure {
  const name = "all of them grown by, at most";
  if (maxGrowthBytes !== null) return atMost(name, bytes, maxGrowthBytes, mebibytes);
  return { ...shown(name, mebibytes(bytes)), bound: `goal ${mebibytes(GOAL_BYTES)}` };
}
