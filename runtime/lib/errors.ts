/** The side at fault. It determines how an error is logged and which side may retry. */
export type Fault = "client" | "handler" | "capacity" | "runtime" | "operator";

const TABLE = {
  ERR_REQUEST_TARGET: { fault: "client", status: 400 },
  ERR_REQUEST_FRAMING: { fault: "client", status: 400 },
  ERR_BODY_TIMEOUT: { fault: "client", status: 408 },
  ERR_BODY_TOO_LARGE: { fault: "client", status: 413 },
  ERR_CLIENT_ABORTED: { fault: "client", status: 499 },
  ERR_HANDLER_THREW: { fault: "handler", status: 500 },
  ERR_HANDLER_BAD_RESPONSE: { fault: "handler", status: 500 },
  ERR_HANDLER_TIMEOUT: { fault: "handler", status: 504 },
  ERR_QUARANTINED: { fault: "handler", status: 503 },
  ERR_HANDLER_LOAD: { fault: "operator", status: 503 },
  ERR_OVERLOADED: { fault: "capacity", status: 503 },
  ERR_DRAINING: { fault: "capacity", status: 503 },
  ERR_WORKER_EXITED: { fault: "runtime", status: 502 },
  ERR_CHANNEL_CLOSED: { fault: "runtime", status: 502 },
  ERR_PROTOCOL: { fault: "runtime", status: 502 },
  ERR_SPOOL: { fault: "runtime", status: 507 },
  ERR_CONFIG: { fault: "operator", status: 500 },
  ERR_LISTEN: { fault: "operator", status: 500 },
  ERR_CERTIFICATE: { fault: "operator", status: 500 },
  ERR_BOOT_LOOP: { fault: "operator", status: 503 },
} as const satisfies Record<string, { fault: Fault; status: number }>;

export type ErrorCode = keyof typeof TABLE;

/** Returns the status of an exchange that this error ends. */
export function statusOf(code: ErrorCode): number {
  return TABLE[code].status;
}

/** Exit codes of the program. They follow sysexits.h where it defines one. (Node itself uses 1 to 14.) */
export const EXIT = { drained: 0, unavailable: 69, failed: 70, config: 78 } as const;

/**
 * An error with a code that a user or a program can act on.
 *
 * The message has the form `Cannot <action>: <finding>, expected <expectation>`. The first failure is the `cause`.
 */
export class RuntimeError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "RuntimeError";
    this.code = code;
  }

  get fault(): Fault {
    return TABLE[this.code].fault;
  }

  /** Returns the status of an exchange that this error ends. */
  get status(): number {
    return statusOf(this.code);
  }
}

/** Returns an error unchanged, and for any other thrown value an `Error` with its text. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Returns the code of an error of the system, such as `ENOENT`; "an error" for one without a code. */
export function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "an error";
}

/** Makes the compiler fail while a `switch` does not handle every alternative of a union. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value: ${JSON.stringify(value)}`);
}
