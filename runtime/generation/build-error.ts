import { RuntimeError } from "../errors.ts";

/** Handlers that cannot be built, with what was read of them: whoever waits for the mistake to be mended watches that. */
export class BuildError extends RuntimeError {
  /** Absolute paths of the local files that were read until then. */
  readonly inputs: readonly string[];

  constructor(message: string, options: { inputs: readonly string[]; cause?: unknown }) {
    super("ERR_HANDLER_LOAD", message, { cause: options.cause });
    this.inputs = options.inputs;
  }
}
