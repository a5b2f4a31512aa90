import { EXIT, RuntimeError } from "../errors.ts";
import { parseArguments } from "./arguments.ts";
import { formatHelp } from "./help.ts";
import { packageVersion } from "./package-version.ts";
import { start } from "./start.ts";

/** Runs one command; what cannot be done is said on standard error, in one line per problem, and in the exit code. */
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
    if (!(error instanceof RuntimeError && error.fault === "operator")) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(error.code === "ERR_CONFIG" ? EXIT.config : EXIT.failed);
  }
}
