import uPlot from "uplot";
import { formatCount, formatMs } from "../../live/format-figures.ts";
import type { LiveSnapshot } from "../../live/snapshot.ts";

/** A constant of the types only: the library exports no value for it. */
// oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- The enum is not there at run time.
const LOGARITHMIC = 3 as uPlot.Scale.Distr;

/** Most seconds that the charts show, and the fewest, before they have more. */
const SHOWN_SECONDS = 300;
const LEAST_SECONDS = 60;

interface Line {
  readonly label: string;
  /** Name of a custom property of the style sheet. */
  readonly color: string;
  readonly of: (snapshot: LiveSnapshot) => number | null;
}

interface Kind {
  readonly title: string;
  readonly isLogarithmic: boolean;
  readonly format: (value: number) => string;
  readonly lines: readonly Line[];
}

const KINDS: readonly Kind[] = [
  {
    title: "Requests per second",
    isLogarithmic: false,
    format: formatCount,
    lines: [
      { label: "all", color: "--blue", of: ({ traffic }) => traffic.perSecond?.requests ?? null },
      {
        label: "4xx",
        color: "--amber",
        of: ({ traffic }) => traffic.perSecond?.byClass["4xx"] ?? null,
      },
      {
        label: "5xx",
        color: "--red",
        of: ({ traffic }) => traffic.perSecond?.byClass["5xx"] ?? null,
      },
    ],
  },
  {
    title: "Latency",
    isLogarithmic: true,
    format: formatMs,
    lines: [
      { label: "p50", color: "--green", of: ({ traffic }) => traffic.latency?.p50Ms ?? null },
      { label: "p95", color: "--amber", of: ({ traffic }) => traffic.latency?.p95Ms ?? null },
      { label: "p99", color: "--red", of: ({ traffic }) => traffic.latency?.p99Ms ?? null },
    ],
  },
  {
    title: "Queue and requests in flight",
    isLogarithmic: false,
    format: formatCount,
    lines: [
      { label: "in flight", color: "--blue", of: ({ traffic }) => traffic.inFlight },
      { label: "queued", color: "--red", of: ({ traffic }) => traffic.queued },
    ],
  },
];

/** The charts of the last five minutes. */
export class Charts {
  readonly element: HTMLElement = document.createElement("div");
  readonly #charts: Chart[];

  constructor() {
    this.element.className = "charts";
    this.#charts = KINDS.map((kind) => new Chart(kind));
    this.element.append(...this.#charts.map(({ element }) => element));
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => this.#each((chart) => chart.draw()));
    new ResizeObserver(() => this.#each((chart) => chart.fit())).observe(this.element);
  }

  add(snapshot: LiveSnapshot): void {
    this.#each((chart) => chart.add(snapshot));
  }

  #each(act: (chart: Chart) => void): void {
    for (const chart of this.#charts) act(chart);
  }
}

class Chart {
  readonly element: HTMLElement = document.createElement("figure");
  readonly #kind: Kind;
  readonly #place = document.createElement("div");
  readonly #legend = document.createElement("figcaption");
  readonly #times: number[] = [];
  readonly #values: (number | null)[][];
  #plot: uPlot | null = null;

  constructor(kind: Kind) {
    this.#kind = kind;
    this.#values = kind.lines.map(() => []);
    const title = document.createElement("h3");
    title.textContent = kind.title;
    this.#place.className = "plot";
    this.#place.setAttribute("aria-hidden", "true");
    this.#legend.append(
      ...kind.lines.map(({ label, color }) => {
        const entry = document.createElement("span");
        const mark = document.createElement("i");
        mark.style.background = `var(${color})`;
        const value = document.createElement("b");
        entry.append(mark, `${label} `, value);
        return entry;
      }),
    );
    this.element.append(title, this.#legend, this.#place);
  }

  add(snapshot: LiveSnapshot): void {
    const now = Date.parse(snapshot.time) / 1_000;
    const { lines, format } = this.#kind;
    this.#times.push(now);
    const values = this.#legend.querySelectorAll("b");
    for (const [at, { of }] of lines.entries()) {
      const value = of(snapshot);
      // A logarithmic scale has no 0.
      this.#values[at]?.push(this.#kind.isLogarithmic && value === 0 ? null : value);
      const shown = values[at];
      if (shown !== undefined) shown.textContent = value === null ? "–" : format(value);
    }
    while ((this.#times[0] ?? now) < now - SHOWN_SECONDS) {
      this.#times.shift();
      for (const list of this.#values) list.shift();
    }
    if (this.#plot === null) this.draw();
    else this.#plot.setData(this.#data());
  }

  fit(): void {
    this.#plot?.setSize(this.#size());
  }

  /** Draws it anew: colors do not follow the style sheet. */
  draw(): void {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#times.length === 0) return;
    const style = getComputedStyle(document.documentElement);
    const colorOf = (name: string): string => style.getPropertyValue(name).trim();
    const { lines, format, isLogarithmic } = this.#kind;
    const axis = {
      stroke: colorOf("--soft"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: colorOf("--line"), width: 1 },
      ticks: { show: false },
    };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 8, 0, 0],
        scales: {
          x: {
            range: (_, first, latest) => [Math.min(first, latest - LEAST_SECONDS), latest],
          },
          y: isLogarithmic
            ? {
                distr: LOGARITHMIC,
                range: (_, least, most) => [lowerPower(least), upperPower(most)],
              }
            : { range: (_, __, most) => [0, Math.max(1, (most ?? 0) * 1.1)] },
        },
        axes: [
          {
            ...axis,
            space: 60,
            size: 28,
            values: (_, times) => times.map((time) => clockOf(time, times)),
          },
          {
            ...axis,
            size: 56,
            splits: isLogarithmic ? (_, __, least, most) => powersBetween(least, most) : undefined,
            values: (_, values) => values.map((value) => (value === null ? "" : format(value))),
          } as uPlot.Axis,
        ],
        series: [
          {},
          ...lines.map(({ label, color }) => ({
            label,
            stroke: colorOf(color),
            width: 1.5,
            points: { show: false },
          })),
        ],
      },
      this.#data(),
      this.#place,
    );
  }

  #data(): uPlot.AlignedData {
    return [this.#times, ...this.#values];
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(200, this.#place.clientWidth), height: 150 };
  }
}

/** With seconds where two labels would be equal without them. */
function clockOf(seconds: number, [first = 0, second = 0]: readonly number[]): string {
  return new Date(seconds * 1_000).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    ...(second - first < 60 && { second: "2-digit" }),
    hour12: false,
  });
}

function lowerPower(value: number | null): number {
  return value === null || value <= 0 ? 0.1 : 10 ** Math.floor(Math.log10(value));
}

function upperPower(value: number | null): number {
  if (value === null || value <= 0) return 10;
  const power = 10 ** Math.ceil(Math.log10(value));
  return power === lowerPower(value) ? power * 10 : power;
}

function powersBetween(least: number, most: number): number[] {
  const powers: number[] = [];
  for (let power = lowerPower(least); power <= most * 1.001; power *= 10) powers.push(power);
  return powers;
}
