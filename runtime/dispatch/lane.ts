import type { Channel } from "../channel/channel.ts";
import type { ExchangeId, ToPrimary, ToWorker, WorkerId } from "../channel/messages.ts";
import type { Exchange } from "./exchange.ts";

/** A worker as the dispatcher sees it: its channel, and what it has in flight. */
export class Lane {
  readonly workerId: WorkerId;
  readonly channel: Channel<ToPrimary, ToWorker>;
  /** What it works on, and what it was told to abort and may not know of yet. */
  readonly inFlight: Map<ExchangeId, Exchange> = new Map();
  /** It has sent nothing for a while: its event loop is blocked, or it is stopped. */
  isSilent = false;

  constructor(workerId: WorkerId, channel: Channel<ToPrimary, ToWorker>) {
    this.workerId = workerId;
    this.channel = channel;
  }
}
