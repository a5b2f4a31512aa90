import { EventEmitter, once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Owner } from "./temporary-folder.ts";

/**
 * Requests that go on side by side until they are told to stop, at the latest when the test is aborted.
 *
 * What a request throws ends the load, and `until` and `stop` throw it; so catch what a test expects.
 */
export class Load<T> {
  /** What came of each request so far. */
  readonly results: T[] = [];
  readonly #events = new EventEmitter();
  readonly #done: Promise<unknown>;
  #started = 0;
  #isStopped = false;
  #failure: Error | null = null;

  /**
   * @param t A test, or the scope of a soak.
   * @param concurrency How many requests are under way at any time.
   * @param send Sends one request, which gets a number of its own, and says what came of it.
   * @param options.pauseMs The time between two requests of the same loop. Without it a load takes all processors.
   */
  constructor(
    t: Owner & { readonly signal?: AbortSignal },
    concurrency: number,
    send: (number: number) => Promise<T>,
    { pauseMs = 0 }: { pauseMs?: number | undefined } = {},
  ) {
    t.signal?.addEventListener("abort", () => {
      this.#isStopped = true;
    });
    const loops = Array.from({ length: concurrency }, () => this.#loop(send, pauseMs));
    this.#done = Promise.all(loops);
  }

  /** Resolves when so many results are there that satisfy the predicate. */
  async until(count: number, predicate: (result: T) => boolean = () => true): Promise<void> {
    while (this.results.filter(predicate).length < count) {
      if (this.#failure !== null) throw this.#failure;
      await once(this.#events, "result");
    }
  }

  /** Starts no more, and resolves with all results once the last one is there. */
  async stop(): Promise<readonly T[]> {
    this.#isStopped = true;
    await this.#done;
    if (this.#failure !== null) throw this.#failure;
    return this.results;
  }

  async #loop(send: (number: number) => Promise<T>, pauseMs: number): Promise<void> {
    while (!this.#isStopped) {
      try {
        this.results.push(await send(this.#started++));
      } catch (error) {
        this.#isStopped = true;
        this.#failure ??= error instanceof Error ? error : new Error(String(error));
      }
      this.#events.emit("result");
      if (pauseMs > 0) await delay(pauseMs);
    }
  }
}
