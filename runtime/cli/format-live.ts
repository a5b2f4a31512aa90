import { formatBytes, formatCount, formatMs, formatShare } from "../live/format-figures.ts";
import type { LiveSnapshot, WorkerView } from "../live/snapshot.ts";
import { formatTable } from "./format-table.ts";

/** Most routes, failures and events that the text names. The JSON names more. */
const MOST_ROWS = 5;

/** Formats the problems of a server, the worst first. */
export function formatProblems({ problems }: LiveSnapshot): string[] {
  if (problems.length === 0) return ["all is well"];
  return problems.map(({ level, text }) => `${level === "bad" ? "BAD" : "warning"}: ${text}`);
}

/** Returns the figures of a worker, as cells of a table. */
export function toWorkerCells(worker: WorkerView | undefined): string[] {
  if (worker === undefined) return [];
  const { rssBytes, loopUtilization, requests, inFlight, oldest, backgroundWork } = worker;
  return [
    formatBytes(rssBytes),
    `busy ${formatShare(loopUtilization)}`,
    `${formatCount(requests)} requests`,
    oldest === null
      ? "idle"
      : `${inFlight} in flight, the oldest ${oldest.method} ${oldest.route} for ${formatMs(oldest.ageMs)}`,
    ...(backgroundWork === null || backgroundWork === 0
      ? []
      : [`${formatCount(backgroundWork)} of waitUntil() go on`]),
  ];
}

/** Formats latencies, routes, failures and events since the start. */
export function formatLive({ traffic, routes, failures, events }: LiveSnapshot): string[] {
  const { sinceStart, queueAgeMs, queued } = traffic;
  const slow = routes
    .filter((row) => row.sinceStart !== null)
    .toSorted((one, other) => (other.sinceStart?.p99Ms ?? 0) - (one.sinceStart?.p99Ms ?? 0))
    .slice(0, MOST_ROWS);
  return [
    ...(queued === 0 ? [] : [`the oldest request waits for ${formatMs(queueAgeMs)}`]),
    ...(sinceStart === null
      ? []
      : [
          `latency: p50 ${formatMs(sinceStart.p50Ms)}, p95 ${formatMs(sinceStart.p95Ms)}, p99 ${formatMs(sinceStart.p99Ms)}`,
        ]),
    ...titled("slowest routes (p99)", slow, (row) => [
      formatMs(row.sinceStart?.p99Ms ?? null),
      row.site === "default" ? row.route : `${row.site} ${row.route}`,
      `${formatCount(row.requests)} requests`,
      `${formatCount(row.failures)} failed`,
      `last ${formatMs(row.lastMs)} ago`,
    ]),
    ...titled("recent failures", failures.slice(0, MOST_ROWS), (failure) => [
      `${formatMs(failure.lastMs)} ago`,
      failure.count === 1 ? "once" : `${formatCount(failure.count)} times`,
      String(failure.status),
      `${failure.method} ${failure.route}`,
      failure.place ?? failure.handler ?? "",
      failure.message ?? (failure.limitedBy === null ? "" : `limit ${failure.limitedBy}`),
    ]),
    ...titled("events", events.slice(0, MOST_ROWS), (event) => [
      `${formatMs(event.agoMs)} ago`,
      event.kind,
      event.text.replaceAll(/\s*\n\s*/g, " "),
    ]),
  ];
}

function titled<Row>(
  title: string,
  rows: readonly Row[],
  toCells: (row: Row) => string[],
): string[] {
  if (rows.length === 0) return [];
  const lines = formatTable(rows.map((row) => toCells(row).map(toHarmless)));
  return [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

/** Control characters of clients must not reach the terminal. */
function toHarmless(text: string): string {
  return text.replaceAll(/\p{C}/gu, "·");
}
