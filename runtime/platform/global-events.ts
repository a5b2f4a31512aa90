import {
  type ListenerOptions,
  SafeEventTarget,
  type SocketListener,
} from "../web/socket-events.ts";
import { ErrorEvent, PromiseRejectionEvent } from "./event-classes.ts";

/** Events that other platforms send to the global object in place of calling an export. */
const CALLED_BY_EXPORT: Readonly<Record<string, string>> = {
  fetch: "export default { fetch(request, env, context) { ... } }",
  scheduled: "export default { scheduled(event, env, context) { ... } } and config.schedule",
};

/** Events that tell of failures. A failure of their listeners is only logged. */
const REPORTS: ReadonlySet<string> = new Set(["error", "unhandledrejection"]);

/** Where the reports of a worker go. */
export interface GlobalEventsOptions {
  /** Gets the error of `reportError()` and of a listener, unless a listener for "error" has prevented it. */
  onReport: (error: unknown) => void;
}

/**
 * The global object as an event target: `addEventListener`, `onerror`, `reportError` and the like. Node's global object is
 * none, so its listeners are kept here. Nothing exists before the first listener.
 *
 * The events are "error", "unhandledrejection" and "rejectionhandled" of the HTML Standard, sections 8.1.4.6 and 8.1.4.7.
 */
export class GlobalEvents {
  readonly #onReport: (error: unknown) => void;
  #target: GlobalTarget | null = null;
  #isReporting = false;
  /** Reasons of rejected promises, for the event "rejectionhandled". */
  readonly #reasons = new WeakMap<object, unknown>();

  constructor({ onReport }: GlobalEventsOptions) {
    this.#onReport = onReport;
  }

  /** Adds a listener. @throws TypeError for events that modules receive by an export. */
  addEventListener(type: string, listener: SocketListener, options?: ListenerOptions): void {
    const form = CALLED_BY_EXPORT[type];
    if (form !== undefined) {
      throw new TypeError(
        `Cannot add a listener for "${type}": the server sends no such event, expected "${form}"`,
      );
    }
    this.#open().addEventListener(type, listener, options);
  }

  /** Removes a listener. */
  removeEventListener(
    type: string,
    listener: SocketListener,
    options?: Parameters<EventTarget["removeEventListener"]>[2],
  ): void {
    this.#target?.removeEventListener(type, listener, options);
  }

  /** Sends an event of the program to its listeners. Returns false if one of them prevented the default. */
  dispatchEvent(event: Event): boolean {
    return this.#open().dispatchEvent(event);
  }

  /** Reports an exception that the program has caught. It goes to the listeners for "error" first, and then to the log. */
  reportError(error: unknown): void {
    if (!this.onError(error)) this.#onReport(error);
  }

  /** Tells the listeners for "error" of an exception. Returns whether one of them prevented its report. */
  onError(error: unknown): boolean {
    // A listener that reports an error must not be called for it.
    if (this.#target === null || this.#isReporting) return false;
    this.#isReporting = true;
    try {
      const init = { cancelable: true, error, ...toPlace(error) };
      return !this.#target.dispatchEvent(new ErrorEvent("error", init));
    } finally {
      this.#isReporting = false;
    }
  }

  /** Tells the listeners of a rejection without a handler. Returns whether one of them prevented its report. */
  onRejection(reason: unknown, promise: unknown): boolean {
    if (this.#target === null) return false;
    if (typeof promise === "object" && promise !== null) this.#reasons.set(promise, reason);
    const init = { cancelable: true, promise, reason };
    return !this.#target.dispatchEvent(new PromiseRejectionEvent("unhandledrejection", init));
  }

  /** Returns the function of `onerror` and the like; `null`: none. */
  handlerOf(type: string): unknown {
    return this.#target?.own.get(type)?.handler ?? null;
  }

  /** Sets or removes the function of `onerror` and the like. */
  setHandler(type: string, handler: unknown): void {
    if (this.#target !== null || typeof handler === "function") this.#open().set(type, handler);
  }

  #open(): GlobalTarget {
    if (this.#target !== null) return this.#target;
    const target = new GlobalTarget();
    target.onFailure = (error, type) => {
      // Its event would call the listener for its own failure, for ever where that listener is an async function.
      if (REPORTS.has(type)) this.#onReport(error);
      else this.reportError(error);
    };
    process.on("rejectionHandled", (promise) => {
      const init = { promise, reason: this.#reasons.get(promise) };
      target.dispatchEvent(new PromiseRejectionEvent("rejectionhandled", init));
    });
    this.#target = target;
    return target;
  }
}

class GlobalTarget extends SafeEventTarget {
  /** Functions of `on...`, by type of event. */
  readonly own = new Map<string, { handler: unknown; listener: (event: Event) => unknown }>();

  set(type: string, handler: unknown): void {
    const before = this.own.get(type);
    if (before !== undefined) this.removeEventListener(type, before.listener);
    this.own.delete(type);
    if (typeof handler !== "function") return;
    const listener = (event: Event): unknown => {
      const isError = type === "error" && event instanceof ErrorEvent;
      const parameters = isError
        ? [event.message, event.filename, event.lineno, event.colno, event.error]
        : [event];
      const result: unknown = Reflect.apply(handler, globalThis, parameters);
      // HTML Standard, "the event handler processing algorithm": `onerror` prevents by true, all others by false.
      if (result === isError) event.preventDefault();
      // The rejection of a promise is a failure of this listener.
      return result;
    };
    this.own.set(type, { handler, listener });
    this.addEventListener(type, listener);
  }
}

/** Returns the message and the place of an error, as its stack names it. */
function toPlace(error: unknown): {
  message: string;
  filename: string;
  lineno: number;
  colno: number;
} {
  if (!(error instanceof Error))
    return { message: String(error), filename: "", lineno: 0, colno: 0 };
  const place = /(?:\(|at (?:async )?)((?:file:\/\/|\/|[A-Z]:\\).*?):(\d+):(\d+)\)?$/m.exec(
    error.stack ?? "",
  );
  return {
    message: `Uncaught ${error.name}: ${error.message}`,
    filename: place?.[1] ?? "",
    lineno: Number(place?.[2] ?? 0),
    colno: Number(place?.[3] ?? 0),
  };
}
