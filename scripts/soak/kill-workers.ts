import { killUnderLoad, type LossReport } from "./lose-workers.ts";
import { atLeast, atMost, milliseconds, shown, type Figure, type Soak } from "./soak.ts";

const BRIEF_SECONDS = 5;
const KILL_EVERY_MS = 200;

/** Kills a random worker with `kill -9`, five times a second: idempotent requests are answered, others fail at once. */
export const killWorkers: Soak = {
  name: "kill-workers",
  about: "kill -9 of random workers: no GET fails; POSTs in flight on a killed worker get 502",
  alone: true,
  async run({ scope, seconds, brief }) {
    const kills = { seconds: (brief ? BRIEF_SECONDS : seconds) / 2, killEveryMs: KILL_EVERY_MS };
    const gets = await killUnderLoad(scope, { ...kills, method: "GET" });
    const posts = await killUnderLoad(scope, { ...kills, method: "POST" });
    const { 502: lost = 0, ...others } = posts.failed;
    return [
      ...describeLosses("GET", gets),
      describeFailures("GETs that failed", gets.failed),
      ...describeLosses("POST", posts),
      shown("POSTs lost, according to the server", posts.lost),
      atMost("POSTs with 502 that were not", Math.max(0, lost - posts.lost), 0),
      atMost("POSTs lost that had no 502", Math.max(0, posts.lost - lost), 0),
      atMost("POSTs that failed otherwise", countOf(others), 0),
    ];
  },
};

/** Figures that must hold in both loads. */
export function describeLosses(name: string, report: LossReport): Figure[] {
  const [first] = report.wrong;
  const wrong = atMost(`${name}: answers to other requests`, report.wrong.length, 0);
  return [
    shown(`${name}: requests`, report.requests),
    atLeast(`${name}: workers lost`, report.workers, 1),
    shown(`${name}: exchanges sent again`, report.replayed),
    shown(`${name}: slowest`, milliseconds(report.slowestMs)),
    first === undefined ? wrong : { ...wrong, breach: `a wrong answer to ${first}` },
  ];
}

/** Failed requests, by status or error. There must be none. */
function describeFailures(name: string, failed: Readonly<Record<string, number>>): Figure {
  const figure = atMost(name, countOf(failed), 0);
  const kinds = Object.entries(failed).map(([how, count]) => `${count} with ${how}`);
  return kinds.length === 0 ? figure : { ...figure, breach: `${name}: ${kinds.join(", ")}` };
}

export function countOf(failed: Readonly<Record<string, number>>): number {
  return Object.values(failed).reduce((sum, count) => sum + count, 0);
}
