import type { MetricsFacts } from "../metrics/facts.ts";
import { CountsWindow } from "./counts-window.ts";
import type { LiveSnapshot } from "./snapshot.ts";
import { toSample, toSnapshot } from "./to-snapshot.ts";

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

/**
 * Sends a snapshot of the server to all readers each second. Without readers it has no timer, and keeps no counts.
 *
 *     idle ──first reader──▶ sending ──last reader leaves──▶ idle
 */
export class LiveFeed {
  readonly #open: () => Lookout;
  readonly #clock: { now: () => number; time: () => number };
  /** By reader, the number of snapshots that it has missed in a row. */
  readonly #readers = new Map<LiveReader, number>();
  #lookout: Lookout | null = null;
  #window: CountsWindow | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** The last snapshot, for a further reader. */
  #last: string | null = null;

  constructor(
    open: () => Lookout,
    clock: { now: () => number; time: () => number } = {
      now: () => performance.now(),
      time: () => Date.now(),
    },
  ) {
    this.#open = open;
    this.#clock = clock;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /**
   * Adds a reader. It gets a snapshot at once, and then one each second.
   *
   * @returns A function that removes it; `null`: there are too many readers.
   */
  add(reader: LiveReader): (() => void) | null {
    if (this.#readers.size >= MOST_READERS) return null;
    if (this.#timer === undefined) this.#begin();
    this.#readers.set(reader, 0);
    if (this.#last !== null) reader.send(this.#last);
    return () => this.#remove(reader);
  }

  /** Drops all readers. */
  close(): void {
    for (const reader of this.#readers.keys()) reader.drop();
    this.#readers.clear();
    this.#end();
  }

  #begin(): void {
    this.#lookout = this.#open();
    this.#window = new CountsWindow(SAMPLES);
    this.#look();
    this.#timer = setInterval(() => this.#tick(), INTERVAL_MS).unref();
  }

  #tick(): void {
    this.#look();
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
    const window = this.#window;
    if (facts === null || window === null) return;
    const nowMs = this.#clock.now();
    window.add(toSample(facts, nowMs));
    this.#last = JSON.stringify(toSnapshot(facts, window, { nowMs, timeMs: this.#clock.time() }));
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
    this.#window = null;
    this.#last = null;
  }
}

/** Returns one snapshot, without rates. */
export function lookOnce(facts: MetricsFacts, nowMs: number, timeMs: number): LiveSnapshot {
  const window = new CountsWindow(1);
  window.add(toSample(facts, nowMs));
  return toSnapshot(facts, window, { nowMs, timeMs });
}
