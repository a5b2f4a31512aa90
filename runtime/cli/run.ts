import { parseArguments } from "./arguments.ts";
import { describeFailure } from "./bugs.ts";
import { formatHelp } from "./help.ts";
import { packageVersion } from "./package-version.ts";
import { start } from "./start.ts";

/** Runs one command; what cannot be done is said on standard error and in the exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  try {
    const invocation = parseArguments(argv);
    switch (invocation.command) {
      case "help":
        process.stdout.write(formatHelp({ version: packageVersion() }));
        return;
      case "version":
        process.stdout.write(`${packageVersion()}\n`);
        return;
      case "start":
      case "dev":
        await start(invocation);
    }
  } catch (error) {
    const { text, exitCode } = describeFailure(error);
    process.stderr.write(`${text}\n`);
    process.exit(exitCode);
  }
}
