import type { ShadowCounts, ShadowSample } from "../../control/shadowing.ts";
import { formatTable } from "../format-table.ts";
import type { Difference } from "./compare.ts";

/** Numbers of compared requests of one route. A request with several differences counts in each column. */
export interface RouteSummary {
  route: string;
  same: number;
  status: number;
  field: number;
  body: number;
  /** The old server gave no answer. */
  failed: number;
}

/** The result of a comparison so far. */
export interface ShadowSummary {
  compared: number;
  /** Requests with a difference. */
  different: number;
  failed: number;
  /** Names of fields that differed, with the number of requests. */
  fields: Record<string, number>;
  routes: RouteSummary[];
  counts: ShadowCounts;
}

/** Most routes of a summary: others are counted together. */
const MOST_ROUTES = 200;

/** Counts the results of a comparison. */
export class ShadowCounter {
  readonly #routes = new Map<string, RouteSummary>();
  readonly #fields = new Map<string, number>();
  #compared = 0;
  #different = 0;
  #failed = 0;
  #counts: ShadowCounts = { skipped: 0, dropped: 0, broken: 0 };

  /** @param result The differences; a text: the reason why the old server gave no answer. */
  add({ route, counts }: ShadowSample, result: readonly Difference[] | string): void {
    const row = this.#rowOf(route);
    this.#counts = counts;
    if (typeof result === "string") {
      this.#failed++;
      row.failed++;
      return;
    }
    this.#compared++;
    if (result.length === 0) row.same++;
    else this.#different++;
    for (const kind of new Set(result.map((each) => each.kind))) row[kind]++;
    for (const each of result) {
      if (each.kind !== "field") continue;
      const isKnown = this.#fields.has(each.name) || this.#fields.size < MOST_ROUTES;
      const name = isKnown ? each.name : "others";
      this.#fields.set(name, (this.#fields.get(name) ?? 0) + 1);
    }
  }

  toSummary(): ShadowSummary {
    return {
      compared: this.#compared,
      different: this.#different,
      failed: this.#failed,
      fields: Object.fromEntries(this.#fields),
      routes: [...this.#routes.values()].toSorted((one, other) =>
        one.route < other.route ? -1 : 1,
      ),
      counts: this.#counts,
    };
  }

  #rowOf(route: string): RouteSummary {
    const key = this.#routes.has(route) || this.#routes.size < MOST_ROUTES ? route : "other routes";
    const known = this.#routes.get(key);
    if (known !== undefined) return known;
    const row = { route: key, same: 0, status: 0, field: 0, body: 0, failed: 0 };
    this.#routes.set(key, row);
    return row;
  }
}

/** Formats one compared request with its differences, a line. */
export function formatDifferences(
  { method, target }: Pick<ShadowSample, "method" | "target">,
  differences: readonly Difference[],
): string {
  return `${method} ${target}: ${differences.map(describe).join("; ")}`;
}

function describe(difference: Difference): string {
  switch (difference.kind) {
    case "status":
      return `status ${difference.here}, old ${difference.old}`;
    case "field":
      return `${difference.name} ${show(difference.here)}, old ${show(difference.old)}`;
    case "body": {
      const { hereBytes, oldBytes, first } = difference;
      const sizes = `body of ${hereBytes} bytes, old ${oldBytes}`;
      if (first === null) return sizes;
      return `${sizes}, from character ${first.offset} on ${show(first.here)}, old ${show(first.old)}`;
    }
  }
}

function show(value: string | null): string {
  return value === null ? "absent" : JSON.stringify(value);
}

/** Formats the summary as a table of routes, and a line about requests that were not compared. */
export function formatSummary({
  compared,
  different,
  failed,
  fields,
  routes,
  counts,
}: ShadowSummary): string {
  const head = ["route", "same", "status", "field", "body", "no answer"];
  const rows = routes.map(({ route, same, status, field, body, failed: ofRoute }) =>
    [route, same, status, field, body, ofRoute].map(String),
  );
  const names = Object.entries(fields).map(([name, count]) => `${name} ${count}`);
  const { skipped, dropped, broken } = counts;
  return [
    `${compared} compared, ${different} different, ${failed} without an answer of the old server`,
    ...(rows.length === 0 ? [] : ["", ...formatTable([head, ...rows])]),
    ...(names.length === 0 ? [] : ["", `different fields: ${names.join(", ")}`]),
    "",
    `not compared: ${skipped} conditional or partial, ${dropped} too many at a time, ${broken} broken off`,
    "",
  ].join("\n");
}
