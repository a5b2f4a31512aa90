import type { Channel } from "../channel/channel.ts";
import type { ToPrimary, ToWorker, WorkerId } from "../channel/messages.ts";
import type { Exchange } from "./exchange.ts";
import { ExchangeTable } from "../exchange-table.ts";
import { WorkerWindow } from "./worker-window.ts";

/** A worker as the dispatcher sees it: its channel, and what it has in flight. */
export class Lane {
  readonly workerId: WorkerId;
  readonly channel: Channel<ToPrimary, ToWorker>;
  /** What it works on, and what it was told to abort and may not know of yet. */
  readonly inFlight: ExchangeTable<Exchange> = new ExchangeTable();
  /** Of those, the ones whose answer is a stream that has begun: they cost it nothing while nobody writes. */
  streams = 0;
  readonly window: WorkerWindow;
  readonly #most: number;
  /** How many exchanges it was given. */
  dispatched = 0;
  /** It has sent nothing for a while: its event loop is blocked, or it is stopped. */
  isSilent = false;

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
}
