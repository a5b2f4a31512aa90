import { assertNever } from "../../runtime/lib/errors.ts";
import { samplesOf, type Metric, type Result } from "./results.ts";
import { SERVERS, type ServerId } from "./servers.ts";
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
      /** Processor time per unit of both rows, compared in the same round. */
      readonly kind: "cost";
      readonly claim: string;
      readonly of: string;
      readonly over: string;
      readonly atMost: number;
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
  ratio("hello", "uws", 0.65),
  ratio("hello", "bun", 1),
  ratio("hello", "deno", 1),
  ratio("hello", "nginx-node", 2),
  ratio("hello", "nginx-gunicorn", 8),
  ratio("hello-tls", "nginx-node", 1.2),
  cost("hello-h2", "nginx-node", 1, "edgicorn"),
  limit("hello", "start to first answer, ms", { metric: "startMs", atMost: 1000 }),
  ...noneFailed("hello"),
  ratio("post-json", "nginx-fastify", 2),
  ...noneFailed("post-json"),
  ...noneFailed("stream-64k"),
  ratio("stream-1g", "nginx-node", 0.5),
  limit("stream-1g", "growth of memory, MiB", { metric: "growthMiB", atMost: 64 }),
  ratio("static-1k", "nginx", 1.5),
  ...noneFailed("static-1k"),
  ratio("static-100k", "nginx", 1),
  ...noneFailed("static-100k"),
  ratio("static-10m", "nginx", 0.8),
  ...noneFailed("static-10m"),
  // The events come at a fixed rate: this checks that none stays late.
  ratio("sse", "nginx-node", 0.99),
  ...noneFailed("sse"),
  cost("wsgi", "nginx-gunicorn", 0.25),
  cost("wsgi", "nginx-uwsgi", 0.6),
  cost("flask", "nginx-gunicorn", 0.5),
  cost("flask", "nginx-uwsgi", 0.8),
  cost("fastapi", "nginx-uvicorn", 0.7),
  ...proxied("proxy"),
  ...proxied("proxy-post"),
  ...proxied("proxy-stream"),
  {
    kind: "ratio",
    claim: "cache-hit: a cached answer / a static file",
    of: "cache-hit/edgicorn-cached",
    over: "cache-hit/edgicorn",
    atLeast: 0.9,
  },
  ...noneFailed("cache-hit"),
  ...noneFailed("door"),
  ...noneFailed("json-gzip"),
  ...noneFailed("static-gzip"),
  limit("idle", "bytes for an idle connection", { metric: "idleBytes", atMost: 6 * 1024 }),
  limit("idle", "p99 with idle connections / without", { metric: "p99Times", atMost: 1.2 }),
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

function ratio(id: string, server: ServerId, atLeast: number): Target {
  const claim = `${id}: Edgicorn / ${SERVERS[server].title}`;
  return { kind: "ratio", claim, of: `${id}/edgicorn`, over: `${id}/${server}`, atLeast };
}

function cost(
  id: string,
  server: ServerId,
  atMost: number,
  own: ServerId = "edgicorn-python",
): Target {
  const claim = `${id}: CPU of Edgicorn / ${SERVERS[server].title}`;
  return { kind: "cost", claim, of: `${id}/${own}`, over: `${id}/${server}`, atMost };
}

function proxied(id: string): readonly Target[] {
  return [
    cost(id, "nginx-proxy", 1, "edgicorn-proxy"),
    cost(id, "caddy-proxy", 0.25, "edgicorn-proxy"),
  ];
}

function limit(
  id: string,
  figure: string,
  bound: { readonly metric: Metric; readonly atMost: number },
): Target {
  return { kind: "limit", claim: `${id}: ${figure}`, of: `${id}/edgicorn`, ...bound };
}

function noneFailed(id: string): readonly Target[] {
  return [
    limit(id, "failed, status", { metric: "badStatuses", atMost: 0 }),
    limit(id, "failed, socket", { metric: "socketErrors", atMost: 0 }),
  ];
}

function rowsOf(target: Target): readonly string[] {
  return target.kind === "limit" ? [target.of] : [target.of, target.over];
}

function figureOf(target: Target, results: readonly Result[]): Spread | undefined {
  switch (target.kind) {
    case "ratio":
      return pairedRatio(
        samplesOf(results, target.of, "rate"),
        samplesOf(results, target.over, "rate"),
      );
    case "cost":
      return pairedRatio(
        samplesOf(results, target.of, "cpuUsPerUnit"),
        samplesOf(results, target.over, "cpuUsPerUnit"),
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
    case "cost":
      return median <= target.atMost;
    case "limit":
      // A limit of zero applies to every round, not to the median.
      return (target.atMost === 0 ? max : median) <= target.atMost;
    default:
      return assertNever(target);
  }
}
