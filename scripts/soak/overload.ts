import { startServer } from "../../test/helpers/start-server.ts";
import { Disturbance, ifQuiet } from "./disturbance.ts";
import { measureOverload, type Distribution } from "./measure-overload.ts";
import { atLeast, atMost, milliseconds, told, type Figure, type Soak } from "./soak.ts";

/** How many times what the server can do is asked for. */
const TIMES = 3;

const BRIEF_SECONDS = 3;

/** What the throughput may be, of what it is when as much is asked for as can be done. */
const LEAST_SHARE = 0.9;

/** Within which a refusal is to arrive. */
const REFUSAL_MS = 10;

/** What the served may wait at the end, of what they waited before. */
const MOST_CREEP = 1.5;

/** Computes for 2 ms: what can be done is limited by the worker, and the primary has time to refuse the rest. */
const HANDLER = `export default () => {
  const endMs = performance.now() + 2;
  while (performance.now() < endMs);
  return new Response("done");
};`;

/** More is asked for than can be done: what can be done is done all the same, and the rest is refused at once. */
export const overload: Soak = {
  name: "overload",
  about: "three times what the server can do: as much is done, the excess is refused at once",
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
      told("most that it can do", `${result.peakPerSecond.toFixed(0)}/s`),
      told("asked for", `${result.askedPerSecond.toFixed(0)}/s`),
      atMost("neither done nor refused", result.failed, 0),
      atLeast("refused with 503", result.refused, 1),
      atMost("of these without Retry-After", result.withoutRetryAfter, 0),
      told("cores used by other programs", cores.toFixed(2)),
      timed(atLeast("done, of what it can do", share, LEAST_SHARE, (value) => value.toFixed(2))),
      told("served", describe(result.servedMs)),
      told("refused", describe(result.refusedMs)),
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
