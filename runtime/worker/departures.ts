import type { AbortReason } from "../channel/messages.ts";
import type { Logger } from "../log/log.ts";

/** How long after a departure a late write may be of it. Streams of events often write every 15 or 30 s. */
const LATE_MS = 35_000;

/** Least time between two log lines about the same place. */
const REPEAT_MS = 10_000;

/** An exchange that was given up while its handler may go on. */
interface Departure {
  readonly reason: AbortReason;
  readonly log: () => Logger;
  isTold: boolean;
}

/**
 * Recognises errors of handlers that go on after their exchange was given up: after the client left, above all.
 *
 * A timer that writes to a stream which was cancelled throws outside of any promise. Everywhere else that is a reason to
 * end the process (see `main.ts`); here the state is known, and a client that leaves must not cost other clients their
 * worker. Such errors are found by their identity (the reason of the abort) or by their origin (the controller of
 * the stream). The log names each exchange once.
 *
 * Some writes cannot be traced to an exchange, those through a pipe for example. They count as late for
 * {@link LATE_MS} after the last departure or late write. They may also be bugs of a live exchange, so they are warnings.
 */
export class Departures {
  readonly #byError = new WeakMap<object, Departure>();
  /** Holds no context: it outlives its exchange. */
  #latest: { readonly reason: AbortReason; untilMs: number } | null = null;
  #lastWarning: { readonly stack: string | undefined; readonly atMs: number } | null = null;

  /**
   * Notes that an exchange was given up.
   *
   * @param error The reason with which its signal and its streams were aborted.
   */
  add(error: Error, { reason, log }: { reason: AbortReason; log: () => Logger }): void {
    this.#byError.set(error, { reason, log, isTold: false });
    this.#latest = { reason, untilMs: performance.now() + LATE_MS };
  }

  /** Finds the errors that writing to this stream throws from now on. `error` is the one of `add`. */
  watch(stream: ReadableStream, error: Error): void {
    const controller = controllerOf(stream);
    if (controller === null) return;
    for (const name of ["enqueue", "close"] as const) {
      const original: unknown = Reflect.get(controller, name);
      if (typeof original !== "function") continue;
      const value = (...args: unknown[]): unknown => {
        try {
          return Reflect.apply(original, controller, args) as unknown;
        } catch (thrown) {
          this.#recognize(thrown, error);
          throw thrown;
        }
      };
      Object.defineProperty(controller, name, { configurable: true, writable: true, value });
    }
  }

  /**
   * Returns whether an uncaught error comes of an exchange that was given up, and logs it.
   *
   * @param log Takes the warning where the exchange is not known.
   */
  explain(error: unknown, log: Logger): boolean {
    if (typeof error !== "object" || error === null) return false;
    const departure = this.#byError.get(error);
    if (departure !== undefined) {
      tell(departure, error);
      return true;
    }
    return isLateWrite(error) && this.#explainOrigin(error, log);
  }

  #explainOrigin(err: Error, log: Logger): boolean {
    const latest = this.#latest;
    const nowMs = performance.now();
    if (latest === null || nowMs > latest.untilMs) return false;
    // The next write of the same timer.
    latest.untilMs = nowMs + LATE_MS;
    const last = this.#lastWarning;
    if (last !== null && last.stack === err.stack && nowMs < last.atMs + REPEAT_MS) return true;
    this.#lastWarning = { stack: err.stack, atMs: nowMs };
    const { reason } = latest;
    log.warn({ err, reason }, `a handler writes to a stream that has ended: ${REMEDY}`);
    return true;
  }

  #recognize(thrown: unknown, error: Error): void {
    const departure = this.#byError.get(error);
    if (departure === undefined || typeof thrown !== "object" || thrown === null) return;
    this.#byError.set(thrown, departure);
    tell(departure, thrown);
  }
}

function tell(departure: Departure, err: object): void {
  if (departure.isTold) return;
  departure.isTold = true;
  const { reason, log } = departure;
  log().info({ err, reason }, MESSAGES[reason]);
}

const REMEDY = "stop at request.signal, or in cancel() of the stream";
const MESSAGES: Readonly<Record<AbortReason, string>> = {
  "client-left": `handler writes on after its client left: ${REMEDY}`,
  "body-too-large": `handler goes on after its request was refused: ${REMEDY}`,
  deadline: `handler goes on after its deadline: ${REMEDY}`,
  shutdown: `handler goes on after the grace of the shutdown: ${REMEDY}`,
  retired: `handler goes on after the grace of its worker: ${REMEDY}`,
};

/** Returns whether the error is of a write to a stream that has ended. It does not tell which stream. */
function isLateWrite(error: object): error is Error {
  return (
    error instanceof Error &&
    "code" in error &&
    error.code === "ERR_INVALID_STATE" &&
    LATE_WRITE.test(error.stack ?? "")
  );
}

const LATE_WRITE =
  /^\s+at (?:ReadableStreamDefaultController|ReadableByteStreamController)\.(?:enqueue|close) \(node:/m;

/**
 * The controller of a stream, which only its maker is given. Node keeps it behind a symbol (20 to 24); `null` where it
 * does not.
 */
function controllerOf(stream: ReadableStream): object | null {
  const symbol = Object.getOwnPropertySymbols(stream).find((each) => each.description === "kState");
  const state: unknown = symbol === undefined ? null : Reflect.get(stream, symbol);
  if (typeof state !== "object" || state === null || !("controller" in state)) return null;
  const { controller } = state;
  return typeof controller === "object" ? controller : null;
}
