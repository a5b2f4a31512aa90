import type { CronJobInfo, CronRunReport } from "../control/operations.ts";
import { formatTable } from "./format-table.ts";

const HEAD = ["route", "times", "next", "last", "result", "took", "left out", "missed"];

/** Formats the handlers that run at times. Ends with a line feed. */
export function formatCron(jobs: readonly CronJobInfo[]): string {
  if (jobs.length === 0) return "no handler has times\n";
  const hasSites = new Set(jobs.map(({ site }) => site)).size > 1;
  const rows = jobs.map((job) => [
    hasSites ? `${job.site} ${job.route}` : job.route,
    job.timeZone === "UTC" ? job.cron : `${job.cron} (${job.timeZone})`,
    job.next ?? "never",
    job.last ?? "never",
    describeResult(job),
    job.durationMs === null ? "" : `${job.durationMs} ms`,
    String(job.skipped),
    String(job.missed),
  ]);
  return `${formatTable([HEAD, ...rows]).join("\n")}\n`;
}

function describeResult({ result, running, waiting }: CronJobInfo): string {
  const now = running === 0 ? [] : [running === 1 ? "runs now" : `${running} run now`];
  const more = waiting === 0 ? [] : [`${waiting} wait`];
  return [...(result === null ? [] : [result]), ...now, ...more].join(", ");
}

/** Formats the end of a run. Ends with a line feed. */
export function formatCronRun({ route, result, durationMs }: CronRunReport): string {
  const log = result === "done" ? "" : " (the log has the reason)";
  return `${route}: ${result} after ${durationMs} ms${log}\n`;
}
