import { BOUNDS_MS } from "../lib/duration-bounds.ts";
import { quantileOf } from "../observe/histogram.ts";
import {
  REFUSED_SERIES,
  type RequestMeters,
  resultAt,
  type SeriesMeters,
} from "../observe/request-meters.ts";
import { type Change, type Counts, Tally } from "./tally.ts";

/** The requests of a route, of a site, or of a server. */
export class TrafficTally {
  readonly site: string;
  readonly route: string;
  readonly sinceStart: Tally = new Tally();
  /** Requests of the last seconds; `null`: there were none. */
  #inWindow: Tally | null = null;
  /** `performance.now()` at the end of the newest request. */
  lastMs = Number.NEGATIVE_INFINITY;
  /** `undefined`: it is not known any more. */
  #p99Ms: number | null | undefined;

  constructor(site: string, route: string) {
    this.site = site;
    this.route = route;
  }

  get inWindow(): Tally | null {
    return this.#inWindow;
  }

  /** 99th percentile of the durations in the window, or since the start if there are none. 0: there are none at all. */
  get p99Ms(): number {
    this.#p99Ms ??=
      (this.#inWindow === null ? null : quantileOf(this.#inWindow.buckets, 0.99)) ??
      quantileOf(this.sinceStart.buckets, 0.99) ??
      0;
    return this.#p99Ms;
  }

  /** Adds a change. */
  add(change: Change, { isInWindow, lastMs }: { isInWindow: boolean; lastMs: number }): void {
    this.sinceStart.add(change, 1);
    this.lastMs = Math.max(this.lastMs, lastMs);
    this.#p99Ms = undefined;
    if (!isInWindow) return;
    this.#inWindow ??= new Tally();
    this.#inWindow.add(change, 1);
  }

  /** Takes a change out of the window. */
  forget(change: Change): void {
    this.#inWindow?.add(change, -1);
    this.#p99Ms = undefined;
    if (this.#inWindow?.requests === 0) this.#inWindow = null;
  }
}

interface Place {
  readonly route: TrafficTally;
  readonly site: TrafficTally;
}

/**
 * Tallies of all routes and sites, since the start and in a window of the last looks.
 *
 * A look costs little for each route: only the meters of routes with new requests are added up. With 20,000 routes and no new requests
 * it takes less than a millisecond.
 */
export class RouteTallies {
  readonly all: TrafficTally = new TrafficTally("", "");
  /** By the number of the series. */
  readonly #places = new Map<number, Place>();
  readonly #sites = new Map<string, TrafficTally>();
  /** The changes between two looks, the oldest first. */
  readonly #window: (readonly (readonly [Place, Change])[])[] = [];
  readonly #most: number;
  /** Space for one look. */
  readonly #buckets = new Float64Array(BOUNDS_MS.length + 1);
  /** `performance.now()` of the last look; `null`: there was none. */
  #lookedMs: number | null = null;

  /** @param most Number of looks between whose oldest and newest the window is. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Adds the requests since the last look. */
  look(meters: RequestMeters, nowMs: number): void {
    const isInWindow = this.#lookedMs !== null;
    const changes: [Place, Change][] = [];
    for (const series of meters.changedSince(this.#lookedMs ?? Number.NEGATIVE_INFINITY)) {
      const place = this.#placeOf(series);
      const change = toChange(series, place.route.sinceStart, this.#buckets);
      if (change.requests === 0) continue;
      const { lastMs } = series;
      for (const tally of [place.route, place.site, this.all]) {
        tally.add(change, { isInWindow, lastMs });
      }
      if (isInWindow) changes.push([place, change]);
    }
    this.#lookedMs = nowMs;
    if (!isInWindow) return;
    this.#window.push(changes);
    if (this.#window.length < this.#most) return;
    for (const [{ route, site }, change] of this.#window.shift() ?? []) {
      for (const tally of [route, site, this.all]) tally.forget(change);
    }
  }

  /** Routes with requests. */
  *routes(): Generator<TrafficTally> {
    for (const { route } of this.#places.values()) yield route;
  }

  /** Number of routes with requests. */
  get size(): number {
    return this.#places.size;
  }

  /** Sites with requests. */
  sites(): Iterable<TrafficTally> {
    return this.#sites.values();
  }

  /** Requests that no site has seen; `null`: there were none. */
  get refused(): TrafficTally | null {
    return this.#places.get(REFUSED_SERIES)?.route ?? null;
  }

  #placeOf({ id, site, route }: SeriesMeters): Place {
    const known = this.#places.get(id);
    if (known !== undefined) return known;
    let tally = this.#sites.get(site);
    if (tally === undefined) {
      tally = new TrafficTally(site, "");
      this.#sites.set(site, tally);
    }
    const place = { route: new TrafficTally(site, route), site: tally };
    this.#places.set(id, place);
    return place;
  }
}

/**
 * Returns how much the meters of a route have grown since they were added to a tally.
 *
 * @param buckets Space for the buckets of a histogram. Its values do not matter.
 */
function toChange({ meters }: SeriesMeters, before: Tally, buckets: Float64Array): Change {
  const now: Counts = { requests: 0, clientErrors: 0, failures: 0, left: 0, bytes: 0 };
  buckets.fill(0);
  for (let index = 0; index < meters.length; index++) {
    const meter = meters[index] ?? null;
    if (meter === null) continue;
    const result = resultAt(index);
    const { counts } = meter.durations;
    let count = 0;
    for (let at = 0; at < counts.length; at++) {
      const found = counts[at] ?? 0;
      if (found === 0) continue;
      count += found;
      if (result !== "left") buckets[at] = (buckets[at] ?? 0) + found;
    }
    now.requests += count;
    now.bytes += meter.bytes;
    if (result === "left") now.left += count;
    else if (result === "4xx") now.clientErrors += count;
    else if (result === "5xx") now.failures += count;
  }
  const grown: number[] = [];
  for (let at = 0; at < buckets.length; at++) {
    const growth = (buckets[at] ?? 0) - (before.buckets[at] ?? 0);
    if (growth > 0) grown.push(at, growth);
  }
  return {
    requests: now.requests - before.requests,
    clientErrors: now.clientErrors - before.clientErrors,
    failures: now.failures - before.failures,
    left: now.left - before.left,
    bytes: now.bytes - before.bytes,
    buckets: grown,
  };
}
