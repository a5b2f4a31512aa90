import { readFileSync } from "node:fs";
import { parseStat, readMachineCpu, readSessions } from "../bench/proc.ts";
import { atMost, told, type Figure, type SoakContext } from "./soak.ts";

/** Cores that other programs may use before a time says more of them than of us; as in the benchmark. */
const MOST_CORES = 0.1;

/** Watches what other programs, and other guests of the host, take from this machine. */
export class Disturbance {
  readonly #sessions: ReadonlySet<number>;
  readonly #startMs = performance.now();
  readonly #startOthersMs: number;

  /** @param serverPids A server leads a session of its own; we and our clients are in ours. */
  constructor(...serverPids: readonly number[]) {
    const own = parseStat(readFileSync("/proc/self/stat", "utf8"))?.session ?? 0;
    this.#sessions = new Set([...serverPids, own]);
    this.#startOthersMs = this.#othersMs();
  }

  /** How many cores others have used so far. */
  get cores(): number {
    const othersMs = this.#othersMs() - this.#startOthersMs;
    return Math.max(0, othersMs) / (performance.now() - this.#startMs);
  }

  #othersMs(): number {
    const { busyMs, stolenMs } = readMachineCpu();
    let ownMs = 0;
    for (const { cpuMs } of readSessions(this.#sessions).values()) ownMs += cpuMs;
    return busyMs + stolenMs - ownMs;
  }
}

/** By how much a load has moved the p99 of others; judged unless something else may have moved it. */
export function judgeTimes(
  times: number,
  options: { cores: number; most?: number; name?: string } & Pick<SoakContext, "brief">,
): Figure[] {
  const { cores, brief, most = P99_TIMES, name = "p99 beside / without" } = options;
  const judged = atMost(name, times, most, (value) => `${value.toFixed(2)} x`);
  return [
    told("cores used by other programs", cores.toFixed(2)),
    ifQuiet(judged, { cores, brief }),
  ];
}

/** A figure that depends on time: told and not judged where something else may have made it what it is. */
export function ifQuiet(
  figure: Figure,
  { cores, brief }: { cores: number } & Pick<SoakContext, "brief">,
): Figure {
  const { name, value } = figure;
  return brief || cores > MOST_CORES ? { name, value, bound: "doubtful" } : figure;
}

/** What the p99 of normal traffic may be beside slow clients, of what it is without. */
const P99_TIMES = 1.2;
