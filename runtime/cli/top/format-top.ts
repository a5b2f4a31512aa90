import { describeReason, levelOfAge } from "../../live/describe-row.ts";
import {
  formatBytes,
  formatCount,
  formatMs,
  formatShare,
  NONE,
} from "../../live/format-figures.ts";
import type {
  FailureView,
  LiveSnapshot,
  Problem,
  RouteView,
  WorkerView,
} from "../../live/snapshot.ts";
import { clip, type Column, formatColumns } from "./format-columns.ts";
import type { Order } from "./order.ts";
import { paint, type Style } from "./style.ts";

export interface TopOptions {
  /** Width of the terminal. */
  readonly columns: number;
  /** Height of the terminal; `null`: all rows are shown. */
  readonly rows: number | null;
  readonly order: Order;
  readonly color: boolean;
  /** The last line. */
  readonly footer: string | null;
}

/** From this width on, tables have all columns. */
const WIDE = 110;

/** Most problems and failures of a terminal. */
const MOST_PROBLEMS = 4;
const MOST_FAILURES = 5;

/** Fewest rows of the table of routes. */
const LEAST_ROUTES = 4;

/** Formats a snapshot as lines, none of them wider than the terminal. Pure. */
export function formatTop(snapshot: LiveSnapshot, options: TopOptions): string[] {
  const { columns, rows, order, color, footer } = options;
  const style = (text: string, name: Style | null): string => (color ? paint(text, name) : text);
  const isWide = columns >= WIDE;
  const head = formatHead(snapshot, { columns, style });
  const problems = formatProblems(snapshot.problems, { columns, style });
  const failures = snapshot.failures.slice(0, MOST_FAILURES);
  const workers = sortWorkers(snapshot.workers, order);
  const routes = sortRoutes(snapshot.routes, order);
  const fixed = head.length + problems.length + 1 + (footer === null ? 0 : 1);
  const room = rows === null ? Infinity : Math.max(0, rows - fixed);
  const shares = shareRoom(room, {
    workers: workers.length,
    routes: routes.length,
    failures: failures.length,
  });
  const table = { columns, style };
  const lines = [
    ...head,
    ...problems,
    "",
    ...formatColumns(workers.slice(0, shares.workers), workerColumns(isWide), table),
    ...more(workers.length - shares.workers, "workers", table),
    "",
    ...formatColumns(routes.slice(0, shares.routes), routeColumns(isWide), table),
    ...more(routes.length - shares.routes + snapshot.otherRoutes, "routes", table),
    ...(shares.failures === 0
      ? []
      : ["", ...formatColumns(failures.slice(0, shares.failures), failureColumns(isWide), table)]),
  ];
  if (rows === null) return lines;
  const shown = lines.slice(0, Math.max(0, rows - (footer === null ? 0 : 1)));
  return footer === null
    ? shown
    : [...shown, ...blank(rows - 1 - shown.length), style(clip(footer, columns), "dim")];
}

interface Look {
  readonly columns: number;
  readonly style: (text: string, name: Style | null) => string;
}

function formatHead({ server, traffic, primary, cache }: LiveSnapshot, look: Look): string[] {
  const { columns, style } = look;
  const { perSecond, latency } = traffic;
  const { version, mode, pid, uptimeMs, phase, generation } = server;
  const gap = columns < WIDE ? "  " : "   ";
  return [
    style(
      clip(
        `edgicorn ${version}, ${mode}, ${phase}, pid ${pid}, up ${formatMs(uptimeMs)}, generation ${generation}`,
        columns,
      ),
      "bold",
    ),
    clip(
      [
        `requests ${formatCount(perSecond?.requests ?? null)}/s`,
        `5xx ${formatShare(traffic.failing?.share ?? null)}`,
        `p50 ${formatMs(latency?.p50Ms ?? null)}`,
        `p95 ${formatMs(latency?.p95Ms ?? null)}`,
        `p99 ${formatMs(latency?.p99Ms ?? null)}`,
        `sent ${perSecond === null ? NONE : `${formatBytes(perSecond.sentBytes)}/s`}`,
      ].join(gap),
      columns,
    ),
    clip(
      [
        `queue ${traffic.queued}${traffic.queued === 0 ? "" : ` (oldest ${formatMs(traffic.queueAgeMs)})`}`,
        `in flight ${traffic.inFlight}`,
        `connections ${formatCount(traffic.connections)}`,
        ...(cache === null
          ? []
          : [`cache ${formatShare(cache.hitShare ?? cache.hitShareSinceStart)}`]),
        `primary ${formatShare(primary.loopUtilization)} ${formatBytes(primary.rssBytes)}`,
      ].join(gap),
      columns,
    ),
  ];
}

/** Answers of all statuses. A client that left has none. */
function formatProblems(problems: readonly Problem[], { columns, style }: Look): string[] {
  if (problems.length === 0) return [style("all is well", "green")];
  const shown = problems.slice(0, MOST_PROBLEMS).map(({ level, text }) => {
    const line = clip(`${level === "bad" ? "BAD" : "warning"}: ${text}`, columns);
    return style(line, level === "bad" ? "red" : "yellow");
  });
  const left = problems.length - shown.length;
  return left === 0 ? shown : [...shown, style(`and ${left} more problems`, "yellow")];
}

function workerColumns(isWide: boolean): Column<WorkerView>[] {
  const columns: (Column<WorkerView> | null)[] = [
    number("worker", ({ id }) => String(id)),
    { head: "pool", cell: ({ pool }) => pool, most: 12 },
    {
      head: "state",
      cell: ({ state }) => (state === "silent" ? "blocked" : state),
      style: ({ state }) => (state === "ready" ? null : state === "silent" ? "red" : "yellow"),
    },
    {
      head: "oldest request",
      isFlexible: true,
      cell: ({ oldest }) => (oldest === null ? "idle" : `${oldest.method} ${oldest.route}`),
      style: ({ oldest }) => (oldest === null ? "dim" : null),
    },
    {
      ...number("age", ({ oldest }: WorkerView) => formatMs(oldest?.ageMs ?? null)),
      style: ({ oldest }) => (oldest?.state === "waiting" ? styleOfAge(oldest.ageMs) : null),
    },
    number("flight", ({ inFlight }) => formatCount(inFlight)),
    number("req/s", ({ perSecond }) => formatCount(perSecond)),
    number("memory", ({ rssBytes }) => formatBytes(rssBytes)),
    {
      ...number("busy", ({ loopUtilization }: WorkerView) => formatShare(loopUtilization)),
      style: ({ loopUtilization }) => ((loopUtilization ?? 0) > 0.95 ? "yellow" : null),
    },
    number("delay", ({ loopDelayMs }) => formatMs(loopDelayMs)),
    isWide ? number("waits", ({ backgroundWork }) => formatCount(backgroundWork)) : null,
    isWide ? number("requests", ({ requests }) => formatCount(requests)) : null,
    isWide ? number("up", ({ readyForMs }) => formatMs(readyForMs)) : null,
    isWide ? number("pid", ({ pid }) => String(pid)) : null,
  ];
  return columns.filter((column) => column !== null);
}

function routeColumns(isWide: boolean): Column<RouteView>[] {
  const columns: (Column<RouteView> | null)[] = [
    {
      head: "route",
      isFlexible: true,
      cell: ({ site, route }) => (site === "" || site === "default" ? route : `${site} ${route}`),
    },
    number("req/s", ({ perSecond }) => formatCount(perSecond)),
    number("p50", ({ latency }) => formatMs(latency?.p50Ms ?? null)),
    isWide ? number("p95", ({ latency }) => formatMs(latency?.p95Ms ?? null)) : null,
    number("p99", ({ latency }) => formatMs(latency?.p99Ms ?? null)),
    isWide
      ? number("p99 since start", ({ sinceStart }) => formatMs(sinceStart?.p99Ms ?? null))
      : null,
    {
      ...number("5xx", ({ failures }: RouteView) => formatCount(failures)),
      style: ({ failuresPerSecond, failures }) =>
        (failuresPerSecond ?? 0) > 0 ? "red" : failures > 0 ? "yellow" : null,
    },
    isWide ? number("4xx", ({ clientErrors }) => formatCount(clientErrors)) : null,
    isWide ? number("left", ({ left }) => formatCount(left)) : null,
    number("requests", ({ requests }) => formatCount(requests)),
    number("last", ({ lastMs }) => (lastMs < 1_500 ? "now" : formatMs(lastMs))),
  ];
  return columns.filter((column) => column !== null);
}

function failureColumns(isWide: boolean): Column<FailureView>[] {
  const columns: (Column<FailureView> | null)[] = [
    number("last", ({ lastMs }) => (lastMs < 1_500 ? "now" : formatMs(lastMs))),
    number("count", ({ count }) => formatCount(count)),
    { ...number("status", ({ status }: FailureView) => String(status)), style: () => "red" },
    { head: "route", most: isWide ? 40 : 20, cell: ({ method, route }) => `${method} ${route}` },
    {
      head: "reason",
      isFlexible: true,
      cell: describeReason,
    },
    {
      head: "place",
      most: isWide ? 40 : 24,
      cell: ({ place, handler }) => place ?? handler ?? NONE,
    },
  ];
  return columns.filter((column) => column !== null);
}

function number<Row>(head: string, cell: (row: Row) => string): Column<Row> {
  return { head, cell, isNumber: true };
}

function styleOfAge(ms: number): Style | null {
  const level = levelOfAge(ms);
  return level === null ? null : level === "bad" ? "red" : "yellow";
}

/** Shares the lines below the head among the tables. Each table has a line for its head. */
function shareRoom(
  room: number,
  wanted: { workers: number; routes: number; failures: number },
): { workers: number; routes: number; failures: number } {
  if (room === Infinity) return wanted;
  // Two heads, the blank line between them, and a line for each table that says how many are left out.
  let left = Math.max(0, room - 5);
  const workers = Math.min(
    wanted.workers,
    Math.max(1, left - Math.min(wanted.routes, Math.max(LEAST_ROUTES, Math.floor(left / 2)))),
  );
  left = Math.max(0, left - workers);
  const failureLines = wanted.failures === 0 || left < LEAST_ROUTES + 4 ? 0 : wanted.failures + 2;
  const routes = Math.min(wanted.routes, Math.max(LEAST_ROUTES, left - failureLines));
  const rest = left - routes;
  return { workers, routes, failures: rest < 3 ? 0 : Math.min(wanted.failures, rest - 2) };
}

function sortWorkers(workers: readonly WorkerView[], { workers: by }: Order): WorkerView[] {
  switch (by) {
    case "number":
      return workers.toSorted((one, other) => one.id - other.id);
    case "age":
      return workers.toSorted((one, other) => ageOf(other) - ageOf(one) || one.id - other.id);
    case "memory":
      return workers.toSorted((one, other) => (other.rssBytes ?? 0) - (one.rssBytes ?? 0));
    case "busy":
      return workers.toSorted(
        (one, other) => (other.loopUtilization ?? 0) - (one.loopUtilization ?? 0),
      );
  }
}

function ageOf({ oldest }: WorkerView): number {
  return oldest?.ageMs ?? -1;
}

function sortRoutes(routes: readonly RouteView[], { routes: by }: Order): RouteView[] {
  switch (by) {
    case "requests":
      return routes.toSorted(
        (one, other) =>
          (other.perSecond ?? 0) - (one.perSecond ?? 0) || other.requests - one.requests,
      );
    case "p99":
      return routes.toSorted((one, other) => slowness(other) - slowness(one));
    case "failures":
      return routes.toSorted((one, other) => other.failures - one.failures);
    case "last":
      return routes.toSorted((one, other) => one.lastMs - other.lastMs);
    case "name":
      return routes.toSorted((one, other) =>
        `${one.site} ${one.route}`.localeCompare(`${other.site} ${other.route}`),
      );
  }
}

function slowness({ latency, sinceStart }: RouteView): number {
  return latency?.p99Ms ?? (sinceStart?.p99Ms ?? 0) / 1e6;
}

function more(count: number, name: string, { style }: Look): string[] {
  return count > 0 ? [style(`and ${count} more ${name}`, "dim")] : [];
}

function blank(count: number): string[] {
  return Array.from({ length: Math.max(0, count) }, () => "");
}
