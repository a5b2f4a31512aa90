/** Init of any event. Node's types have no name for it. */
type EventInit = NonNullable<ConstructorParameters<typeof Event>[1]>;

/** Init of an `ErrorEvent`. */
export interface ErrorEventInit extends EventInit {
  message?: string;
  filename?: string;
  lineno?: number;
  colno?: number;
  error?: unknown;
}

/** `ErrorEvent` of the HTML Standard, section 8.1.4.6: an exception, and where it was thrown. */
export class ErrorEvent extends Event {
  readonly message: string;
  readonly filename: string;
  readonly lineno: number;
  readonly colno: number;
  readonly error: unknown;

  constructor(type: string, init: ErrorEventInit = {}) {
    super(type, init);
    this.message = toText(init.message);
    this.filename = toText(init.filename);
    this.lineno = toUnsignedLong(init.lineno);
    this.colno = toUnsignedLong(init.colno);
    this.error = init.error;
  }

  get [Symbol.toStringTag](): string {
    return "ErrorEvent";
  }
}

/** Init of a `PromiseRejectionEvent`. */
export interface PromiseRejectionEventInit extends EventInit {
  promise: unknown;
  reason?: unknown;
}

/** `PromiseRejectionEvent` of the HTML Standard, section 8.1.4.7: a promise that was rejected, and why. */
export class PromiseRejectionEvent extends Event {
  readonly promise: unknown;
  readonly reason: unknown;

  /** @throws TypeError without a promise in `init`, as the standard demands it. */
  constructor(type: string, init: PromiseRejectionEventInit) {
    super(type, init);
    // Callers in JavaScript may leave it out.
    const given = init as PromiseRejectionEventInit | null | undefined;
    if (typeof given !== "object" || given === null || given.promise === undefined) {
      throw new TypeError(
        "Cannot create a PromiseRejectionEvent: found no promise in its second argument, expected one",
      );
    }
    this.promise = given.promise;
    this.reason = given.reason;
  }

  get [Symbol.toStringTag](): string {
    return "PromiseRejectionEvent";
  }
}

/** Init of a `CloseEvent`. */
export interface CloseEventInit extends EventInit {
  wasClean?: boolean;
  code?: number;
  reason?: string;
}

/** `CloseEvent` of the WebSockets Standard, section 6: the end of a WebSocket. */
export class CloseEvent extends Event {
  readonly wasClean: boolean;
  readonly code: number;
  readonly reason: string;

  constructor(type: string, init: CloseEventInit = {}) {
    super(type, init);
    this.wasClean = Boolean(init.wasClean);
    // Web IDL converts to an unsigned short: modulo 2^16.
    this.code = toUnsignedLong(init.code) & 0xffff;
    this.reason = toText(init.reason);
  }

  get [Symbol.toStringTag](): string {
    return "CloseEvent";
  }
}

/** Converts as Web IDL does. Callers in JavaScript may pass any value. */
function toText(value: unknown): string {
  // oxlint-disable-next-line typescript/no-base-to-string -- Web IDL wants exactly this text.
  return value === undefined ? "" : String(value);
}

/** Converts as Web IDL does: no number counts as 0, others modulo 2^32. */
function toUnsignedLong(value: unknown): number {
  return Number(value ?? 0) >>> 0;
}
