import type { CronJobInfo } from "../control/operations.ts";
import { type Family, type Sample, toSeconds } from "./family.ts";

const LABELS = ["site", "route", "cron"] as const;

/** Handlers that run at times. */
export const CRON_FAMILIES: readonly Family[] = [
  {
    name: "edgicorn_cron_runs",
    type: "counter",
    unit: null,
    labels: [...LABELS, "result"],
    help: "Runs of scheduled() that ended: done, failed, timed out, worker lost, refused, interrupted, elsewhere (another server did it) or left out (a later run made up for it).",
    *collect({ status }): Generator<Sample> {
      for (const job of status.cron ?? []) {
        for (const [result, count] of Object.entries(job.runs)) {
          yield [[...labelsOf(job), result], count];
        }
      }
    },
  },
  ofJobs({
    name: "skipped",
    type: "counter",
    unit: null,
    help: "Runs that were left out, since the run before had not ended.",
    pick: ({ skipped }) => skipped,
  }),
  ofJobs({
    name: "missed",
    type: "counter",
    unit: null,
    help: "Runs that did not begin in time, such as those while no server ran.",
    pick: ({ missed }) => missed,
  }),
  ofJobs({
    name: "running",
    type: "gauge",
    unit: null,
    help: "Runs in flight.",
    pick: ({ running }) => running,
  }),
  ofJobs({
    name: "last_success_timestamp_seconds",
    type: "gauge",
    unit: "seconds",
    help: "When the last run that succeeded ended, in seconds since 1970.",
    pick: ({ lastSuccess }) => toTimestamp(lastSuccess),
  }),
  ofJobs({
    name: "last_duration_seconds",
    type: "gauge",
    unit: "seconds",
    help: "How long the last run took.",
    pick: ({ durationMs }) => (durationMs === null ? null : toSeconds(durationMs)),
  }),
  ofJobs({
    name: "next_timestamp_seconds",
    type: "gauge",
    unit: "seconds",
    help: "When the next run is due, in seconds since 1970.",
    pick: ({ next }) => toTimestamp(next),
  }),
];

function ofJobs({
  name,
  pick,
  ...rest
}: Pick<Family, "name" | "type" | "unit" | "help"> & {
  /** `null`: there is no sample. */
  pick: (job: CronJobInfo) => number | null;
}): Family {
  return {
    name: `edgicorn_cron_${name}`,
    labels: LABELS,
    ...rest,
    *collect({ status }): Generator<Sample> {
      for (const job of status.cron ?? []) {
        const value = pick(job);
        if (value !== null) yield [labelsOf(job), value];
      }
    },
  };
}

function labelsOf({ site, route, cron, timeZone }: CronJobInfo): string[] {
  return [site, route, timeZone === "UTC" ? cron : `${cron} ${timeZone}`];
}

function toTimestamp(text: string | null): number | null {
  return text === null ? null : toSeconds(Date.parse(text));
}
