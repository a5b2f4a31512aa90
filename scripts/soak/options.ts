import { parseArgs } from "node:util";
import { RuntimeError } from "../../runtime/lib/errors.ts";

const MIB = 1024 ** 2;

/** The options of the command line. */
export interface Options {
  readonly help: boolean;
  /** Soaks to run, in their order; all when empty. */
  readonly names: readonly string[];
  readonly brief: boolean;
  /** Approximate duration of each soak; `null`: its own default. */
  readonly seconds: number | null;
  readonly seed: number;
  /** `null`: growth is only shown. */
  readonly maxGrowthBytes: number | null;
  /** How many run at a time. */
  readonly jobs: number;
}

/**
 * Reads the command line.
 *
 * @param known The names of all soaks.
 * @param randomSeed The seed when none is given.
 * @throws RuntimeError `ERR_CONFIG` for an unknown option or soak, or a number out of range.
 */
export function parseOptions(
  args: readonly string[],
  { known, randomSeed }: { known: readonly string[]; randomSeed: number },
): Options {
  const { values, positionals } = readArgs(args);
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot run "${unknown}": there is no such soak, expected ${known.join(", ")}`,
    );
  }
  const brief = values.brief ?? false;
  const growth = values["max-growth"];
  return {
    help: values.help ?? false,
    names: positionals,
    brief,
    seconds: values.seconds === undefined ? null : toWhole("--seconds", values.seconds, 86_400),
    seed: toWhole("--seed", values.seed ?? String(randomSeed), 2 ** 31),
    maxGrowthBytes: growth === undefined ? null : toWhole("--max-growth", growth, 2 ** 20) * MIB,
    jobs: toWhole("--jobs", values.jobs ?? (brief ? "3" : "1"), 64),
  };
}

interface Values {
  readonly brief?: boolean;
  readonly help?: boolean;
  readonly seconds?: string;
  readonly seed?: string;
  readonly "max-growth"?: string;
  readonly jobs?: string;
}

function readArgs(args: readonly string[]): { values: Values; positionals: readonly string[] } {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        brief: { type: "boolean" },
        help: { type: "boolean", short: "h" },
        seconds: { type: "string" },
        seed: { type: "string" },
        "max-growth": { type: "string" },
        jobs: { type: "string" },
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RuntimeError("ERR_CONFIG", `Cannot read the options: ${reason}`, { cause: error });
  }
}

function toWhole(name: string, text: string, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= 1 && value <= max) return value;
  throw new RuntimeError(
    "ERR_CONFIG",
    `Cannot use ${name}: "${text}", expected a whole number from 1 to ${max}`,
  );
}
