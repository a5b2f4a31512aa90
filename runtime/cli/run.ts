import { createRequire } from "node:module";
import { EXIT, RuntimeError } from "../errors.ts";
import { parseArguments } from "./arguments.ts";
import { formatHelp } from "./help.ts";
import { start } from "./start.ts";

/** Runs one command. Sets the exit code; what cannot be done is said on standard error, in one line per problem. */
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

function packageVersion(): string {
  const require = createRequire(import.meta.url);
  // Source and compiled code lie in different folders: the package finds itself by its name.
  const { version } = require("edgicorn/package.json") as { version: string };
  return version;
}
