import { Histogram } from "./histogram.ts";

/** Names a site and a route among the meters of a server. 0: no site has seen the request. */
export type SeriesId = number;

/** Requests that no site has seen: their head is malformed, or a limit refused them first. */
export const REFUSED_SERIES: SeriesId = 0;

/** Names of places without a pattern. They have no slash, as all patterns have one. */
export type PlaceName = "refused" | "unmatched" | "files" | "proxy" | "rules" | "server" | "other";

/** Methods with meters of their own. All others count as `other`, so that clients cannot add series. */
export const METHODS = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "other",
] as const;

/** Results of a request: that of a client that left, or the first digit of the status. */
export const RESULTS = ["left", "1xx", "2xx", "3xx", "4xx", "5xx"] as const;

/** Most series. Development may make new routes for days. */
const MOST_SERIES = 50_000;

/** The requests of one route, method and result. */
export interface RequestMeter {
  readonly durations: Histogram;
  /** Size of the bodies of the answers. */
  bytes: number;
}

/** The requests of one route, method and result, with their names. */
export interface NamedMeter extends RequestMeter {
  /** `""`: none. */
  readonly site: string;
  /** Pattern of the route, or the name of a place. */
  readonly route: string;
  readonly method: (typeof METHODS)[number];
  readonly result: (typeof RESULTS)[number];
}

/** A request that has ended. */
export interface FinishedRequest {
  readonly method: string;
  /** 499: its client left. */
  readonly status: number;
  readonly ms: number;
  /** Size of the body of its answer. */
  readonly bytes: number;
  /** `performance.now()` at its end. */
  readonly nowMs: number;
}

/** The requests of one site and route. */
export interface SeriesMeters {
  readonly id: SeriesId;
  readonly site: string;
  readonly route: string;
  /** `performance.now()` at the end of the newest request. */
  readonly lastMs: number;
  /** By method and result. `null`: there was no such request. `resultAt` has the result of an index. */
  readonly meters: readonly (RequestMeter | null)[];
}

interface Series extends Omit<SeriesMeters, "id"> {
  readonly meters: (RequestMeter | null)[];
  lastMs: number;
}

/**
 * Counts finished requests by site, route, method and result.
 *
 * A site and a route get a number before their first request. A request carries the number, so that counting it takes two look-ups
 * in arrays. Numbers stay when a reload removes the route: counts never fall.
 */
export class RequestMeters {
  readonly #series: Series[] = [];
  readonly #ids = new Map<string, SeriesId>();

  constructor() {
    this.idOf("", "refused");
  }

  /** Returns the number of a site and a route. The same names have the same number, in every generation. */
  idOf(site: string, route: string): SeriesId {
    const key = `${site}\n${route}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    if (this.#series.length >= MOST_SERIES && route !== "other") return this.idOf("", "other");
    const id = this.#series.length;
    const meters = Array.from({ length: METHODS.length * RESULTS.length }, () => null);
    this.#series.push({ site, route, meters, lastMs: Number.NEGATIVE_INFINITY });
    this.#ids.set(key, id);
    return id;
  }

  /** Counts a finished request. */
  note(id: SeriesId, request: FinishedRequest): void {
    const series = this.#series[id];
    if (series === undefined) return;
    const { method, status, ms, bytes, nowMs } = request;
    const result = status === 499 ? 0 : Math.trunc(status / 100);
    const at = indexOf(method) * RESULTS.length + result;
    let meter = series.meters[at] ?? null;
    if (meter === null) {
      meter = { durations: new Histogram(), bytes: 0 };
      series.meters[at] = meter;
    }
    meter.durations.note(ms);
    meter.bytes += bytes;
    series.lastMs = nowMs;
  }

  /** Returns the site and the route of a number. */
  nameOf(id: SeriesId): { site: string; route: string } {
    const { site, route } = this.#series[id] ?? { site: "", route: "other" };
    return { site, route };
  }

  /** Returns the pattern of the route, or the name of the place, of a number. */
  routeOf(id: SeriesId): string {
    return this.#series[id]?.route ?? "";
  }

  /** Sites and routes that have counted a request at a time or later. */
  *changedSince(ms: number): Generator<SeriesMeters> {
    for (const [id, series] of this.#series.entries()) {
      const { lastMs } = series;
      if (lastMs >= ms && lastMs !== Number.NEGATIVE_INFINITY) yield { id, ...series };
    }
  }

  /** All meters that have counted a request. */
  *list(): Generator<NamedMeter> {
    for (const { site, route, meters } of this.#series) {
      for (const [at, meter] of meters.entries()) {
        const method = METHODS[Math.trunc(at / RESULTS.length)];
        if (meter === null || method === undefined) continue;
        yield { site, route, method, result: resultAt(at), ...meter };
      }
    }
  }
}

/** Returns the result of an index among the meters of a series. */
export function resultAt(index: number): NamedMeter["result"] {
  return RESULTS[index % RESULTS.length] ?? "5xx";
}

/** Returns the name under which a method is counted. */
export function toCountedMethod(method: string): (typeof METHODS)[number] {
  return METHODS[indexOf(method)] ?? "other";
}

/** Returns the index of a method in `METHODS`. */
function indexOf(method: string): number {
  switch (method) {
    case "GET":
      return 0;
    case "HEAD":
      return 1;
    case "POST":
      return 2;
    case "PUT":
      return 3;
    case "PATCH":
      return 4;
    case "DELETE":
      return 5;
    case "OPTIONS":
      return 6;
    default:
      return 7;
  }
}
