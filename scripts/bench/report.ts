import type { Case } from "./cases.ts";
import type { Machine } from "./machine.ts";
import type { Options } from "./options.ts";
import { samplesOf, type Metric, type Result } from "./results.ts";
import { SERVERS } from "./servers.ts";
import { pairedRatio, spreadOf, type Spread } from "./statistics.ts";
import { formatTable, type Row } from "./table.ts";
import { CALM_CORES, lostCores } from "./turn.ts";
import type { Verdict } from "./targets.ts";

/** All tables, one for each case that has results, then the targets, then doubts about the run itself. */
export function formatReport(results: readonly Result[], verdicts: readonly Verdict[]): string {
  const cases = new Set(results.map(({ entry }) => entry.case));
  return [
    ...[...cases].map((each) => formatCase(each, results)),
    ...(verdicts.length === 0 ? [] : [formatVerdicts(verdicts)]),
    ...formatDoubts(results),
  ].join("\n\n");
}

/** What was measured where: without it the tables say nothing. */
export function formatHeading(run: {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly options: Options;
}): string {
  const { machine, versions, options } = run;
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${machine.cores} x ${machine.cpu}, shared by the servers and the load generator; Linux ${machine.kernel}`,
    `${options.rounds} rounds of ${options.seconds} s, ${options.connections} connections; medians over the rounds`,
    names.join(", "),
    "CPU/request: user and system time of all processes of the server. wrk: how busy the load generator was; near 100 %,",
    "it is the limit and the server had time left. Peak memory: sum of Pss. / Edgicorn: requests/s, round by round.",
  ].join("\n");
}

/** The rows there are, and why those that cannot run cannot. */
export function formatList(rows: readonly Pick<Result, "entry" | "state">[]): string {
  return formatTable(
    ["case/server", ""],
    rows.map(({ entry, state }) => ({
      kind: "remark",
      title: entry.id,
      remark: state.kind === "skipped" ? state.reason : SERVERS[entry.server].title,
    })),
  );
}

function formatCase(each: Case, results: readonly Result[]): string {
  const own = results.filter(({ entry }) => entry.case === each);
  const header = [
    "server",
    "requests/s",
    "p50",
    "p99",
    "errors",
    "CPU/request",
    "wrk",
    "peak memory",
    "start",
    `/ ${SERVERS[each.baseline].title}`,
  ];
  const rows = own.map((result) => toRow(result, results));
  return `${each.title}\n\n${formatTable(header, rows)}`;
}

function toRow(result: Result, results: readonly Result[]): Row {
  const { entry, state, turns } = result;
  const { title } = SERVERS[entry.server];
  if (state.kind === "skipped")
    return { kind: "remark", title, remark: `skipped: ${state.reason}` };
  if (state.kind === "failed") {
    const remark = `FAILED in round ${state.round + 1}: ${state.reason.replaceAll(/\s+/g, " ")}`;
    return { kind: "remark", title, remark };
  }
  if (turns.length === 0) return { kind: "remark", title, remark: "not measured" };
  const middle = (metric: Metric): number =>
    spreadOf(samplesOf(results, entry.id, metric).map(({ value }) => value))?.median ?? NaN;
  const errors = turns.reduce((sum, turn) => sum + turn.badStatuses + turn.socketErrors, 0);
  const memory = Math.max(...turns.map((turn) => turn.peakMemoryBytes));
  return {
    kind: "cells",
    cells: [
      title,
      formatCount(middle("requestsPerSecond")),
      `${(middle("p50Us") / 1000).toFixed(2)} ms`,
      `${(middle("p99Us") / 1000).toFixed(2)} ms`,
      formatCount(errors),
      `${middle("cpuUsPerRequest").toFixed(1)} us`,
      `${(middle("loadCores") * 100).toFixed(0)} %`,
      `${(memory / 1024 ** 2).toFixed(0)} MiB`,
      `${middle("startMs").toFixed(0)} ms`,
      formatRatio(result, results),
    ],
  };
}

function formatRatio({ entry }: Result, results: readonly Result[]): string {
  if (entry.server === entry.case.baseline) return "1";
  const ratio = pairedRatio(
    samplesOf(results, entry.id, "requestsPerSecond"),
    samplesOf(results, `${entry.case.id}/${entry.case.baseline}`, "requestsPerSecond"),
  );
  return ratio === undefined ? "-" : formatSpread(ratio, 2);
}

function formatVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ target, outcome, figure }): Row => {
    const goal = target.kind === "ratio" ? `>= ${target.atLeast}` : `<= ${target.atMost}`;
    const digits = target.kind === "ratio" ? 2 : 0;
    const found = figure === undefined ? "-" : formatSpread(figure, digits);
    return { kind: "cells", cells: [target.claim, goal, found, outcome.toUpperCase()] };
  });
  return formatTable(["targets", "goal", "median (min..max)", ""], rows);
}

function formatDoubts(results: readonly Result[]): readonly string[] {
  const lost = results.flatMap((result) => result.turns).map(lostCores);
  const disturbed = lost.filter((cores) => cores > CALM_CORES);
  const spread = spreadOf(disturbed);
  if (spread === undefined) return [];
  const share = `${disturbed.length} of ${lost.length} measurements`;
  return [
    `Doubtful: in ${share} other programs or guests of the host took ${formatSpread(spread, 2)} cores.`,
  ];
}

function formatSpread({ median, min, max }: Spread, digits: number): string {
  const [middle, low, high] = [median, min, max].map((value) => value.toFixed(digits));
  return low === high ? `${middle}` : `${middle} (${low}..${high})`;
}

function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
