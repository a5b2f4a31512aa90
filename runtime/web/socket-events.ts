type Registration = Parameters<EventTarget["addEventListener"]>;
type Removal = Parameters<EventTarget["removeEventListener"]>;

/** A function or an object that receives events; `null`: none, which adds nothing. */
export type SocketListener =
  | ((event: never) => unknown)
  | { handleEvent(event: never): unknown }
  | null;

/** Options of `addEventListener`. */
export type ListenerOptions = Registration[2];

/** The event "close" of a WebSocket. Node has such a class only from version 23 on. */
export class SocketCloseEvent extends Event {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;

  constructor(init: { code: number; reason: string; wasClean: boolean }) {
    super("close");
    this.code = init.code;
    this.reason = init.reason;
    this.wasClean = init.wasClean;
  }
}

/** The event "error" of a WebSocket. */
export class SocketErrorEvent extends Event {
  readonly error: unknown;
  readonly message: string;

  constructor(error: unknown) {
    super("error");
    this.error = error;
    this.message = error instanceof Error ? error.message : String(error);
  }
}

/**
 * An `EventTarget` whose listeners may fail. Node ends the process when a listener of its own class throws or rejects, and
 * all other WebSockets of the worker with it.
 */
export class SafeEventTarget extends EventTarget {
  /** Gets the errors of listeners. */
  onFailure: (error: unknown, type: string) => void = () => {};
  /** The function that is registered for each listener. */
  readonly #safe = new WeakMap<object, (event: Event) => void>();
  readonly #handlers = new Map<string, (event: Event) => unknown>();

  override addEventListener(
    type: string,
    listener: SocketListener,
    options?: ListenerOptions,
  ): void {
    if (listener !== null) super.addEventListener(type, this.#toSafe(listener), options);
  }

  override removeEventListener(type: string, listener: SocketListener, options?: Removal[2]): void {
    const safe = listener === null ? undefined : this.#safe.get(listener);
    if (safe !== undefined) super.removeEventListener(type, safe, options);
  }

  /** Returns the function of `on...` for a type of events. */
  protected handlerOf(type: string): ((event: Event) => unknown) | null {
    return this.#handlers.get(type) ?? null;
  }

  /** Sets or removes the function of `on...`. */
  protected setHandler(type: string, handler: unknown): void {
    const before = this.#handlers.get(type);
    if (before !== undefined) this.removeEventListener(type, before);
    this.#handlers.delete(type);
    if (typeof handler !== "function") return;
    // The parameters of a function cannot be read from it.
    const own = handler as (event: Event) => unknown;
    this.#handlers.set(type, own);
    this.addEventListener(type, own);
  }

  #toSafe(listener: NonNullable<SocketListener>): (event: Event) => void {
    const known = this.#safe.get(listener);
    if (known !== undefined) return known;
    // Its parameter cannot be read from a function.
    const safe = (event: Event): void => {
      try {
        const result: unknown =
          typeof listener === "function"
            ? (Reflect.apply(listener, this, [event]) as unknown)
            : listener.handleEvent(event as never);
        if (result instanceof Promise)
          result.catch((error: unknown) => this.onFailure(error, event.type));
      } catch (error) {
        this.onFailure(error, event.type);
      }
    };
    this.#safe.set(listener, safe);
    return safe;
  }
}
