import { setTimeout as delay } from "node:timers/promises";
import type { TestServer } from "../../test/helpers/start-server.ts";
import { spreadOf } from "../bench/statistics.ts";
import { BesiegedServer, type Siege, type SiegeSetting } from "./besieged-server.ts";
import { Disturbance, judgeTimes } from "./disturbance.ts";
import type { LatencySummary } from "../../runtime/drill/latencies.ts";
import { milliseconds, shown, type Figure, type SoakContext } from "./soak.ts";

interface Round {
  readonly quiet: LatencySummary;
  /**
   * The crowd attacks another server of the same kind. It takes as much of the machine, and nothing of our server.
   */
  readonly elsewhere: LatencySummary;
  readonly beside: Siege;
}

/** The crowds' effect on normal traffic, and on the attacked server. */
export interface CrowdTimes {
  readonly beside: BesiegedServer;
  readonly figures: readonly Figure[];
}

/**
 * Measures by how much slow clients move the p99 of others.
 *
 * On a machine with few cores the clients alone move it. Therefore the p99 is compared with the p99 while the same
 * crowd attacks another server of the same kind.
 *
 * Must not run after a heap snapshot of the server: V8 then tracks each object that moves, and collects for longer.
 */
export async function measureCrowdTimes(
  { server, other }: { server: TestServer; other: TestServer },
  setting: SiegeSetting,
  { seconds, say }: Pick<SoakContext, "seconds" | "say">,
): Promise<CrowdTimes> {
  const beside = new BesiegedServer(server, setting);
  const elsewhere = new BesiegedServer(other, setting);
  const disturbance = new Disturbance(server.pid, other.pid);
  const rounds: Round[] = [];
  const endMs = performance.now() + seconds * 1000;
  do {
    const round = await runRound(setting, { beside, elsewhere, number: rounds.length });
    rounds.push(round);
    say(`p99 without slow clients ${formatRound(round)}`);
  } while (performance.now() < endMs);
  const { cores } = disturbance;
  const name = "p99 beside / with them elsewhere";
  const judged = judgeTimes(medianOf(rounds, timesOf), { cores, name, brief: false });
  return { beside, figures: [...latencyFigures(rounds), ...judged] };
}

async function runRound(
  { traffic, quietSeconds }: SiegeSetting,
  {
    beside,
    elsewhere,
    number,
  }: { beside: BesiegedServer; elsewhere: BesiegedServer; number: number },
): Promise<Round> {
  await traffic.cut();
  await delay(quietSeconds * 1000);
  const quiet = await traffic.cut();
  // Each comes first in every other round.
  if (number % 2 === 0) {
    const { latencies } = await elsewhere.besiege();
    return { quiet, elsewhere: latencies, beside: await beside.besiege() };
  }
  const siege = await beside.besiege();
  return { quiet, beside: siege, elsewhere: (await elsewhere.besiege()).latencies };
}

function latencyFigures(rounds: readonly Round[]): Figure[] {
  const percentiles = (pick: (latencies: LatencySummary) => number): string =>
    [
      medianOf(rounds, ({ quiet }) => pick(quiet)),
      medianOf(rounds, ({ elsewhere }) => pick(elsewhere)),
      medianOf(rounds, ({ beside }) => pick(beside.latencies)),
    ]
      .map(milliseconds)
      .join(", ");
  const of = "without, with them elsewhere, beside";
  return [
    shown("rounds", rounds.length),
    shown(
      `p50 ${of}`,
      percentiles(({ p50Ms }) => p50Ms),
    ),
    shown(
      `p99 ${of}`,
      percentiles(({ p99Ms }) => p99Ms),
    ),
  ];
}

/** Compares within a round: a machine that slows down slows all phases. */
function timesOf({ elsewhere, beside }: Round): number {
  return beside.latencies.p99Ms / elsewhere.p99Ms;
}

function formatRound({ quiet, elsewhere, beside }: Round): string {
  const [without, control, besieged] = [quiet, elsewhere, beside.latencies].map(({ p99Ms }) =>
    milliseconds(p99Ms),
  );
  return `${without}, ${control} with them elsewhere, ${besieged} beside`;
}

function medianOf(rounds: readonly Round[], pick: (round: Round) => number): number {
  return spreadOf(rounds.map(pick))?.median ?? 0;
}
