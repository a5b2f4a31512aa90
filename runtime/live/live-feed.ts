import type { MetricsFacts } from "../metrics/facts.ts";
import { CountsWindow } from "./counts-window.ts";
import { RouteTallies } from "./route-tallies.ts";
import type { LiveSnapshot } from "./snapshot.ts";
import { type Moment, type Recent, toSample, toSnapshot } from "./to-snapshot.ts";

/** Time between two snapshots. */
const INTERVAL_MS = 1_000;

/** Number of samples of which rates and percentiles are made: those of ten seconds. */
const SAMPLES = 11;

/** Most readers at a time. */
export const MOST_READERS = 16;

/** A reader that takes nothing for so many snapshots is dropped. */
const MOST_MISSED = 5;

/** One reader of snapshots. */
export interface LiveReader {
  /** It has not yet taken the last snapshot. */
  readonly isBlocked: boolean;
  /** @param json A snapshot, on one line. */
  send(json: string): void;
  /** Ends its connection: it is too slow, or the server ends. */
  drop(): void;
}

/** The source of facts. It exists while there are readers. */
export interface Lookout {
  /** Returns the facts now; `null`: the server starts. */
  look(): MetricsFacts | null;
  close(): void;
}

interface Clock {
  /** `performance.now()` */
  now: () => number;
  /** In ms since 1970. */
  time: () => number;
}

/**
 * Sends a snapshot of the server to all readers each second. Without readers it has no timer, and keeps no counts.
 *
 *     idle ──first reader──▶ sending ──last reader leaves──▶ idle
 */
export class LiveFeed {
  readonly #open: () => Lookout;
  readonly #onBug: (error: unknown) => void;
  readonly #clock: Clock;
  /** By reader, the number of snapshots that it has missed in a row. */
  readonly #readers = new Map<LiveReader, number>();
  #lookout: Lookout | null = null;
  #recent: Recent | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** The last snapshot, for a further reader. */
  #last: string | null = null;

  /** @param options.onBug Called when a look throws after the first one. All readers are dropped then. */
  constructor(
    open: () => Lookout,
    options: { onBug: (error: unknown) => void; clock?: Clock | undefined },
  ) {
    this.#open = open;
    this.#onBug = options.onBug;
    this.#clock = options.clock ?? {
      now: () => performance.now(),
      time: () => Date.now(),
    };
  }

  get readers(): number {
    return this.#readers.size;
  }

  /**
   * Adds a reader. It gets a snapshot at once, and then one each second.
   *
   * @returns A function that removes it; `null`: there are too many readers.
   * @throws The bug of the first look.
   */
  add(reader: LiveReader): (() => void) | null {
    if (this.#readers.size >= MOST_READERS) return null;
    if (this.#timer === undefined) this.#begin();
    this.#readers.set(reader, 0);
    if (this.#last !== null) reader.send(this.#last);
    return () => this.#remove(reader);
  }

  #begin(): void {
    this.#lookout = this.#open();
    this.#recent = createRecent(SAMPLES);
    try {
      this.#look();
    } catch (error) {
      this.#end();
      throw error;
    }
    this.#timer = setInterval(() => this.#tick(), INTERVAL_MS).unref();
  }

  /** Never throws: a bug in a view costs its readers, and not the server. */
  #tick(): void {
    try {
      this.#look();
    } catch (error) {
      this.#onBug(error);
      for (const reader of this.#readers.keys()) reader.drop();
      this.#readers.clear();
      this.#end();
      return;
    }
    const json = this.#last;
    if (json === null) return;
    for (const [reader, missed] of this.#readers) {
      if (!reader.isBlocked) {
        this.#readers.set(reader, 0);
        reader.send(json);
      } else if (missed + 1 < MOST_MISSED) this.#readers.set(reader, missed + 1);
      else {
        this.#remove(reader);
        reader.drop();
      }
    }
  }

  #look(): void {
    const facts = this.#lookout?.look() ?? null;
    if (facts === null || this.#recent === null) return;
    const moment = { nowMs: this.#clock.now(), timeMs: this.#clock.time() };
    this.#last = JSON.stringify(lookAgain(facts, this.#recent, moment));
  }

  #remove(reader: LiveReader): void {
    if (!this.#readers.delete(reader)) return;
    if (this.#readers.size === 0) this.#end();
  }

  #end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#lookout?.close();
    this.#lookout = null;
    this.#recent = null;
    this.#last = null;
  }
}

/** Returns one snapshot, without rates. */
export function lookOnce(facts: MetricsFacts, nowMs: number, timeMs: number): LiveSnapshot {
  return lookAgain(facts, createRecent(1), { nowMs, timeMs });
}

function createRecent(samples: number): Recent {
  return { window: new CountsWindow(samples), tallies: new RouteTallies(samples) };
}

function lookAgain(facts: MetricsFacts, recent: Recent, moment: Moment): LiveSnapshot {
  recent.window.add(toSample(facts, moment.nowMs));
  recent.tallies.look(facts.counters.finishedRequests, moment.nowMs);
  return toSnapshot(facts, recent, moment);
}
