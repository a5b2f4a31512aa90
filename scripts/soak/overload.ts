import { startServer } from "../../test/helpers/start-server.ts";
import { Disturbance, ifQuiet } from "./disturbance.ts";
import { measureOverload, type Distribution } from "./measure-overload.ts";
import { atLeast, atMost, milliseconds, shown, type Figure, type Soak } from "./soak.ts";

/** The load, as a multiple of the server's capacity. */
const TIMES = 3;

const BRIEF_SECONDS = 3;

/** Least throughput under overload, as a share of the throughput at full load. */
const LEAST_SHARE = 0.9;

/** Longest time for a refusal. */
const REFUSAL_MS = 10;

/** Most wait of answered requests at the end, as a multiple of the wait before. */
const MOST_CREEP = 1.5;

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
      flags: ["--access-log", "off"],
    });
    const disturbance = new Disturbance(server.pid);
    const result = await measureOverload({
      port: server.port("http"),
      path: "/",
      times: TIMES,
      durationMs: (brief ? BRIEF_SECONDS : seconds) * 1000,
    });
    const { cores } = disturbance;
    const timed = (figure: Figure): Figure => ifQuiet(figure, { cores, brief });
    const share = result.overloadedPerSecond / result.peakPerSecond;
    return [
      shown("its capacity", `${result.peakPerSecond.toFixed(0)}/s`),
      shown("asked for", `${result.askedPerSecond.toFixed(0)}/s`),
      atMost("neither done nor refused", result.failed, 0),
      atLeast("refused with 503", result.refused, 1),
      atMost("of these without Retry-After", result.withoutRetryAfter, 0),
      shown("cores used by other programs", cores.toFixed(2)),
      timed(
        atLeast("done, as a share of its capacity", share, LEAST_SHARE, (value) =>
          value.toFixed(2),
        ),
      ),
      shown("served", describe(result.servedMs)),
      shown("refused", describe(result.refusedMs)),
      timed(atMost("99 % are refused within", result.refusedMs.p99, REFUSAL_MS, milliseconds)),
      timed(
        atMost("wait at the end / before", result.lateMs / result.earlyMs, MOST_CREEP, (value) =>
          value.toFixed(2),
        ),
      ),
    ];
  },
};

function describe({ p50, p99, max }: Distribution): string {
  return `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}, at most ${milliseconds(max)}`;
}
