import { RuntimeError } from "../lib/errors.ts";

/** Handlers that cannot be built, with the files that were read: development watches these for the next change. */
export class BuildError extends RuntimeError {
  /** Absolute paths of the local files that were read until then. */
  readonly inputs: readonly string[];

  constructor(message: string, options: { inputs: readonly string[]; cause?: unknown }) {
    super("ERR_HANDLER_LOAD", message, { cause: options.cause });
    this.inputs = options.inputs;
  }
}
