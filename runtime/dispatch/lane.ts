import type { Channel } from "../channel/channel.ts";
import type { ExchangeId, ToPrimary, ToWorker, WorkerId } from "../channel/messages.ts";
import type { Exchange } from "./exchange.ts";
import { WorkerWindow } from "./worker-window.ts";

/** A worker as the dispatcher sees it: its channel, what it has in flight, and for how long it has been silent. */
export class Lane {
  readonly workerId: WorkerId;
  readonly channel: Channel<ToPrimary, ToWorker>;
  /** What it works on, and what it was told to abort and may not know of yet. */
  readonly inFlight: Map<ExchangeId, Exchange> = new Map();
  /** Of those, the ones whose answer is a stream that has begun: they cost it nothing while nobody writes. */
  streams = 0;
  readonly window: WorkerWindow;
  readonly #most: number;
  /** How many exchanges it was given. */
  dispatched = 0;
  #silentSinceMs: number | null = null;
  #receivedBytes = 0;

  /** @param most However quick it is, it never has more in flight. */
  constructor(workerId: WorkerId, channel: Channel<ToPrimary, ToWorker>, most: number) {
    this.workerId = workerId;
    this.channel = channel;
    this.window = new WorkerWindow(most);
    this.#most = most;
  }

  /** Exchanges that it has not begun to answer. */
  get busy(): number {
    return this.inFlight.size - this.streams;
  }

  /** How many it may have in flight now. */
  get cap(): number {
    return Math.min(this.#most, this.window.size + this.streams);
  }

  /**
   * For how long it has sent nothing at all while it owed an acknowledgement. To be asked in every sweep.
   *
   * @param owes Whether it does now; if not, it may be silent.
   */
  silentForMs(owes: boolean, nowMs: number): number {
    const { receivedBytes } = this.channel;
    if (!owes || this.#silentSinceMs === null || receivedBytes !== this.#receivedBytes) {
      this.#receivedBytes = receivedBytes;
      this.#silentSinceMs = owes ? nowMs : null;
      return 0;
    }
    return nowMs - this.#silentSinceMs;
  }
}
