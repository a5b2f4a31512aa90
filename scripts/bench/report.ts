import type { Case } from "./cases.ts";
import type { Machine } from "./machine.ts";
import type { Options } from "./options.ts";
import { samplesOf, type Metric, type Result } from "./results.ts";
import { SERVERS } from "./servers.ts";
import { pairedRatio, spreadOf, type Spread } from "./statistics.ts";
import { formatTable, type Row } from "./table.ts";
import { CALM_CORES, lostCores } from "./turn.ts";
import type { Verdict } from "./targets.ts";

/** Formats all tables: one for each case with results, then the targets, then doubts about the run itself. */
export function formatReport(results: readonly Result[], verdicts: readonly Verdict[]): string {
  const cases = new Set(results.map(({ entry }) => entry.case));
  return [
    ...[...cases].map((each) => formatCase(each, results)),
    ...(verdicts.length === 0 ? [] : [formatVerdicts(verdicts)]),
    ...formatDoubts(results),
  ].join("\n\n");
}

/** Describes the run and its machine: the tables mean nothing without them. */
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
    "CPU: user and system time of all processes of the server. load: how busy the load generator was; near 100 %, it is",
    "the limit and the server had time left. Peak memory, growth: sum of Pss. / Edgicorn: by rates, round by round; CPU /: by CPU.",
  ].join("\n");
}

/** Lists the rows, with the reasons why some cannot run. */
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
  // A load may lack some figures: leave out empty columns.
  const columns = COLUMNS.filter(({ metric }) =>
    own.some(({ entry }) => samplesOf(results, entry.id, metric).length > 0),
  );
  const header = [
    "server",
    ...columns.map(({ title }) => title.replace("UNIT", each.unit)),
    `/ ${SERVERS[each.baseline].title}`,
    "CPU /",
  ];
  const rows = own.map((result) => toRow(result, { columns, results }));
  return `${each.title}\n\n${formatTable(header, rows)}`;
}

/** A column of the tables: the figure, its choice among the rounds, and its format. */
interface Column {
  readonly title: string;
  readonly metric: Metric;
  readonly pick?: (values: readonly number[]) => number;
  readonly format: (value: number) => string;
}

const COLUMNS: readonly Column[] = [
  { title: "UNIT/s", metric: "rate", format: formatCount },
  { title: "p50", metric: "p50Us", format: formatMs },
  { title: "p99", metric: "p99Us", format: formatMs },
  { title: "p99 without idle", metric: "quietP99Us", format: formatMs },
  { title: "p99 times", metric: "p99Times", format: (value) => value.toFixed(2) },
  { title: "idle connection", metric: "idleBytes", format: (value) => `${formatCount(value)} B` },
  { title: "bad status", metric: "badStatuses", pick: sumOf, format: formatCount },
  { title: "errors", metric: "socketErrors", pick: sumOf, format: formatCount },
  { title: "CPU/UNIT", metric: "cpuUsPerUnit", format: (value) => `${value.toFixed(1)} us` },
  { title: "load", metric: "loadCores", format: (value) => `${(value * 100).toFixed(0)} %` },
  {
    title: "peak memory",
    metric: "peakMemoryBytes",
    pick: (values) => Math.max(...values),
    format: (value) => formatMiB(value / 1024 ** 2),
  },
  {
    title: "growth",
    metric: "growthMiB",
    pick: (values) => Math.max(...values),
    format: formatMiB,
  },
  { title: "start", metric: "startMs", format: (value) => `${value.toFixed(0)} ms` },
];

function toRow(
  result: Result,
  {
    columns,
    results,
  }: { readonly columns: readonly Column[]; readonly results: readonly Result[] },
): Row {
  const { entry, state, turns } = result;
  const { title } = SERVERS[entry.server];
  if (state.kind === "skipped")
    return { kind: "remark", title, remark: `skipped: ${state.reason}` };
  if (state.kind === "failed") {
    const remark = `FAILED in round ${state.round + 1}: ${state.reason.replaceAll(/\s+/g, " ")}`;
    return { kind: "remark", title, remark };
  }
  if (turns.length === 0) return { kind: "remark", title, remark: "not measured" };
  const cells = columns.map(({ metric, pick = medianOf, format }) => {
    const values = samplesOf(results, entry.id, metric).map(({ value }) => value);
    return values.length === 0 ? "-" : format(pick(values));
  });
  const ratios = (["rate", "cpuUsPerUnit"] as const).map((metric) =>
    formatRatio(result, { metric, results }),
  );
  return { kind: "cells", cells: [title, ...cells, ...ratios] };
}

/** Formats the ratio of a figure to that of the baseline, which is taken within each round. */
function formatRatio(
  { entry }: Result,
  { metric, results }: { readonly metric: Metric; readonly results: readonly Result[] },
): string {
  if (entry.server === entry.case.baseline) return "1";
  const ratio = pairedRatio(
    samplesOf(results, entry.id, metric),
    samplesOf(results, `${entry.case.id}/${entry.case.baseline}`, metric),
  );
  return ratio === undefined ? "-" : formatSpread(ratio, 2);
}

function formatVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ target, outcome, figure }): Row => {
    const goal = target.kind === "ratio" ? `>= ${target.atLeast}` : `<= ${target.atMost}`;
    const digits = target.kind !== "limit" || !Number.isInteger(target.atMost) ? 2 : 0;
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

function formatMs(us: number): string {
  return `${(us / 1000).toFixed(2)} ms`;
}

function formatMiB(value: number): string {
  return `${value.toFixed(0)} MiB`;
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function medianOf(values: readonly number[]): number {
  return spreadOf(values)?.median ?? NaN;
}

function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
