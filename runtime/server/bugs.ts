import { EXIT, RuntimeError } from "../lib/errors.ts";

/**
 * Returns why the program cannot go on, and its exit code. The text of an operator's mistake has a line for each problem,
 * the text of a bug its stack.
 */
export function describeFailure(error: unknown): { text: string; exitCode: number } {
  if (error instanceof RuntimeError && error.fault === "operator") {
    const exitCode = error.code === "ERR_CONFIG" ? EXIT.config : EXIT.failed;
    return { text: error.message, exitCode };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : `threw ${String(error)}`;
  return { text, exitCode: EXIT.failed };
}

/**
 * Ends this process after an uncaught error, unhandled rejections included: its state is unknown then. Workers end with
 * their channel, and the service manager starts the server again.
 *
 * @param report Called first, to log it. It must not throw.
 */
export function exitOnBug(report: (error: unknown) => void): void {
  process.on("uncaughtException", (error: unknown) => {
    report(error);
    process.exit(EXIT.failed);
  });
}
