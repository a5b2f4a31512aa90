import {
  formatBytes,
  formatCount,
  formatMs,
  formatShare,
  NONE,
} from "../../live/format-figures.ts";
import { isSnapshot, type LiveSnapshot } from "../../live/snapshot.ts";
import { Charts } from "./charts.ts";
import { createCommands } from "./commands.ts";
import { find } from "./find.ts";
import { Tables } from "./tables.ts";

/** The page tells that it has lost the server when nothing has come for so long. */
const LOST_MS = 4_000;

/** How long the page waits before it asks again, when the server has refused it. */
const RETRY_MS = 3_000;

interface Tile {
  readonly label: string;
  readonly figure: (snapshot: LiveSnapshot) => string;
  readonly note: (snapshot: LiveSnapshot) => string;
  readonly tone?: (snapshot: LiveSnapshot) => string;
}

const TILES: readonly Tile[] = [
  {
    label: "Requests per second",
    figure: ({ traffic }) => formatCount(traffic.perSecond?.requests ?? null),
    note: ({ traffic }) => `${formatCount(traffic.requests)} since start`,
  },
  {
    label: "Failing (5xx)",
    figure: ({ traffic }) => formatShare(traffic.failing?.share ?? null),
    note: ({ traffic }) => `${formatCount(traffic.byClass["5xx"])} since start`,
    tone: ({ traffic }) => ((traffic.failing?.perSecond ?? 0) > 0 ? "bad" : ""),
  },
  {
    label: "Latency p50",
    figure: ({ traffic }) => formatMs(traffic.latency?.p50Ms ?? null),
    note: ({ traffic }) => `${formatMs(traffic.sinceStart?.p50Ms ?? null)} since start`,
  },
  {
    label: "Latency p99",
    figure: ({ traffic }) => formatMs(traffic.latency?.p99Ms ?? null),
    note: ({ traffic }) => `${formatMs(traffic.sinceStart?.p99Ms ?? null)} since start`,
  },
  {
    label: "Queue",
    figure: ({ traffic }) => formatCount(traffic.queued),
    note: ({ traffic }) =>
      traffic.queued === 0 ? "nothing waits" : `oldest ${formatMs(traffic.queueAgeMs)}`,
    tone: ({ traffic }) => (traffic.queueAgeMs >= 1_000 ? "bad" : traffic.queued > 0 ? "warn" : ""),
  },
  {
    label: "In flight",
    figure: ({ traffic }) => formatCount(traffic.inFlight),
    note: ({ traffic }) => `${formatCount(traffic.open)} requests open`,
  },
  {
    label: "Connections",
    figure: ({ traffic }) => formatCount(traffic.connections),
    note: ({ traffic }) => `${formatCount(traffic.perSecond?.connections ?? null)} new per second`,
  },
  {
    label: "Sent",
    figure: ({ traffic }) => perSecond(traffic.perSecond?.sentBytes ?? null),
    note: ({ traffic }) => `received ${perSecond(traffic.perSecond?.receivedBytes ?? null)}`,
  },
  {
    label: "Cache hits",
    figure: ({ cache }) => formatShare(cache?.hitShare ?? cache?.hitShareSinceStart ?? null),
    note: ({ cache }) =>
      cache === null
        ? "not in use"
        : `${formatCount(cache.entries)} answers, ${formatBytes(cache.memoryBytes)}${cache.diskBytes > 0 ? `, disk ${formatBytes(cache.diskBytes)}` : ""}`,
  },
  {
    label: "Primary",
    figure: ({ primary }) => formatShare(primary.loopUtilization),
    note: ({ primary }) =>
      `loop busy, p99 delay ${formatMs(primary.loopDelay.p99Ms)}, ${formatBytes(primary.rssBytes)}`,
    tone: ({ primary }) => ((primary.loopUtilization ?? 0) > 0.9 ? "bad" : ""),
  },
];

const mayAct = document.body.dataset["mayAct"] === "true";
const commands = createCommands({ mayAct });
const tables = new Tables(mayAct ? (worker) => commands.recycle(worker) : null);
const charts = new Charts();
const tiles = TILES.map(createTile);
find("tiles").append(...tiles.map(({ element }) => element));
find("charts").append(charts.element);
find("tables").replaceWith(tables.element);

let lastMs = performance.now();
let isLost = false;

connect();
setInterval(() => {
  isLost = performance.now() - lastMs > LOST_MS;
  document.body.classList.toggle("lost", isLost);
  if (isLost) say("the server does not answer", "bad");
}, 1_000);

function connect(): void {
  // Not relative: the address of the page may have a password in it, and requests must not.
  const source = new EventSource(new URL("/live", location.origin));
  source.addEventListener("message", ({ data }) => {
    const snapshot: unknown = JSON.parse(String(data));
    if (!isSnapshot(snapshot)) {
      // The server runs another version now: its page fits.
      location.reload();
      return;
    }
    lastMs = performance.now();
    isLost = false;
    document.body.classList.remove("lost");
    show(snapshot);
  });
  source.addEventListener("error", () => {
    // A browser connects again by itself, unless the answer was a refusal.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(connect, RETRY_MS);
  });
}

function show(snapshot: LiveSnapshot): void {
  showHealth(snapshot);
  for (const { show: showTile } of tiles) showTile(snapshot);
  charts.add(snapshot);
  tables.show(snapshot);
  commands.show(snapshot);
}

function showHealth({ problems, server }: LiveSnapshot): void {
  const worst = problems[0]?.level ?? "good";
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  say(problems.length === 0 ? "all is well" : count, worst);
  const list = find("problems");
  const wanted = problems.map(({ level, text }) => `${level} ${text}`).join("\n");
  if (list.dataset["shown"] !== wanted) {
    list.dataset["shown"] = wanted;
    list.replaceChildren(
      ...problems.map(({ level, text }) => {
        const entry = document.createElement("li");
        entry.className = `problem ${level}`;
        const mark = document.createElement("b");
        mark.textContent = level === "bad" ? "✖ Bad:" : "▲ Warning:";
        entry.append(mark, text);
        return entry;
      }),
    );
  }
  const { version, mode, pid, generation, uptimeMs } = server;
  setText(
    find("about"),
    `${version} · ${mode} · pid ${pid} · generation ${generation} · up ${formatMs(uptimeMs)}`,
  );
  document.title = `${problems.length === 0 ? "" : `(${problems.length}) `}Edgicorn ${location.host}`;
}

/** Screen readers hear this text when it changes. */
function say(text: string, tone: string): void {
  const health = find("health");
  setText(health, text);
  health.className = tone;
}

function createTile({ label, figure, note, tone }: Tile): {
  element: HTMLElement;
  show: (snapshot: LiveSnapshot) => void;
} {
  const element = document.createElement("div");
  const term = document.createElement("dt");
  term.textContent = label;
  const value = document.createElement("dd");
  value.className = "figure";
  const more = document.createElement("dd");
  more.className = "note";
  element.append(term, value, more);
  return {
    element,
    show(snapshot) {
      setText(value, figure(snapshot));
      setText(more, note(snapshot));
      element.className = tone?.(snapshot) ?? "";
    },
  };
}

function perSecond(bytes: number | null): string {
  return bytes === null ? NONE : `${formatBytes(bytes)}/s`;
}

function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
