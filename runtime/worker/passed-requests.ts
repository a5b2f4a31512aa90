import type { Channel } from "../channel/channel.ts";
import { type ExchangeId, Kind, type ToPrimary, type ToWorker } from "../channel/messages.ts";

/** The requests that this worker asks the primary to answer in its place, after their handlers failed. */
export class PassedRequests {
  readonly #channel: Pick<Channel<ToWorker, ToPrimary>, "send">;
  readonly #asking = new Map<ExchangeId, (isTaken: boolean) => void>();

  constructor(channel: Pick<Channel<ToWorker, ToPrimary>, "send">) {
    this.#channel = channel;
  }

  /** Resolves to `true` when the primary has taken the request: the worker sends nothing more of it. */
  ask(id: ExchangeId): Promise<boolean> {
    return new Promise((resolve) => {
      this.#asking.set(id, resolve);
      this.#channel.send([Kind.passOn, id]);
    });
  }

  /** Handles the answer of the primary. Each question has one. */
  settle(id: ExchangeId, isTaken: boolean): void {
    this.#asking.get(id)?.(isTaken);
    this.#asking.delete(id);
  }
}
