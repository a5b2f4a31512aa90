import { setTimeout as delay } from "node:timers/promises";
import { residentBytesOf, socketsOf } from "../../test/helpers/proc.ts";
import type { TestServer } from "../../test/helpers/start-server.ts";
import type { LatencySummary } from "../../runtime/drill/latencies.ts";
import { formatOrder } from "./produce.ts";
import type { Random } from "./random.ts";
import { SENDING, SlowCrowd, type Cut } from "./slow-crowd.ts";
import type { Traffic } from "./traffic.ts";

/** Longer than the slowest cut-off takes: a body below its least rate, after a grace of 10 s. */
const CROWD_SECONDS = 16;
/** Longest additional time until each kind has been cut off. */
const LATE_SECONDS = 60;
const SETTLE_IN_SECONDS = 3;
const SETTLE_MS = 60_000;
export const BODY_PATH = "/reads/0";

/** Returns the target of slow readers: a stream of this size. */
export function toReadPath(bytes: number): string {
  return `/produces/0${formatOrder({ from: 0, bytes, piece: 65_536, pauseEvery: 0, announced: false })}`;
}

/** Measurements of one crowd. */
export interface Siege {
  /** Latencies of normal traffic beside the crowd. */
  readonly latencies: LatencySummary;
  readonly crowdBytes: number;
  readonly leftBytes: number;
}

/** Settings of all rounds. */
export interface SiegeSetting {
  readonly traffic: Traffic;
  readonly size: number;
  readonly readers: number;
  /** Target of slow readers. */
  readonly readPath: string;
  readonly random: Random;
  readonly quietSeconds: number;
}

/** A server that slow clients attack. */
export class BesiegedServer {
  readonly sieges: Siege[] = [];
  readonly cuts: Cut[] = [];
  readonly #server: TestServer;
  readonly #setting: SiegeSetting;
  /** Its resources before the crowd. */
  readonly #sockets: number;
  readonly #bytes: number;

  constructor(server: TestServer, setting: SiegeSetting) {
    this.#server = server;
    this.#setting = setting;
    this.#sockets = socketsOf(server.pid);
    this.#bytes = residentBytesOf(server.pid);
  }

  /** Latencies of normal traffic, crowd by crowd. */
  get latencies(): LatencySummary[] {
    return this.sieges.map(({ latencies }) => latencies);
  }

  /** Runs one crowd: it connects, stays until each kind has been cut off, and leaves. */
  async besiege(): Promise<void> {
    const { traffic, quietSeconds, size, readers, readPath, random } = this.#setting;
    const crowd = await SlowCrowd.gather({
      port: this.#server.port("http"),
      size,
      readers,
      readPath,
      bodyPath: BODY_PATH,
      random,
    });
    // The rush at the start is not measured.
    await delay(SETTLE_IN_SECONDS * 1000);
    await traffic.cut();
    let crowdBytes = 0;
    let latencies: LatencySummary;
    try {
      for (let second = 0; second < CROWD_SECONDS - SETTLE_IN_SECONDS; second++) {
        await delay(1000);
        crowdBytes = Math.max(crowdBytes, this.#grownBytes);
      }
      // On a busy machine a kind may be cut off later.
      const isCut = (kind: Cut["kind"]): boolean => crowd.cuts.some((cut) => cut.kind === kind);
      for (let waits = 0; waits < LATE_SECONDS && !SENDING.every(isCut); waits++) await delay(1000);
      if (crowd.refused > 0) throw new Error(`${crowd.refused} slow clients were refused`);
      // The rush at the end is not measured either.
      latencies = await traffic.cut();
    } finally {
      crowd.leave();
    }
    this.cuts.push(...crowd.cuts);
    await this.untilLeft();
    // The garbage collector runs on demand: normal traffic makes some garbage.
    await delay(quietSeconds * 1000);
    this.sieges.push({ latencies, crowdBytes, leftBytes: this.#grownBytes });
  }

  /** Polls, because no event reports the end of a connection. @throws Error when some are left for too long. */
  async untilLeft(): Promise<void> {
    const deadlineMs = performance.now() + SETTLE_MS;
    for (;;) {
      const left = socketsOf(this.#server.pid) - this.#sockets;
      if (left <= 0) return;
      if (performance.now() > deadlineMs) {
        throw new Error(`${left} connections are left ${SETTLE_MS / 1000} s after their clients`);
      }
      await delay(50);
    }
  }

  get #grownBytes(): number {
    return residentBytesOf(this.#server.pid) - this.#bytes;
  }
}
