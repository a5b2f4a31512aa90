import { parseDurationMs } from "../../config/units.ts";
import { statusList } from "../../config/setting-types.ts";
import type { RouteInfo } from "../../control/operations.ts";
import { parseTarget } from "../../http/target-path.ts";
import { pickNearest } from "../../lib/nearest.ts";
import { createMatcher } from "../../route/match.ts";
import type { OwnValues } from "../own-flags.ts";

/** An access line in JSON, as far as filters and the form for terminals need it. */
export interface AccessLine {
  readonly time: string;
  readonly clientAddress: string;
  readonly host: string | null;
  readonly method: string;
  readonly path: string;
  readonly query?: string | null;
  readonly status: number;
  readonly bytes: number;
  readonly durationMs: number;
  readonly worker: number | null;
  readonly upstream?: string;
  readonly cache?: string;
  readonly limit?: string;
  readonly requestId: string;
}

/** Tells whether a line is shown. */
export type LineFilter = (line: AccessLine) => boolean;

/**
 * Creates the filter of the flags. All of them must hold; of one flag, one of its values.
 *
 * @param routes The routes of the server.
 * @returns The problems of the values, one line each; `filter`: `null` if all lines are shown.
 */
export function createLineFilter(
  own: OwnValues,
  routes: readonly RouteInfo[],
): { filter: LineFilter | null; problems: string[] } {
  const problems: string[] = [];
  const filters: LineFilter[] = [];
  const each = (name: string, expected: string, toFilter: (value: string) => LineFilter | null) => {
    const alternatives = (own[name] ?? []).flatMap((value) => {
      const filter = toFilter(value);
      if (filter === null) {
        problems.push(`Cannot use --${name}: found "${value}", expected ${expected}`);
      }
      return filter ?? [];
    });
    if (alternatives.length > 0) {
      filters.push((line) => alternatives.some((filter) => filter(line)));
    }
  };
  each("status", 'statuses such as "404" and classes such as "5xx"', toStatusFilter);
  each("method", "a method", (method) => {
    const wanted = method.toUpperCase();
    return wanted === "" ? null : (line) => line.method === wanted;
  });
  each("host", "a host name", (host) => {
    const wanted = host.toLowerCase();
    return wanted === ""
      ? null
      : (line) => line.host === wanted || line.host?.replace(/:\d+$/, "") === wanted;
  });
  each("slower", 'a duration with a unit, such as "500ms"', (text) => {
    const ms = parseDurationMs(text);
    return ms === null ? null : (line) => line.durationMs > ms;
  });
  const patterns = [...new Set(routes.map(({ pattern }) => pattern))];
  for (const value of own["route"] ?? []) {
    if (patterns.includes(value)) continue;
    const nearest = pickNearest(value, patterns);
    const hint = nearest === null ? "" : ` (did you mean "${nearest}"?)`;
    problems.push(
      `Cannot use --route: found "${value}", expected a path that "edgicorn routes" lists${hint}`,
    );
  }
  each("route", "a route", (pattern) => toRouteFilter(pattern, routes));
  const filter: LineFilter = (line) => filters.every((holds) => holds(line));
  return { filter: filters.length === 0 ? null : filter, problems };
}

const STATUSES = statusList();

function toStatusFilter(value: string): LineFilter | null {
  const parsed = STATUSES.parse(value);
  if (parsed === null) return null;
  const wanted = new Set(parsed.value);
  return ({ status }) => wanted.has(String(status)) || wanted.has(`${Math.floor(status / 100)}xx`);
}

/** Access lines have no route: the matcher that serves finds it by the path. */
function toRouteFilter(wanted: string, routes: readonly RouteInfo[]): LineFilter {
  const sites = new Set(routes.filter(({ pattern }) => pattern === wanted).map(({ site }) => site));
  const tables = [...sites].map((site) => {
    const own = routes.filter((route) => route.site === site && route.use === "route");
    return { own, match: createMatcher({ routes: own, fallbacks: [] }) };
  });
  return ({ path }) => {
    const target = parseTarget(path);
    return (
      target.ok &&
      tables.some(({ own, match }) => {
        const found = match(target.pathname);
        return found !== null && "route" in found && own[found.route]?.pattern === wanted;
      })
    );
  };
}

/** Parses an access line; `null`: it is another line of a log. */
export function parseAccessLine(text: string): AccessLine | null {
  // Most other lines of a general log need no parser.
  if (!text.includes('"component":"access"')) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    const { status, durationMs, path, method } = value as Partial<AccessLine>;
    const isLine =
      typeof status === "number" &&
      typeof durationMs === "number" &&
      typeof path === "string" &&
      typeof method === "string";
    return isLine ? (value as AccessLine) : null; // Has the members that filters compare.
  } catch {
    // A line that was cut off by a full disk.
    return null;
  }
}
