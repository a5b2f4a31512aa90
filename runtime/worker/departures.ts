import type { AbortReason } from "../channel/messages.ts";
import type { Logger } from "../log/log.ts";

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
 * the stream), and each exchange is told of once.
 */
export class Departures {
  readonly #byError = new WeakMap<object, Departure>();
  #latest: Departure | null = null;

  /**
   * Notes that an exchange was given up.
   *
   * @param error The reason with which its signal and its streams were aborted.
   */
  add(error: Error, { reason, log }: { reason: AbortReason; log: () => Logger }): void {
    const departure = { reason, log, isTold: false };
    this.#byError.set(error, departure);
    this.#latest = departure;
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

  /** Whether an error that nothing has caught comes of an exchange that was given up. Says so, once for each of them. */
  explain(error: unknown): boolean {
    if (typeof error !== "object" || error === null) return false;
    const departure = this.#byError.get(error) ?? (isLateWrite(error) ? this.#latest : null);
    if (departure === null) return false;
    tell(departure, error);
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
};

/** A write to a stream that has ended, of which we do not know whose it is: one that was piped into a response. */
function isLateWrite(error: object): boolean {
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
