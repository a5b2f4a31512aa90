import { toDisplayPath } from "../lib/display-path.ts";
import { isRuntimeCode, parseFrames } from "../lib/stack-frames.ts";
import { describeError } from "./describe-error.ts";
import { locateError, type SourcePosition, toPlace } from "./error-location.ts";

/** Deep enough to reach the handler below a package that exits. */
const STACK_FRAMES = 50;

/**
 * Knows which file the worker loads, and says so when the process ends meanwhile: by `process.exit` at the top level of
 * a file, or by an exception that no promise has.
 */
export class BootWatch {
  readonly #report: (message: string) => void;
  /** `handlers/x.ts`; `null`: none yet. */
  #source: string | null = null;

  /** @param report Tells the primary at once: nothing runs after it. */
  constructor(report: (message: string) => void) {
    this.#report = report;
    process.on("exit", this.#onExit);
  }

  /** The worker loads this file from now on. */
  load(source: string): void {
    this.#source = source;
  }

  /** An exception ends the process. */
  fail(error: unknown): void {
    this.close();
    const text = `${describeError(error)}, thrown outside of any promise`;
    this.#tell(locateError(error), text);
  }

  /** The handlers are loaded, or their problems are told. */
  close(): void {
    process.off("exit", this.#onExit);
  }

  /** Node calls it within `process.exit`, so the caller is on the stack. */
  readonly #onExit = (code: number): void => {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = STACK_FRAMES;
    const here = new Error("exit");
    Error.stackTraceLimit = stackTraceLimit;
    const caller = parseFrames(here.stack ?? "").find(
      ({ position }) => position !== null && !isRuntimeCode(position.file),
    )?.position;
    const end = "expected it to go on until its handlers are loaded";
    this.#tell(
      locateError(here) ?? caller ?? null,
      caller == null
        ? `ends the process with code ${code}, ${end}`
        : `process.exit(${code}), ${end}`,
    );
  };

  #tell(position: SourcePosition | null, text: string): void {
    const place = position === null ? this.#source : toPlace(position);
    const isElsewhere = position !== null && toDisplayPath(position.file) !== this.#source;
    const loadedBy = isElsewhere && this.#source !== null ? ` (while ${this.#source} loads)` : "";
    this.#report(`Cannot load handlers:\n${place ?? "a worker"}: ${text}${loadedBy}`);
  }
}
