import { assertNever } from "../../runtime/lib/errors.ts";
import type { ServerId } from "./cases.ts";
import { samplesOf, type Metric, type Result } from "./results.ts";
import { SERVERS } from "./servers.ts";
import { pairedRatio, spreadOf, type Spread } from "./statistics.ts";

/** A goal of this project, for any machine that runs the benchmark. */
export type Target =
  | {
      readonly kind: "ratio";
      readonly claim: string;
      /** Rows as `case/server`, compared by their rates in the same round. */
      readonly of: string;
      readonly over: string;
      readonly atLeast: number;
    }
  | {
      readonly kind: "limit";
      readonly claim: string;
      readonly of: string;
      readonly metric: Metric;
      readonly atMost: number;
    };

export interface Verdict {
  readonly target: Target;
  readonly outcome: "reached" | "not reached" | "no figure";
  /** Decided by the median. */
  readonly figure: Spread | undefined;
}

/** The targets that have rows so far; docs/bench.md gives their sources. */
export const TARGETS: readonly Target[] = [
  hello("bare uWebSockets.js", "uws", 0.65),
  hello("Bun.serve", "bun", 1),
  hello("deno serve", "deno", 1),
  hello("Nginx -> node:http", "nginx-node", 2),
  hello("Nginx -> Gunicorn", "nginx-gunicorn", 8),
  {
    kind: "ratio",
    claim: "TLS: Edgicorn / Nginx -> node:http",
    of: "hello-tls/edgicorn",
    over: "hello-tls/nginx-node",
    atLeast: 1.2,
  },
  {
    kind: "limit",
    claim: "start to first answer, ms",
    of: "hello/edgicorn",
    metric: "startMs",
    atMost: 1000,
  },
  {
    kind: "limit",
    claim: "failed requests: status",
    of: "hello/edgicorn",
    metric: "badStatuses",
    atMost: 0,
  },
  {
    kind: "limit",
    claim: "failed requests: socket",
    of: "hello/edgicorn",
    metric: "socketErrors",
    atMost: 0,
  },
  beside("post-json", "nginx-fastify", 2),
  ...noneFailed("post-json"),
  ...noneFailed("stream-64k"),
  beside("stream-1g", "nginx-node", 0.5),
  {
    kind: "limit",
    claim: "stream-1g: growth of memory, MiB",
    of: "stream-1g/edgicorn",
    metric: "growthMiB",
    atMost: 64,
  },
  beside("static-1k", "nginx", 1.5),
  ...noneFailed("static-1k"),
  beside("static-100k", "nginx", 1),
  ...noneFailed("static-100k"),
  beside("static-10m", "nginx", 0.8),
  ...noneFailed("static-10m"),
  // The events come at a fixed rate: this checks that none stays late.
  beside("sse", "nginx-node", 0.99),
  ...noneFailed("sse"),
  {
    kind: "limit",
    claim: "idle: bytes for an idle connection",
    of: "idle/edgicorn",
    metric: "idleBytes",
    atMost: 6 * 1024,
  },
  {
    kind: "limit",
    claim: "idle: p99 with idle connections / without",
    of: "idle/edgicorn",
    metric: "p99Times",
    atMost: 1.2,
  },
  ...noneFailed("idle"),
];

/** Compares the measurements with the targets. Skips targets whose rows were not measured. */
export function judge(targets: readonly Target[], results: readonly Result[]): readonly Verdict[] {
  const asked = new Set(results.map(({ entry }) => entry.id));
  return targets
    .filter((target) => rowsOf(target).every((row) => asked.has(row)))
    .map((target) => {
      const figure = figureOf(target, results);
      if (figure === undefined) return { target, outcome: "no figure", figure };
      return { target, outcome: isReached(target, figure) ? "reached" : "not reached", figure };
    });
}

function hello(peer: string, server: string, atLeast: number): Target {
  const claim = `hello: Edgicorn / ${peer}`;
  return { kind: "ratio", claim, of: "hello/edgicorn", over: `hello/${server}`, atLeast };
}

function beside(id: string, server: ServerId, atLeast: number): Target {
  const claim = `${id}: Edgicorn / ${SERVERS[server].title}`;
  return { kind: "ratio", claim, of: `${id}/edgicorn`, over: `${id}/${server}`, atLeast };
}

function noneFailed(id: string): readonly Target[] {
  const limit = { kind: "limit", of: `${id}/edgicorn`, atMost: 0 } as const;
  return [
    { ...limit, claim: `${id}: failed, status`, metric: "badStatuses" },
    { ...limit, claim: `${id}: failed, socket`, metric: "socketErrors" },
  ];
}

function rowsOf(target: Target): readonly string[] {
  return target.kind === "ratio" ? [target.of, target.over] : [target.of];
}

function figureOf(target: Target, results: readonly Result[]): Spread | undefined {
  switch (target.kind) {
    case "ratio":
      return pairedRatio(
        samplesOf(results, target.of, "rate"),
        samplesOf(results, target.over, "rate"),
      );
    case "limit":
      return spreadOf(samplesOf(results, target.of, target.metric).map(({ value }) => value));
    default:
      return assertNever(target);
  }
}

function isReached(target: Target, { median, max }: Spread): boolean {
  switch (target.kind) {
    case "ratio":
      return median >= target.atLeast;
    case "limit":
      // A limit of zero applies to every round, not to the median.
      return (target.atMost === 0 ? max : median) <= target.atMost;
    default:
      return assertNever(target);
  }
}
