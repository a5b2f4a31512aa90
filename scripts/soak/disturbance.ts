import { readFileSync } from "node:fs";
import { parseStat, readCpuMs, readMachineCpu } from "../bench/proc.ts";
import { atMost, ratio, shown, type Figure, type SoakContext } from "./soak.ts";

/** If other programs use more cores than this, times are not judged. The benchmark has the same bound. */
const MOST_CORES = 0.1;

/** Measures the CPU time that other programs, and other guests of the host, take from this machine. */
export class Disturbance {
  readonly #sessions: ReadonlySet<number>;
  readonly #startMs = performance.now();
  readonly #startOthersMs: number;

  /** @param serverPids A server leads a session of its own; this process and its clients share another one. */
  constructor(...serverPids: readonly number[]) {
    const own = parseStat(readFileSync("/proc/self/stat", "utf8"))?.session ?? 0;
    this.#sessions = new Set([...serverPids, own]);
    this.#startOthersMs = this.#othersMs();
  }

  /** How many cores other programs have used so far. */
  get cores(): number {
    const othersMs = this.#othersMs() - this.#startOthersMs;
    return Math.max(0, othersMs) / (performance.now() - this.#startMs);
  }

  #othersMs(): number {
    const { busyMs, stolenMs } = readMachineCpu();
    return busyMs + stolenMs - readCpuMs(this.#sessions);
  }
}

/** A figure for the effect of a load on the p99 of others. Judged unless other programs may have caused it. */
export function judgeTimes(
  times: number,
  options: { cores: number; most?: number; name?: string } & Pick<SoakContext, "brief">,
): Figure[] {
  const { cores, brief, most = P99_TIMES, name = "p99 beside / without" } = options;
  const judged = atMost(name, times, most, (value) => `${ratio(value)} x`);
  return [shown("cores used by other programs", ratio(cores)), ifQuiet(judged, { cores, brief })];
}

/** A figure that depends on time. Shown without judgement when other programs may have influenced it. */
export function ifQuiet(
  figure: Figure,
  { cores, brief }: { cores: number } & Pick<SoakContext, "brief">,
): Figure {
  const { name, value } = figure;
  return brief || cores > MOST_CORES ? { name, value, bound: "doubtful" } : figure;
}

/** Most p99 of normal traffic beside slow clients, as a multiple of the p99 without them. */
const P99_TIMES = 1.2;
