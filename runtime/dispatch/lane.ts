import type { Channel } from "../channel/channel.ts";
import type { ExchangeId, ToPrimary, ToWorker, WorkerId } from "../channel/messages.ts";
import type { Exchange } from "./exchange.ts";

/** A worker as the dispatcher sees it: its channel, what it has in flight, and for how long it has been silent. */
export class Lane {
  readonly workerId: WorkerId;
  readonly channel: Channel<ToPrimary, ToWorker>;
  /** What it works on, and what it was told to abort and may not know of yet. */
  readonly inFlight: Map<ExchangeId, Exchange> = new Map();
  /** How many exchanges it was given. */
  dispatched = 0;
  #silentSinceMs: number | null = null;
  #receivedBytes = 0;

  constructor(workerId: WorkerId, channel: Channel<ToPrimary, ToWorker>) {
    this.workerId = workerId;
    this.channel = channel;
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
