import { describeLibrary } from "../lib/describe-library.ts";
import type {
  GenerationInfo,
  PoolChange,
  PoolInfo,
  ReloadReport,
  Status,
} from "../control/operations.ts";
import { formatCron } from "./format-cron.ts";
import { formatQueues } from "./format-queues.ts";
import { formatCache } from "./format-cache.ts";
import { formatLive, formatProblems, toWorkerCells } from "./format-live.ts";
import { formatTable } from "./format-table.ts";
import type { LiveSnapshot } from "../live/snapshot.ts";
import { formatUpstreams } from "./format-upstreams.ts";
import { toCounts } from "./to-counts.ts";
import type { Traffic } from "../observe/counters.ts";

/** Formats the changes of a reload or a rollback, pool by pool. Ends with a line feed. */
export function formatReloadReport(report: ReloadReport): string {
  const { generation, previous, durationMs, pools, settings, moved } = report;
  const before = previous === null || previous === generation ? "" : `, before it ${previous}`;
  const isUnchanged = settings.length === 0 && pools.every(({ change }) => change === "kept");
  if (moved !== null) {
    const { link, from, to, pid } = moved;
    return `${link} leads to ${to} now: process ${pid} serves it, generation ${generation} (${durationMs} ms)\n  before: ${from}, generation ${previous ?? "none"}\n`;
  }
  const lines = [
    `serving ${generation}${before} (${durationMs} ms)`,
    ...formatTable(pools.map(toRow)),
    ...(isUnchanged ? ["nothing has changed"] : []),
    ...(settings.length === 0 ? [] : [`settings that changed: ${settings.join(", ")}`]),
  ];
  return `${lines.join("\n")}\n`;
}

/** Formats a table of generations, in the given order. Ends with a line feed. */
export function formatGenerations(generations: readonly GenerationInfo[]): string {
  if (generations.length === 0) return "no generations\n";
  const rows = generations.map((generation) => [
    generation.id,
    generation.createdAt,
    generation.code,
    String(generation.routes),
    String(generation.requests),
    String(generation.errors),
    [
      generation.state,
      ...(generation.mode === "development" ? ["built by dev"] : []),
      ...(generation.rollback ? ["rollback goes here"] : []),
    ].join(", "),
  ]);
  const head = ["id", "created", "code", "routes", "requests", "errors", "state"];
  return `${formatTable([head, ...rows]).join("\n")}\n`;
}

/** Formats the state of a server. Ends with a line feed. */
export function formatStatus(status: Status): string {
  const { pid, version, mode, startedAt, generation, routes, listeners, pools } = status;
  const { retiring, library, lostLogLines, rolledBackFrom, sites = [], live } = status;
  const rows = [
    ...pools.flatMap((pool) => toRows(pool, "", live)),
    ...retiring.flatMap((pool) => toRows(pool, `, retiring: generation ${pool.generation}`, live)),
  ];
  const lines = [
    ...(live === undefined ? [] : formatProblems(live)),
    `serving, ${mode}, version ${version}, pid ${pid}, since ${startedAt}`,
    describeLibrary(library),
    `listening: ${listeners.map(({ scheme, port }) => `${scheme} ${port}`).join(", ")}`,
    `generation ${generation}, ${routes} ${routes === 1 ? "route" : "routes"}`,
    ...(sites.length === 0 ? [] : [formatSites(sites)]),
    ...(rolledBackFrom === null
      ? []
      : [
          `rolled back from ${rolledBackFrom}: the next reload or start builds the handlers folder anew`,
        ]),
    ...formatTable(rows),
    ...formatUpstreams(status.upstreams ?? []),
    ...(status.cache === undefined ? [] : formatCache(status.cache)),
    ...(status.cron === undefined ? [] : formatCron(status.cron).trimEnd().split("\n")),
    ...(status.queues === undefined ? [] : formatQueues(status.queues)),
    ...formatTraffic(status.traffic),
    ...(live === undefined ? [] : formatLive(live)),
    ...status.certificates.map(formatCertificate),
    ...(lostLogLines === 0 ? [] : [`lines lost of its logs: ${lostLogLines}`]),
  ];
  return `${lines.join("\n")}\n`;
}

/** `3 sites: a.example (2 routes), *.b.example, c.example`. */
function formatSites(sites: NonNullable<Status["sites"]>): string {
  const shown = sites
    .slice(0, MOST_SITES)
    .map(({ name, routes }) =>
      routes === 0 ? name : `${name} (${routes} ${routes === 1 ? "route" : "routes"})`,
    );
  const more = sites.length > MOST_SITES ? `, and ${sites.length - MOST_SITES} more` : "";
  return `${sites.length} ${sites.length === 1 ? "site" : "sites"}: ${shown.join(", ")}${more}`;
}

/** Sites that the text names. The JSON names all. */
const MOST_SITES = 20;

function formatCertificate({ names, notAfter, isDue }: Status["certificates"][number]): string {
  const [first = "without names", ...others] = names;
  const shown = others.length === 0 ? first : `${first} and ${others.length} more`;
  return `certificate for ${shown}: until ${notAfter.slice(0, 10)}${isDue ? ", renewal is due" : ""}`;
}

function formatTraffic({ connections, requests, responses, limits }: Traffic): string[] {
  const { received, open, queued, inFlight } = requests;
  const { clientLeft, ...classes } = responses;
  const limited = toCounts(limits);
  return [
    `connections: ${connections.open} open, ${connections.accepted} since the start`,
    `requests: ${open} open (${queued} wait, workers have ${inFlight}), ${received} since the start`,
    `answers: ${toCounts(classes) || "none"}; clients left: ${clientLeft}`,
    ...(limited === "" ? [] : [`refused or cut off by: ${limited}`]),
  ];
}

function toRows(
  { name, workers }: PoolInfo,
  remark: string,
  live: LiveSnapshot | undefined,
): string[][] {
  return workers.map(({ id, pid, state }) => [
    `pool ${name}`,
    `worker ${id}`,
    `pid ${pid}`,
    `${state}${remark}`,
    ...toWorkerCells(live?.workers.find((worker) => worker.id === id)),
  ]);
}

function toRow({ name, change, workers, reasons }: PoolChange): string[] {
  const count = `${workers} ${workers === 1 ? "worker" : "workers"}`;
  return [`  pool ${name}`, change, count, reasons.join("; ")];
}
