import { toDisplayPath } from "../display-path.ts";
import { describeError } from "./describe-error.ts";
import { locateError } from "./error-location.ts";

/** Signals that a worker ignores: they are meant for the primary. */
export const IGNORED_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2"] as const;

/** Deep enough to reach the handler below a package. */
const STACK_FRAMES = 50;

/** Notes listeners that have no effect and rejections without a handler while modules load. */
export class BootNotes {
  readonly #warnings = new Set<string>();
  #source: string | null = null;

  constructor() {
    process.on("newListener", this.#onListener);
  }

  /** One line each: `handlers/x.ts:12:3: message`. */
  get warnings(): string[] {
    return [...this.#warnings];
  }

  /** The worker loads this file from now on. */
  load(source: string): void {
    this.#source = source;
  }

  /** A promise was rejected, and nothing handles that. */
  onRejection(reason: unknown): void {
    const place = placeOf(reason) ?? this.#source ?? "a handler";
    const text = `a promise was rejected while the file loads, and nothing handles it: ${describeError(reason)}`;
    this.#warnings.add(`${place}: ${text}, expected it to be awaited or caught`);
  }

  /** Resolves once Node has reported the rejections of all code that has run. */
  async settle(): Promise<void> {
    // Node tells of them when the microtasks of a turn are done.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("newListener", this.#onListener);
  }

  readonly #onListener = (event: string | symbol): void => {
    if (!IGNORED_SIGNALS.some((signal) => signal === event)) return;
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = STACK_FRAMES;
    const place = placeOf(new Error("here"));
    Error.stackTraceLimit = stackTraceLimit;
    // A package that listens by itself is not the developer's to change.
    if (place === null) return;
    const text = `listens for ${String(event)}, which does not reach workers: the primary drains and ends them`;
    this.#warnings.add(
      `${place}: ${text}. Export a function dispose() from a handler module instead`,
    );
  };
}

function placeOf(error: unknown): string | null {
  const position = locateError(error);
  if (position === null) return null;
  const { file, line, column } = position;
  return [toDisplayPath(file), line, column].filter((part) => part !== null).join(":");
}
