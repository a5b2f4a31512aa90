import { soakOf, type Language } from "./language.ts";
import { killUnderLoad, type LossReport } from "./lose-workers.ts";
import { atLeast, atMost, milliseconds, none, shown, type Figure, type Soak } from "./soak.ts";

const BRIEF_SECONDS = 5;
const KILL_EVERY_MS = 200;

/** Kills a random worker with `kill -9`, five times a second: idempotent requests are answered, others fail at once. */
export const killWorkers: Soak = killWorkersOf("javascript");

/** The same, with a Python application. */
export const killWorkersPython: Soak = killWorkersOf("python");

function killWorkersOf(language: Language): Soak {
  return soakOf(language, {
    name: "kill-workers",
    about: "kill -9 of random workers: no GET fails; POSTs in flight on a killed worker get 502",
    alone: true,
    async run({ scope, seconds, brief }) {
      const kill = (method: "GET" | "POST"): Promise<LossReport> => {
        const endMs = performance.now() + ((brief ? BRIEF_SECONDS : seconds) / 2) * 1000;
        // On a slow machine no worker may be ready for long: the time alone proves nothing.
        const isEnough = (kills: number): boolean => kills > 0 && performance.now() > endMs;
        return killUnderLoad(scope, { language, method, killEveryMs: KILL_EVERY_MS, isEnough });
      };
      const gets = await kill("GET");
      const posts = await kill("POST");
      const lost = posts.failed.filter((how) => how === "502").length;
      const others = posts.failed.filter((how) => how !== "502");
      return [
        ...describeLosses("GET", gets),
        none("GETs that failed", gets.failed),
        ...describeLosses("POST", posts),
        shown("POSTs lost, according to the server", posts.lost),
        atMost("POSTs with 502 that were not", Math.max(0, lost - posts.lost), 0),
        atMost("POSTs lost that had no 502", Math.max(0, posts.lost - lost), 0),
        none("POSTs that failed otherwise", others),
      ];
    },
  });
}

/** Figures that must hold in both loads. */
export function describeLosses(name: string, report: LossReport): Figure[] {
  return [
    shown(`${name}: requests`, report.requests),
    atLeast(`${name}: workers lost`, report.workers, 1),
    shown(`${name}: exchanges sent again`, report.replayed),
    shown(`${name}: slowest`, milliseconds(report.slowestMs)),
    none(`${name}: answers to other requests`, report.wrong),
  ];
}
