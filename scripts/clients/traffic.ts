import { formatHead } from "../../runtime/drill/connection.ts";
import { OpenLoop, type Sample, type Way } from "../../runtime/drill/open-loop.ts";
import { patternOf } from "../soak/pattern.ts";
import type { LongClient } from "./main.ts";

/** The settings of the traffic. */
export interface TrafficTask {
  readonly ways: readonly [Way, ...Way[]];
  readonly perSecond: number;
}

/** The results since the last report. */
export interface TrafficReport {
  /** By the number of the way. */
  readonly latenciesMs: readonly (readonly number[])[];
  /** Descriptions of requests without a correct answer, and of connections that the server closed. */
  readonly losses: readonly string[];
}

const BODY = patternOf(0, 1000);
const GET = formatHead("GET", "/");

/** Sends GETs of `/` and POSTs of `/echo/NUMBER` at a steady rate, and compares every answer. */
export async function startTraffic({
  ways,
  perSecond,
}: TrafficTask): Promise<LongClient<TrafficReport>> {
  let latenciesMs: number[][] = ways.map(() => []);
  let losses: string[] = [];
  /** Every fourth request of a way echoes. */
  const isEcho = (number: number): boolean => Math.floor(number / ways.length) % 4 === 0;
  const loop = await OpenLoop.start({
    ways,
    perSecond,
    request: (number) =>
      isEcho(number)
        ? Buffer.concat([Buffer.from(formatHead("POST", `/echo/${number}`, BODY.length)), BODY])
        : GET,
    onSample: (sample, number) => {
      const loss = findLoss(sample, isEcho(number) ? BODY : HELLO);
      if (loss === null) latenciesMs[number % ways.length]?.push(sample.durationMs);
      else losses.push(loss);
    },
    onLost: (reason) => losses.push(reason),
  });
  const report = (): TrafficReport => {
    const counted = { latenciesMs, losses };
    [latenciesMs, losses] = [ways.map(() => []), []];
    return counted;
  };
  return { report, stop: () => loop.stop() };
}

const HELLO = Buffer.from("hello");

/** Returns how a request was lost; `null`: it was answered correctly. */
function findLoss(sample: Sample, expected: Buffer): string | null {
  if (sample.answer === null) return sample.failure;
  const { status, body } = sample.answer;
  if (status !== 200) return `status ${status}`;
  return body.equals(expected) ? null : "another answer than it must be";
}
