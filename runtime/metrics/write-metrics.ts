import { BOUNDS_MS } from "../lib/duration-bounds.ts";
import { Histogram } from "../observe/histogram.ts";
import type { MetricsFacts } from "./facts.ts";
import type { Family } from "./family.ts";
import { nameOf } from "./families.ts";

/** The two text formats of Prometheus. */
export type MetricsFormat = "text" | "openmetrics";

export const CONTENT_TYPES: Readonly<Record<MetricsFormat, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** The index of an upper bound among the buckets of a histogram, and the end of its line before the count. */
interface WrittenBound {
  readonly index: number;
  readonly end: string;
}

/** Returns the format that a client asks for. A client that accepts OpenMetrics gets it. */
export function pickFormat(accept: string | undefined): MetricsFormat {
  const ranges = (accept ?? "").toLowerCase().split(",");
  const isWanted = ranges.some((range) => {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    return (
      type === "application/openmetrics-text" &&
      !parameters.some((part) => /^q=0(\.0*)?$/.test(part))
    );
  });
  return isWanted ? "openmetrics" : "text";
}

/** Writes all samples in a format. Leaves out metrics without samples. The facts have the bounds of buckets. */
export function writeMetrics(
  families: readonly Family[],
  facts: MetricsFacts,
  format: MetricsFormat,
): string {
  const bounds = facts.bucketsMs.map(toWritten);
  const texts = families.map((family) => writeFamily(family, { facts, format, bounds }));
  return texts.join("") + (format === "openmetrics" ? "# EOF\n" : "");
}

/** @throws TypeError for a bound that histograms do not have: the setting refuses such bounds. */
function toWritten(boundMs: number): WrittenBound {
  const index = BOUNDS_MS.indexOf(boundMs);
  if (index === -1) throw new TypeError(`histograms have no bound ${boundMs} ms`);
  // Without the last digits of binary fractions.
  return { index, end: `le="${toFloat(Number((boundMs / 1_000).toPrecision(6)))}"} ` };
}

function writeFamily(
  family: Family,
  options: { facts: MetricsFacts; format: MetricsFormat; bounds: readonly WrittenBound[] },
): string {
  const { facts, format, bounds } = options;
  const { type, unit, labels, help } = family;
  const name = nameOf(family);
  const lines: string[] = [];
  for (const [values, value] of family.collect(facts)) {
    const set = labels.map((label, index) => `${label}="${escapeLabel(values[index] ?? "")}"`);
    if (value instanceof Histogram) lines.push(toHistogramLines({ name, set, bounds }, value));
    else lines.push(`${name}${inBraces(set)} ${value}`);
  }
  if (lines.length === 0) return "";
  // OpenMetrics names a counter without the ending of its samples.
  const described = format === "openmetrics" ? family.name : name;
  const isUnit = format === "openmetrics" && unit !== null;
  return [
    `# HELP ${described} ${escapeHelp(help)}`,
    `# TYPE ${described} ${type}`,
    ...(isUnit ? [`# UNIT ${described} ${unit}`] : []),
    ...lines,
    "",
  ].join("\n");
}

/** Makes texts of the labels once per histogram: a server has thousands of buckets. */
function toHistogramLines(
  series: { name: string; set: readonly string[]; bounds: readonly WrittenBound[] },
  { counts, sumMs }: Histogram,
): string {
  const { name, set, bounds } = series;
  const start = `${name}_bucket{${set.map((label) => `${label},`).join("")}`;
  const labels = inBraces(set);
  let text = "";
  let seen = 0;
  let from = 0;
  for (const { index, end } of bounds) {
    for (; from <= index; from++) seen += counts[from] ?? 0;
    text += `${start}${end}${seen}\n`;
  }
  for (; from < counts.length; from++) seen += counts[from] ?? 0;
  return `${text}${start}le="+Inf"} ${seen}\n${name}_sum${labels} ${sumMs / 1_000}\n${name}_count${labels} ${seen}`;
}

function inBraces(set: readonly string[]): string {
  return set.length === 0 ? "" : `{${set.join(",")}}`;
}

/** Writes a bound as both formats have it: OpenMetrics wants `1.0`. */
function toFloat(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function escapeHelp(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
