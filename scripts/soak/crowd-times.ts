import { setTimeout as delay } from "node:timers/promises";
import type { LatencySummary } from "../../runtime/drill/latencies.ts";
import type { TestServer } from "../../test/helpers/start-server.ts";
import { spreadOf } from "../bench/statistics.ts";
import { BesiegedServer, type SiegeSetting } from "./besieged-server.ts";
import { Disturbance, judgeTimes } from "./disturbance.ts";
import { milliseconds, shown, type Figure, type SoakContext } from "./soak.ts";

/** The crowds' effect on normal traffic, and on the attacked server. */
export interface CrowdTimes {
  readonly beside: BesiegedServer;
  readonly figures: readonly Figure[];
}

/** Normal traffic without a crowd, with a crowd at another server, and with a crowd at the same server. */
const PHASES = "without, with them elsewhere, beside";

/**
 * Measures by how much slow clients move the p99 of others.
 *
 * On a machine with few cores the clients alone move it. Therefore the p99 is compared, within each round, with the p99
 * while the same crowd attacks another server of the same kind. That crowd takes as much of the machine, and nothing of
 * our server. A machine that slows down slows all phases of a round.
 *
 * Must not run after a heap snapshot of the server: V8 then tracks each object that moves, and collects for longer.
 */
export async function measureCrowdTimes(
  { server, other }: { server: TestServer; other: TestServer },
  setting: SiegeSetting,
  { seconds, say }: Pick<SoakContext, "seconds" | "say">,
): Promise<CrowdTimes> {
  const { traffic, quietSeconds } = setting;
  const beside = new BesiegedServer(server, setting);
  const elsewhere = new BesiegedServer(other, setting);
  const disturbance = new Disturbance(server.pid, other.pid);
  const quiet: LatencySummary[] = [];
  const endMs = performance.now() + seconds * 1000;
  do {
    await traffic.cut();
    await delay(quietSeconds * 1000);
    quiet.push(await traffic.cut());
    // Each comes first in every other round.
    const order = quiet.length % 2 === 0 ? [beside, elsewhere] : [elsewhere, beside];
    for (const besieged of order) await besieged.besiege();
    const round = [quiet, elsewhere.latencies, beside.latencies].map((phase) => phase.slice(-1));
    say(`p99 ${PHASES}: ${medians(round, "p99Ms")}`);
  } while (performance.now() < endMs);
  const phases = [quiet, elsewhere.latencies, beside.latencies];
  const times = beside.latencies.map(
    ({ p99Ms }, round) => p99Ms / (elsewhere.latencies[round]?.p99Ms ?? NaN),
  );
  const { cores } = disturbance;
  const name = "p99 beside / with them elsewhere";
  return {
    beside,
    figures: [
      shown("rounds", quiet.length),
      shown(`p50 ${PHASES}`, medians(phases, "p50Ms")),
      shown(`p99 ${PHASES}`, medians(phases, "p99Ms")),
      ...judgeTimes(spreadOf(times)?.median ?? 0, { cores, name, brief: false }),
    ],
  };
}

function medians(
  phases: readonly (readonly LatencySummary[])[],
  percentile: "p50Ms" | "p99Ms",
): string {
  return phases
    .map((rounds) => milliseconds(spreadOf(rounds.map((each) => each[percentile]))?.median ?? 0))
    .join(", ");
}
