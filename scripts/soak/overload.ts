import { setTimeout as delay } from "node:timers/promises";
import { formatHead } from "../../runtime/drill/connection.ts";
import { summarize } from "../../runtime/drill/latencies.ts";
import { OpenLoop } from "../../runtime/drill/open-loop.ts";
import { startServer } from "../../test/helpers/start-server.ts";
import { spreadOf } from "../bench/statistics.ts";
import { Disturbance, ifQuiet } from "./disturbance.ts";
import {
  atLeast,
  atMost,
  DEFAULT_QUEUE,
  milliseconds,
  ratio,
  shown,
  type Figure,
  type Soak,
} from "./soak.ts";

/** The load, as a multiple of the server's capacity. */
const TIMES = 3;

const BRIEF_SECONDS = 3;

/** Least throughput under overload, as a share of the throughput at full load. */
const LEAST_SHARE = 0.9;

/** Longest time for a refusal. */
const REFUSAL_MS = 10;

/** Most wait of answered requests at the end, as a multiple of the wait before. */
const MOST_CREEP = 1.5;

/** Time to find a rate that exceeds the server's capacity. */
const STEP_MS = 1_000;
const FIRST_PER_SECOND = 100;
const MOST_CONNECTIONS = 2_000;

/** Computes for 2 ms: the worker is the bottleneck, and the primary has time to refuse the excess. */
const HANDLER = `export default () => {
  const endMs = performance.now() + 2;
  while (performance.now() < endMs);
  return new Response("done");
};`;

/** Overloads a server: it still works at full capacity, and refuses the excess at once. */
export const overload: Soak = {
  name: "overload",
  about:
    "three times the server's capacity: it works at full capacity, and refuses the excess at once",
  alone: true,
  async run({ scope, seconds, brief }) {
    const server = await startServer(scope, {
      handlers: { "index.ts": HANDLER },
      workers: 1,
      flags: ["--access-log", "off", ...DEFAULT_QUEUE],
    });
    const disturbance = new Disturbance(server.pid);
    const port = server.port("http");
    const durationMs = (brief ? BRIEF_SECONDS : seconds) * 1000;
    const capacity = await findCapacity(port, durationMs);
    const samples = await load(port, TIMES * capacity, durationMs);
    const served = samples.filter(({ status }) => status === 200);
    const refused = samples.filter(({ status }) => status === 503);
    const { cores } = disturbance;
    const timed = (figure: Figure): Figure => ifQuiet(figure, { cores, brief });
    const share = servedPerSecond(samples, durationMs) / capacity;
    // A growing queue shows in the second and in the last quarter of the time.
    const wait = (quarter: number): number => {
      const of = served.filter(({ atMs }) => Math.floor((4 * atMs) / durationMs) === quarter);
      return spreadOf(of.map(({ latencyMs }) => latencyMs))?.median ?? 0;
    };
    return [
      shown("its capacity", `${capacity.toFixed(0)}/s`),
      shown("asked for", `${(TIMES * capacity).toFixed(0)}/s`),
      atMost("neither done nor refused", samples.length - served.length - refused.length, 0),
      atLeast("refused with 503", refused.length, 1),
      atMost("of these without Retry-After", refused.filter((each) => !each.retryAfter).length, 0),
      shown("cores used by other programs", ratio(cores)),
      timed(atLeast("done, as a share of its capacity", share, LEAST_SHARE, ratio)),
      shown("served", describe(served)),
      shown("refused", describe(refused)),
      timed(atMost("99 % are refused within", summaryOf(refused).p99Ms, REFUSAL_MS, milliseconds)),
      timed(atMost("wait at the end / before", wait(3) / wait(1), MOST_CREEP, ratio)),
    ];
  },
};

/** The end of one request. */
export interface LoadSample {
  /** When the request was due, from the start of the load. */
  readonly atMs: number;
  readonly latencyMs: number;
  /** 0: no answer. */
  readonly status: number;
  readonly retryAfter: boolean;
}

/** Sends GETs at a steady rate, on as many kept-alive connections as they need. Returns a sample for each. */
export async function load(
  port: number,
  perSecond: number,
  durationMs: number,
): Promise<LoadSample[]> {
  const samples: LoadSample[] = [];
  const endpoint = { port, secure: false };
  const startMs = performance.now();
  const loop = await OpenLoop.start({
    ways: [{ endpoint, fresh: false, ready: 0, most: MOST_CONNECTIONS }],
    perSecond,
    request: () => formatHead("GET", "/"),
    onSample: ({ dueMs, durationMs: latencyMs, answer }) => {
      const retryAfter = answer?.fields.has("retry-after") === true;
      samples.push({ atMs: dueMs - startMs, latencyMs, status: answer?.status ?? 0, retryAfter });
    },
  });
  await delay(durationMs);
  await loop.stop();
  return samples;
}

/** Returns the most answers per second without refusals. */
async function findCapacity(port: number, durationMs: number): Promise<number> {
  let perSecond = FIRST_PER_SECOND;
  let doable = 0;
  for (; ; perSecond *= 2) {
    doable = Math.max(doable, servedPerSecond(await load(port, perSecond, STEP_MS), STEP_MS));
    if (doable < 0.9 * perSecond) break;
  }
  // Slightly above the capacity: the server is busy all the time, and refuses hardly anything.
  const samples = await load(port, 1.05 * doable, durationMs);
  return Math.max(servedPerSecond(samples, durationMs), doable);
}

/** Counts answers during the load only: later answers come from the queue. */
function servedPerSecond(samples: readonly LoadSample[], durationMs: number): number {
  const inTime = samples.filter(
    ({ status, atMs, latencyMs }) => status === 200 && atMs + latencyMs <= durationMs,
  );
  return (inTime.length * 1000) / durationMs;
}

function summaryOf(samples: readonly LoadSample[]): ReturnType<typeof summarize> {
  return summarize(samples.map(({ latencyMs }) => latencyMs));
}

function describe(samples: readonly LoadSample[]): string {
  const { p50Ms, p99Ms, maxMs } = summaryOf(samples);
  return `p50 ${milliseconds(p50Ms)}, p99 ${milliseconds(p99Ms)}, at most ${milliseconds(maxMs)}`;
}
