import { formatHead } from "./connection.ts";
import type { DrillServer } from "./drill-server.ts";
import type { Seen } from "./judge.ts";
import { summarize } from "./latencies.ts";
import { OpenLoop } from "./open-loop.ts";

export interface LoadOptions {
  /** Path of the GETs. */
  readonly path: string;
  /** Rate over all kinds of connections. */
  readonly perSecond: number;
  /** Most unanswered requests at a time, as in `OpenLoopOptions`. */
  readonly mostUnanswered: number;
  /** The status of the path when all is well. */
  readonly status: number;
}

/** Kept-alive connections of each scheme. */
const KEPT = { fresh: false, ready: 4, most: 4 };
const FRESH = { fresh: true, ready: 0, most: Infinity };

/** Most failures that are described. */
const MOST_FAILURES = 3;

/** The clients of an exercise. */
export interface Load {
  /** Stops sending, waits for the last answers, closes the connections and returns the clients' view. */
  readonly stop: () => Promise<Seen>;
}

/** Starts clients: half of the requests go over TLS, half over kept-alive connections. */
export async function startLoad(
  server: Pick<DrillServer, "plain" | "secure">,
  { path, perSecond, mostUnanswered, status }: LoadOptions,
): Promise<Load> {
  const latenciesMs: number[] = [];
  const failures: string[] = [];
  const counts = { requests: 0, failed: 0, refused: 0, closed: 0 };
  const fail = (how: string): void => {
    counts.failed++;
    if (failures.length < MOST_FAILURES) failures.push(how);
  };
  const loop = await OpenLoop.start({
    ways: [
      { endpoint: server.plain, ...KEPT },
      { endpoint: server.secure, ...KEPT },
      { endpoint: server.plain, ...FRESH },
      { endpoint: server.secure, ...FRESH },
    ],
    perSecond,
    mostUnanswered,
    request: () => formatHead("GET", path),
    onSample: (sample) => {
      counts.requests++;
      if (sample.answer === null) return fail(sample.failure);
      latenciesMs.push(sample.durationMs);
      const found = sample.answer.status;
      if (found === 503 && status !== 503) counts.refused++;
      else if (found !== status) fail(`status ${found}`);
    },
    onLost: () => counts.closed++,
  });
  const stop = async (): Promise<Seen> => {
    await loop.stop();
    const { p50Ms, p99Ms } = summarize(latenciesMs);
    return { ...counts, p50Ms, p99Ms, failures };
  };
  return { stop };
}
