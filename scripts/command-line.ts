import { parseArgs, type ParseArgsConfig } from "node:util";
import { EXIT, RuntimeError } from "../runtime/lib/errors.ts";

/** Reads the arguments of a script. @throws ERR_CONFIG for an unknown option, or one without its value. */
export function readArgs<Config extends ParseArgsConfig>(
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RuntimeError("ERR_CONFIG", `Cannot read the options: ${reason}`, { cause: error });
  }
}

/** Reads the value of an option: a whole number. @throws ERR_CONFIG when it is none, or out of range. */
export function toWhole(
  option: string,
  text: string,
  { min = 1, max }: { min?: number; max: number },
): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw badOption(option, text, `a whole number from ${min} to ${max}`);
}

export function badOption(option: string, found: string, expected: string): RuntimeError {
  return new RuntimeError("ERR_CONFIG", `Cannot use ${option}: "${found}", expected ${expected}`);
}

/** Runs a script. Returns its exit code, that for a bad configuration included. */
export async function runScript(
  main: (args: readonly string[]) => Promise<number>,
): Promise<number> {
  try {
    return await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    console.error(error.message);
    return EXIT.config;
  }
}
