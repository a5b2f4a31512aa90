import { RuntimeError } from "../../runtime/lib/errors.ts";
import { readArgs, toWhole } from "../command-line.ts";

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
  const { values, positionals } = readArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      brief: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      seconds: { type: "string" },
      seed: { type: "string", default: String(randomSeed) },
      "max-growth": { type: "string" },
      jobs: { type: "string" },
    },
  });
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot run "${unknown}": there is no such soak, expected ${known.join(", ")}`,
    );
  }
  const { help, brief, seconds, seed, "max-growth": growth, jobs = brief ? "3" : "1" } = values;
  return {
    help,
    names: positionals,
    brief,
    seconds: seconds === undefined ? null : toWhole("--seconds", seconds, { max: 86_400 }),
    seed: toWhole("--seed", seed, { max: 2 ** 31 }),
    maxGrowthBytes:
      growth === undefined ? null : toWhole("--max-growth", growth, { max: 2 ** 20 }) * MIB,
    jobs: toWhole("--jobs", jobs, { max: 64 }),
  };
}
