import type { ExerciseResult } from "./judge.ts";

const NAME_WIDTH = 19;

/** The line above the results. */
export function formatResultsHead(): string {
  return toRow("while", ["requests", "failed", "503", "closed", "p50 ms", "p99 ms"], "");
}

/** Returns one line for a result, and one more for each expectation that did not hold. */
export function formatResult({ name, seen, note, breaches, skipped }: ExerciseResult): string {
  const { requests, failed, refused, closed, p50Ms, p99Ms } = seen;
  const cells = [requests, failed, refused, closed].map(String);
  const times = [p50Ms, p99Ms].map((ms) => ms.toFixed(1));
  const verdict = skipped || breaches.length === 0 ? note : "FAILED";
  const row = toRow(name, [...cells, ...times], verdict);
  return [row, ...breaches.map((breach) => `  FAILED: ${breach}`)].join("\n");
}

/** Returns the last line: whether all expectations held, and if not, where. */
export function formatVerdict(results: readonly ExerciseResult[]): string {
  const failed = results.filter(({ breaches }) => breaches.length > 0).map(({ name }) => name);
  if (failed.length > 0) return `failed: ${failed.join(", ")}`;
  const skipped = results.filter((result) => result.skipped).map(({ name }) => name);
  return skipped.length === 0 ? "all held" : `all held, but skipped: ${skipped.join(", ")}`;
}

function toRow(name: string, cells: readonly string[], rest: string): string {
  const columns = cells.map((cell) => cell.padStart(8)).join(" ");
  return `${name.padEnd(NAME_WIDTH)} ${columns}  ${rest}`.trimEnd();
}
