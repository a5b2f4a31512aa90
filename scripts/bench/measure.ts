import type { Unit } from "./cases.ts";
import { extraConnections } from "./load.ts";
import { orderOfRound, type Entry } from "./plan.ts";
import { readOpenFilesLimit } from "./proc.ts";
import type { Result, ResultState } from "./results.ts";
import { SERVERS } from "./servers.ts";
import type { Tool, ToolName } from "./tools.ts";
import { CALM_CORES, lostCores, runTurn, type Bench, type Turn } from "./turn.ts";

export interface MeasureOptions {
  readonly bench: Bench;
  readonly rounds: number;
  /** How often a turn is repeated when other programs kept the machine busy. */
  readonly retries: number;
  readonly tools: ReadonlyMap<ToolName, Tool>;
  readonly say: (line: string) => void;
}

/**
 * Measures all rows, round by round, and returns them in the order given.
 *
 * A row that fails is not tried again and does not stop the others. After the bench's signal aborts, the rows measured
 * so far are returned.
 */
export async function measure(
  entries: readonly Entry[],
  options: MeasureOptions,
): Promise<readonly Result[]> {
  const { bench, rounds, retries, tools, say } = options;
  const rows = entries.map((entry) => new RowRecord(entry, stateBefore(entry, tools)));
  for (let round = 0; round < rounds; round++) {
    for (const row of orderOfRound(rows, round, rounds)) {
      if (row.state.kind !== "measured") continue;
      const outcome = await tryCalmTurn({ entry: row.entry, round, retries }, bench);
      if (bench.signal.aborted) return rows;
      row.add(outcome);
      say(
        `round ${round + 1}/${rounds}  ${row.entry.id}: ${describe(outcome, row.entry.case.unit)}`,
      );
    }
  }
  return rows;
}

/** Returns why a row cannot be measured: the first missing tool. */
export function stateBefore(
  entry: Entry,
  tools: ReadonlyMap<ToolName, Tool>,
  openFilesLimit = readOpenFilesLimit(),
): ResultState {
  const needed = extraConnections(entry.case.load) + OTHER_FILES;
  if (needed > openFilesLimit) {
    const reason = `${needed} open files needed, ${openFilesLimit} allowed (ulimit -Hn ${needed})`;
    return { kind: "skipped", reason };
  }
  const { load } = entry.case;
  const needs: readonly ToolName[] = SERVERS[entry.server].needs;
  for (const name of load.kind === "h2load" ? [...needs, "h2load" as const] : needs) {
    const tool = tools.get(name);
    if (tool?.kind !== "found") {
      return { kind: "skipped", reason: `${name} ${tool?.reason ?? "is unknown"}` };
    }
  }
  return { kind: "measured" };
}

/** Open files of a program besides the connections of a load: those of `wrk`, its own files, some to spare. */
const OTHER_FILES = 500;

type Outcome = Turn | Extract<ResultState, { kind: "failed" }>;

class RowRecord implements Result {
  readonly entry: Entry;
  readonly turns: Turn[] = [];
  state: ResultState;

  constructor(entry: Entry, state: ResultState) {
    this.entry = entry;
    this.state = state;
  }

  add(outcome: Outcome): void {
    if ("kind" in outcome) this.state = outcome;
    else this.turns.push(outcome);
  }
}

/** Picks the first undisturbed turn, else the least disturbed one. Its results do not influence the choice. */
async function tryCalmTurn(
  { entry, round, retries }: { entry: Entry; round: number; retries: number },
  bench: Bench,
): Promise<Outcome> {
  let calmest = await tryTurn(entry, round, bench);
  for (let retry = 0; retry < retries; retry++) {
    if ("kind" in calmest || lostCores(calmest) <= CALM_CORES) break;
    const next = await tryTurn(entry, round, bench);
    if ("kind" in next || lostCores(next) < lostCores(calmest)) calmest = next;
  }
  return calmest;
}

async function tryTurn(entry: Entry, round: number, bench: Bench): Promise<Outcome> {
  try {
    return await runTurn(entry, round, bench);
  } catch (error) {
    return {
      kind: "failed",
      round,
      reason: error instanceof Error ? error.message : String(error),
    };
  }
}

function describe(outcome: Outcome, unit: Unit): string {
  if ("kind" in outcome) return `FAILED, not tried again: ${outcome.reason}`;
  const rate = `${Math.round(outcome.rate).toLocaleString("en-US")} ${unit}/s`;
  const lost = lostCores(outcome);
  return lost <= CALM_CORES ? rate : `${rate} (disturbed: ${lost.toFixed(2)} cores lost to others)`;
}
