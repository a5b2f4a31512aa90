import type { AsyncLocalStorage } from "node:async_hooks";
import type { Channel } from "../channel/channel.ts";
import type { CacheReply, RouteNumber, ToPrimary, ToWorker } from "../channel/messages.ts";
import type { Logger } from "../log/log.ts";
import { HandlerCaches } from "../web/cache-storage.ts";
import { CacheCalls } from "./cache-calls.ts";
import type { Running } from "./running.ts";

/** Tells which handler calls `caches`: each site has its own. */
export interface CacheCallers {
  /** A route of the only site that the worker serves; `null`: it serves several. */
  readonly only: RouteNumber | null;
  /** The exchange that runs, in a worker that serves several sites; `null`: it is not known. */
  readonly running: AsyncLocalStorage<Running> | null;
}

/** The global `caches` of a worker. Handlers that do not use it cost nothing: its parts are created by the first use. */
export class WorkerCaches {
  readonly #channel: Pick<Channel<ToWorker, ToPrimary>, "send">;
  #callers: CacheCallers | null = null;
  #log: Logger | null = null;
  #calls: CacheCalls | null = null;
  #global: HandlerCaches | null = null;

  constructor(channel: Pick<Channel<ToWorker, ToPrimary>, "send">) {
    this.#channel = channel;
  }

  /** Whether a module has used the global. */
  get isUsed(): boolean {
    return this.#global !== null;
  }

  /** Defines the global. Programs may replace it, as they may replace `fetch`. */
  install(): void {
    Object.defineProperty(globalThis, "caches", {
      get: () => this.#open(),
      set: (value: unknown) => {
        const own = { value, enumerable: false, writable: true, configurable: true };
        Object.defineProperty(globalThis, "caches", own);
      },
      enumerable: false,
      configurable: true,
    });
  }

  /** The worker serves from now on. Earlier calls are refused. */
  serve(callers: CacheCallers, log: Logger): void {
    this.#callers = callers;
    this.#log = log;
  }

  /** Takes a message of the primary. */
  receive(reply: CacheReply): void {
    this.#calls?.receive(reply);
  }

  #open(): HandlerCaches {
    if (this.#global !== null) return this.#global;
    this.#calls = new CacheCalls({
      channel: this.#channel,
      routeOf: () => this.#routeOf(),
      log: () => this.#log,
    });
    this.#global = new HandlerCaches(this.#calls);
    return this.#global;
  }

  #routeOf(): RouteNumber {
    if (this.#callers === null) throw misplaced("a call while the worker starts");
    const { only, running } = this.#callers;
    if (only !== null) return only;
    if (running === null) {
      const text = "Cannot use caches: no file of the handlers names it, expected one that does";
      throw new TypeError(`${text}. Without it, this worker does not tell its sites apart`);
    }
    const route = running.getStore()?.facts.route;
    if (route !== undefined) return route;
    throw misplaced("a call outside of a request in a worker of several sites");
  }
}

function misplaced(found: string): TypeError {
  return new TypeError(`Cannot use caches: found ${found}, expected one that a request makes`);
}
