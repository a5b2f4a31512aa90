import { describeReason, levelOfAge } from "../../live/describe-row.ts";
import {
  formatBytes,
  formatCount,
  formatMs,
  formatShare,
  NONE,
} from "../../live/format-figures.ts";
import type {
  EventView,
  FailureView,
  LiveSnapshot,
  PoolView,
  RouteView,
  TrafficRow,
  UpstreamView,
  WorkerView,
} from "../../live/snapshot.ts";
import { type Column, Table } from "./table.ts";

type Server = UpstreamView["servers"][number] & { readonly group: string };
type Limit = LiveSnapshot["limits"][number];
type Certificate = LiveSnapshot["certificates"][number];

/** The tables of the page. Those without rows are hidden, unless their emptiness is good news. */
export class Tables {
  readonly element: HTMLElement = document.createElement("div");
  readonly #show: ((snapshot: LiveSnapshot) => void)[] = [];

  /** @param recycle Called with the number of a worker; `null`: the page may not act. */
  constructor(recycle: ((worker: number) => void) | null) {
    this.element.id = "tables";
    this.#add(createFailures(), ({ failures }) => failures, true);
    this.#add(createWorkers(recycle), ({ workers }) => workers, true);
    this.#add(createRoutes(), ({ routes }) => routes, true);
    this.#add(createPools(), ({ pools }) => pools);
    this.#add(createSites(), ({ sites }) => (sites.length > 1 ? sites : []));
    this.#add(createServers(), ({ upstreams }) =>
      upstreams.flatMap(({ name: group, servers }) =>
        servers.map((server) => ({ ...server, group })),
      ),
    );
    this.#add(createUpstreams(), ({ upstreams }) => upstreams);
    this.#add(createLimits(), ({ limits }) => limits);
    this.#add(createCertificates(), ({ certificates }) => certificates);
    this.#add(createEvents(), ({ events }) => events, true);
  }

  show(snapshot: LiveSnapshot): void {
    for (const show of this.#show) show(snapshot);
  }

  #add<Row>(
    table: Table<Row>,
    rowsOf: (snapshot: LiveSnapshot) => readonly Row[],
    isAlways = false,
  ): void {
    this.element.append(table.element);
    this.#show.push((snapshot) => {
      const rows = rowsOf(snapshot);
      table.element.hidden = rows.length === 0 && !isAlways;
      table.show(rows);
    });
  }
}

function createFailures(): Table<FailureView> {
  return new Table({
    caption: "Recent failures (status 5xx)",
    empty: "None.",
    // The id of the last request is another one with each failure of the group.
    keyOf: ({ site, route, method, status, limitedBy, upstream, handler, place, message }) =>
      JSON.stringify([site, route, method, status, limitedBy, upstream, handler, place ?? message]),
    columns: [
      ago(({ lastMs }) => lastMs),
      number("count", ({ count }) => count, formatCount),
      number("status", ({ status }) => status, String, { tone: () => "bad" }),
      {
        label: "route",
        text: ({ method, route, site }) => `${method} ${withSite(site, route)}`,
        hint: ({ path }) => `last path: ${path}`,
      },
      {
        label: "reason",
        isLong: true,
        text: describeReason,
      },
      { label: "place", text: ({ place, handler }) => place ?? handler ?? NONE },
      number("worker", ({ worker }) => worker, orNone, { isWide: true }),
      { label: "last request", isWide: true, text: ({ requestId }) => requestId },
    ],
  });
}

function createWorkers(recycle: ((worker: number) => void) | null): Table<WorkerView> {
  const button: Column<WorkerView> = {
    label: "command",
    text: () => "",
    button: ({ id, state }) =>
      state === "ready" && recycle !== null
        ? { label: `Recycle ${id}`, act: () => recycle(id) }
        : null,
  };
  return new Table({
    caption: "Workers",
    empty: "No workers: no route needs one.",
    keyOf: ({ id }) => String(id),
    columns: [
      number("worker", ({ id }) => id, String),
      { label: "pool", text: ({ pool }) => pool },
      {
        label: "state",
        text: ({ state }) => (state === "silent" ? "blocked" : state),
        tone: ({ state }) => (state === "ready" ? "good" : state === "silent" ? "bad" : "warn"),
      },
      {
        label: "oldest request",
        text: ({ oldest }) =>
          oldest === null
            ? "idle"
            : `${oldest.method} ${oldest.route}${oldest.state === "waiting" ? "" : ` (${oldest.state})`}`,
        tone: ({ oldest }) => (oldest === null ? "quiet" : ""),
        hint: ({ oldest }) => (oldest === null ? "" : `${oldest.path} (${oldest.requestId})`),
      },
      number("its age", ({ oldest }) => oldest?.ageMs ?? null, formatMs, {
        tone: ({ oldest }) => toneOfAge(oldest?.state === "answering" ? 0 : (oldest?.ageMs ?? 0)),
      }),
      number("in flight", ({ inFlight }) => inFlight, formatCount),
      number("requests/s", ({ perSecond }) => perSecond, formatCount),
      number("memory", ({ rssBytes }) => rssBytes, formatBytes),
      number("loop busy", ({ loopUtilization }) => loopUtilization, formatShare, {
        tone: ({ loopUtilization }) => ((loopUtilization ?? 0) > 0.95 ? "warn" : ""),
      }),
      number("waitUntil", ({ backgroundWork }) => backgroundWork, formatCount, { isWide: true }),
      number("loop delay", ({ loopDelayMs }) => loopDelayMs, formatMs, { isWide: true }),
      number("requests", ({ requests }) => requests, formatCount, { isWide: true }),
      number("up", ({ readyForMs }) => readyForMs, formatMs, { isWide: true }),
      { label: "pid", isWide: true, isNumber: true, text: ({ pid }) => String(pid) },
      ...(recycle === null ? [] : [button]),
    ],
    sortBy: "worker",
    isAscending: true,
  });
}

function createRoutes(): Table<RouteView> {
  return new Table({
    caption: "Routes",
    empty: "No requests so far.",
    keyOf: ({ site, route }) => `${site}\n${route}`,
    columns: [
      { label: "route", text: ({ site, route }) => withSite(site, route) },
      ...trafficColumns<RouteView>(),
    ],
    sortBy: "requests/s",
  });
}

function createSites(): Table<TrafficRow> {
  return new Table({
    caption: "Sites",
    empty: "No requests so far.",
    keyOf: ({ site }) => site,
    columns: [
      { label: "site", text: ({ site }) => site || "(none)" },
      ...trafficColumns<TrafficRow>(),
    ],
    sortBy: "requests/s",
  });
}

function trafficColumns<Row extends TrafficRow>(): Column<Row>[] {
  return [
    number("requests/s", ({ perSecond }) => perSecond, formatCount),
    number("p50", ({ latency }) => latency?.p50Ms ?? null, formatMs),
    number("p95", ({ latency }) => latency?.p95Ms ?? null, formatMs, { isWide: true }),
    number("p99", ({ latency }) => latency?.p99Ms ?? null, formatMs),
    number("p99 since start", ({ sinceStart }) => sinceStart?.p99Ms ?? null, formatMs, {
      isWide: true,
    }),
    number("failures/s", ({ failuresPerSecond }) => failuresPerSecond, formatCount, {
      tone: ({ failuresPerSecond }) => ((failuresPerSecond ?? 0) > 0 ? "bad" : ""),
    }),
    number("failures", ({ failures }) => failures, formatCount, {
      tone: ({ failures }) => (failures > 0 ? "warn" : ""),
    }),
    number("4xx", ({ clientErrors }) => clientErrors, formatCount, { isWide: true }),
    number("left", ({ left }) => left, formatCount, { isWide: true }),
    number("requests", ({ requests }) => requests, formatCount),
    ago(({ lastMs }) => lastMs),
  ];
}

function createPools(): Table<PoolView> {
  return new Table({
    caption: "Pools",
    empty: "No pools.",
    keyOf: ({ name, generation }) => `${name}\n${generation}`,
    columns: [
      { label: "pool", text: ({ name }) => name },
      {
        label: "workers",
        text: ({ ready, desired, isRetiring }) =>
          isRetiring ? `${ready} retire` : `${ready} of ${desired} ready`,
        tone: ({ ready, desired }) => (ready < desired ? (ready === 0 ? "bad" : "warn") : "good"),
      },
      number("in flight", ({ inFlight }) => inFlight, formatCount),
      number("queued", ({ queued }) => queued, formatCount, {
        tone: ({ queued }) => (queued > 0 ? "warn" : ""),
      }),
      number("oldest waits", ({ queueAgeMs }) => queueAgeMs, formatMs, {
        tone: ({ queueAgeMs }) => toneOfAge(queueAgeMs),
      }),
      number("wait p99", ({ wait }) => wait?.p99Ms ?? null, formatMs),
      number(
        "wait p99 since start",
        ({ waitSinceStart }) => waitSinceStart?.p99Ms ?? null,
        formatMs,
        {
          isWide: true,
        },
      ),
      { label: "lost workers", isWide: true, text: ({ ended }) => listCounts(ended, ["retired"]) },
      { label: "recycled for", isWide: true, text: ({ recycled }) => listCounts(recycled, []) },
      number("requests replayed", ({ replayed }) => replayed, formatCount, { isWide: true }),
      number("requests lost", ({ lost }) => lost, formatCount, { isWide: true }),
      { label: "generation", isWide: true, text: ({ generation }) => generation },
    ],
  });
}

function createServers(): Table<Server> {
  return new Table({
    caption: "Upstream servers",
    empty: "None.",
    keyOf: ({ group, name }) => `${group}\n${name}`,
    columns: [
      { label: "group", text: ({ group }) => group },
      { label: "server", text: ({ name, backup }) => (backup ? `${name} (backup)` : name) },
      {
        label: "state",
        text: ({ state, outMs }) => (outMs === null ? state : `${state} for ${formatMs(outMs)}`),
        tone: ({ state }) =>
          state === "up" ? "good" : state === "out" || state === "probing" ? "bad" : "warn",
      },
      number("requests/s", ({ perSecond }) => perSecond, formatCount),
      number("failures/s", ({ failuresPerSecond }) => failuresPerSecond, formatCount, {
        tone: ({ failuresPerSecond }) => ((failuresPerSecond ?? 0) > 0 ? "bad" : ""),
      }),
      number("in flight", ({ inFlight }) => inFlight, formatCount),
      number("requests", ({ requests }) => requests, formatCount, { isWide: true }),
      number("failures", ({ failures }) => failures, formatCount),
      { label: "last failure", isLong: true, text: ({ lastReason }) => lastReason ?? NONE },
    ],
  });
}

function createUpstreams(): Table<UpstreamView> {
  return new Table({
    caption: "Upstream groups",
    empty: "None.",
    keyOf: ({ name }) => name,
    columns: [
      { label: "group", text: ({ name }) => name },
      number("queued", ({ queued }) => queued, formatCount),
      number("p50", ({ latency }) => latency?.p50Ms ?? null, formatMs),
      number("p99", ({ latency }) => latency?.p99Ms ?? null, formatMs),
      number("p99 since start", ({ sinceStart }) => sinceStart?.p99Ms ?? null, formatMs),
      {
        label: "names without address",
        text: ({ unresolved }) => unresolved.join(", ") || NONE,
      },
    ],
  });
}

function createLimits(): Table<Limit> {
  return new Table({
    caption: "Limits that refused or cut off requests",
    empty: "None.",
    keyOf: ({ name }) => name,
    columns: [
      { label: "setting", text: ({ name }) => name },
      number("per second", ({ perSecond }) => perSecond, formatCount, {
        tone: ({ perSecond }) => ((perSecond ?? 0) > 0 ? "bad" : ""),
      }),
      number("since start", ({ count }) => count, formatCount),
    ],
    sortBy: "per second",
  });
}

function createCertificates(): Table<Certificate> {
  return new Table({
    caption: "Certificates",
    empty: "None.",
    keyOf: ({ names, notAfter }) => `${names.join()}\n${notAfter}`,
    columns: [
      { label: "names", isLong: true, text: ({ names }) => names.join(", ") || "(none)" },
      {
        label: "expires",
        text: ({ notAfter }) => notAfter.slice(0, 10),
        tone: ({ isDue }) => (isDue ? "bad" : ""),
      },
      number("days left", daysLeft, (days) => (days === null ? NONE : String(Math.floor(days))), {
        tone: ({ isDue }) => (isDue ? "bad" : ""),
      }),
    ],
    sortBy: "expires",
  });
}

function createEvents(): Table<EventView> {
  return new Table({
    caption: "Reloads, lost workers and commands",
    empty: "None since the start.",
    keyOf: ({ number: count }) => String(count),
    columns: [
      ago(({ agoMs }) => agoMs),
      {
        label: "event",
        text: ({ kind }) => (kind === "worker" ? "lost worker" : kind),
        tone: ({ isGood }) => (isGood ? "" : "bad"),
      },
      { label: "outcome", isLong: true, text: ({ text }) => text },
    ],
  });
}

function number<Row>(
  label: string,
  value: (row: Row) => number | null,
  format: (value: number) => string,
  more: Partial<Column<Row>> = {},
): Column<Row> {
  return {
    label,
    isNumber: true,
    value,
    text(row) {
      const found = value(row);
      return found === null ? NONE : format(found);
    },
    ...more,
  };
}

function ago<Row>(ms: (row: Row) => number): Column<Row> {
  return { label: "last", isNumber: true, value: ms, text: (row) => formatAgo(ms(row)) };
}

function formatAgo(ms: number): string {
  return ms < 1_500 ? "now" : `${formatMs(ms)} ago`;
}

function toneOfAge(ms: number): string {
  return levelOfAge(ms) ?? "";
}

function withSite(site: string, route: string): string {
  return site === "" || site === "default" ? route : `${site} ${route}`;
}

function listCounts(counts: Readonly<Record<string, number>>, without: readonly string[]): string {
  const shown = Object.entries(counts).filter(([name]) => !without.includes(name));
  return shown.map(([name, count]) => `${name} ${count}`).join(", ") || NONE;
}

function orNone(value: number | null): string {
  return value === null ? NONE : String(value);
}

function daysLeft({ notAfter }: Certificate): number {
  return (Date.parse(notAfter) - Date.now()) / 86_400_000;
}
