import { Histogram } from "./histogram.ts";

/** Bytes and frames of the channels to workers. */
export interface ChannelTraffic {
  sentBytes: number;
  sentFrames: number;
  receivedBytes: number;
  receivedFrames: number;
}

/** The counts of all pools of one name, in all generations. */
export class PoolMeter {
  /** Number of workers that became ready. */
  started = 0;
  /** Number of workers that ended, by cause (`supervise/loss-cause.ts`). */
  readonly ended: Map<string, number> = new Map();
  /** Number of workers that were replaced in order, by reason (`supervise/reconcile.ts`). */
  readonly recycled: Map<string, number> = new Map();
  /** How often a worker was blocked for `blockWarn`. */
  blocked = 0;
  /** Requests of lost workers: those that another worker got, and those that failed. */
  replayed = 0;
  lost = 0;
  /** Waits of requests that had to queue before a worker got them. */
  readonly waits: Histogram = new Histogram();
  readonly channel: ChannelTraffic = {
    sentBytes: 0,
    sentFrames: 0,
    receivedBytes: 0,
    receivedFrames: 0,
  };
}

/** Meters by name, which only the config and the handlers decide. They stay when their pool or group is gone. */
export class Meters<Meter> {
  readonly #create: () => Meter;
  readonly #meters = new Map<string, Meter>();

  constructor(create: () => Meter) {
    this.#create = create;
  }

  of(name: string): Meter {
    let meter = this.#meters.get(name);
    if (meter === undefined) {
      meter = this.#create();
      this.#meters.set(name, meter);
    }
    return meter;
  }

  list(): IterableIterator<[name: string, meter: Meter]> {
    return this.#meters.entries();
  }
}

/** Adds 1 to a count in a map. */
export function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
