import type { Channel } from "../channel/channel.ts";
import type { ToPrimary, ToWorker, WorkerId } from "../channel/messages.ts";
import type { Exchange } from "./exchange.ts";
import { ExchangeTable } from "../lib/exchange-table.ts";
import { WorkerWindow } from "./worker-window.ts";

/** A worker for the dispatcher: its channel, and its exchanges in flight. */
export class Lane {
  readonly workerId: WorkerId;
  readonly channel: Channel<ToPrimary, ToWorker>;
  /** Exchanges that the worker runs, and exchanges whose abort it has not yet confirmed. */
  readonly inFlight: ExchangeTable<Exchange> = new ExchangeTable();
  /** How many exchanges of `inFlight` are streams that have begun. An idle stream costs the worker nothing. */
  streams = 0;
  readonly window: WorkerWindow;
  readonly #most: number;
  /** How many exchanges were dispatched to this worker. */
  dispatched = 0;
  /** The worker has sent nothing for a while: its event loop is blocked, or the process is stopped. */
  isSilent = false;

  /** @param most The upper bound of `cap`, however fast the worker is. */
  constructor(workerId: WorkerId, channel: Channel<ToPrimary, ToWorker>, most: number) {
    this.workerId = workerId;
    this.channel = channel;
    this.window = new WorkerWindow(most);
    this.#most = most;
  }

  /** Exchanges that the worker has not begun to answer. */
  get busy(): number {
    return this.inFlight.size - this.streams;
  }

  /** How many exchanges the worker may have in flight now. */
  get cap(): number {
    return Math.min(this.#most, this.window.size + this.streams);
  }
}
