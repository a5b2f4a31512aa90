import type { Channel } from "../channel/channel.ts";
import type { ToPrimary, ToWorker, WorkerId } from "../channel/messages.ts";
import type { Exchange } from "./exchange.ts";
import { ExchangeTable } from "../lib/exchange-table.ts";
import { Ahead } from "./ahead.ts";
import { WorkerWindow } from "./worker-window.ts";

/** How many streams beyond its places a worker may have, for each place. */
const STREAMS_PER_PLACE = 10;

/** With fewer places, a stream keeps its place: so small a number is there to bound the work at a time. */
const MANY_PLACES = 100;

/** A worker for the dispatcher: its channel, and its exchanges in flight. */
export class Lane {
  readonly workerId: WorkerId;
  readonly channel: Channel<ToPrimary, ToWorker>;
  /** Process id of the worker. */
  readonly pid: number;
  /** Exchanges that the worker runs, and exchanges whose abort it has not yet confirmed. */
  readonly inFlight: ExchangeTable<Exchange> = new ExchangeTable();
  /** How many exchanges of `inFlight` are streams that have begun. An idle stream costs the worker nothing. */
  streams = 0;
  readonly window: WorkerWindow;
  /** How many exchanges a worker with threads gets in advance; `null`: it has an event loop. */
  readonly ahead: Ahead | null;
  readonly #most: number;
  /** How many exchanges were dispatched to this worker. */
  dispatched = 0;
  /** The worker has sent nothing for a while: its event loop is blocked, or the process is stopped. */
  isSilent = false;
  /** The worker ends soon, and was told to abort all of its exchanges. See `Dispatcher.cutOff`. */
  isCutOff = false;

  /**
   * @param most Most exchanges that the worker has not begun to answer, however fast it is.
   * @param threads Number of exchanges that the worker can run at a time; `null`: it has an event loop, whose delay
   *   decides. A worker with threads that all work is slow to reach a message, and has no room anyway.
   */
  constructor(
    workerId: WorkerId,
    channel: Channel<ToPrimary, ToWorker>,
    { most, threads, pid = 0 }: { most: number; threads: number | null; pid?: number },
  ) {
    this.workerId = workerId;
    this.pid = pid;
    this.channel = channel;
    this.ahead = threads === null ? null : new Ahead();
    this.#most = threads ?? most;
    // A window of 0 is never measured.
    this.window = new WorkerWindow(threads === null ? most : 0);
  }

  /** Exchanges that the worker has not begun to answer. */
  get busy(): number {
    return this.inFlight.size - this.streams;
  }

  /**
   * How many exchanges the worker may have in flight now.
   *
   * Where places are many, a stream that has begun gives its place back. Otherwise a thousand clients that read slowly, or
   * wait for events, would keep all others out. A stream of a worker with threads keeps its thread.
   */
  get cap(): number {
    if (this.ahead !== null) return this.#most;
    if (this.#most < MANY_PLACES) return Math.min(this.#most, this.window.size + this.streams);
    return this.window.size + Math.min(this.streams, STREAMS_PER_PLACE * this.#most);
  }
}
