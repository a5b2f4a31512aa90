import { badOption, readArgs, toWhole } from "../command-line.ts";
import { entryNames, type Scope } from "./plan.ts";

/** The options of the command line. */
export interface Options {
  readonly action: "measure" | "list" | "profile" | "help";
  /** Install missing peers first. */
  readonly install: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** How often a measurement is repeated when other programs kept the machine busy. */
  readonly retries: number;
  readonly connections: number;
  /** Workers of this project; its own default when `undefined`. */
  readonly workers: number | undefined;
  /** The cases to choose from. */
  readonly cases: Scope;
  /** Cases and servers to measure; all of the scope when empty. */
  readonly only: readonly string[];
  /** Path of the JSON file; `undefined`: a file named after the time. */
  readonly jsonFile: string | undefined;
}

export const HELP = `Measures this project beside its peers, in one run on one machine.

usage: npm run bench -- [options]

  --rounds N        rounds; each measures every row once, in another order (5)
  --seconds N       length of one measurement (4)
  --warm-up N       seconds of load before each measurement, not counted (1)
  --retries N       repeat a measurement up to N times when other programs used more than
                    0.1 core during it, and take the least disturbed one (1)
  --connections N   keep-alive connections of the load generator (64)
  --workers N       workers of this project (its own default)
  --cases WHICH     default: hello world; all: also JSON, streams, files, events, and idle
                    connections (default)
  --only A,B        only these cases, servers, or case/server pairs; see --list. A named
                    case is measured even if --cases leaves it out
  --list            print the cases and servers, and which are installed; measure nothing
  --install         first install missing peers: Debian packages with apt-get (as root;
                    otherwise the command is printed), npm packages into .bench/peers
  --json FILE       write the JSON here instead of .bench/results/
  --profile         measure nothing: put each chosen row of this project under load once and
                    leave CPU profiles of its primary and its workers in .bench/profiles
  --help            print this

Exit code: 0 measured, 1 a row failed or all were skipped, 78 bad option or nothing to load with.`;

/**
 * Reads the command line.
 *
 * @throws RuntimeError `ERR_CONFIG` for an unknown option or name, or a number out of range.
 */
export function parseOptions(args: readonly string[]): Options {
  const { values } = readArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "4" },
      "warm-up": { type: "string", default: "1" },
      retries: { type: "string", default: "1" },
      connections: { type: "string", default: "64" },
      workers: { type: "string" },
      cases: { type: "string", default: "default" },
      only: { type: "string", default: "" },
      json: { type: "string" },
      list: { type: "boolean" },
      install: { type: "boolean" },
      profile: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  const only = values.only.split(",").filter((name) => name !== "");
  const cases = toScope(values.cases);
  const known = entryNames(cases);
  const unknown = only.find((name) => !known.has(name));
  if (unknown !== undefined) {
    const expected = [...known].filter((name) => !name.includes("/")).join(", ");
    throw badOption("--only", unknown, `one of ${expected}`);
  }
  const { workers } = values;
  return {
    action: pickAction(values),
    install: values.install ?? false,
    rounds: toWhole("--rounds", values.rounds, { max: 1000 }),
    seconds: toWhole("--seconds", values.seconds, { max: 3600 }),
    warmUpSeconds: toWhole("--warm-up", values["warm-up"], { max: 3600 }),
    retries: toWhole("--retries", values.retries, { min: 0, max: 100 }),
    connections: toWhole("--connections", values.connections, { max: 4000 }),
    workers: workers === undefined ? undefined : toWhole("--workers", workers, { max: 1024 }),
    cases,
    only,
    jsonFile: values.json,
  };
}

function pickAction(values: {
  readonly help?: boolean | undefined;
  readonly list?: boolean | undefined;
  readonly profile?: boolean | undefined;
}): Options["action"] {
  if (values.help) return "help";
  if (values.list) return "list";
  return values.profile ? "profile" : "measure";
}

function toScope(text: string): Scope {
  if (text === "default" || text === "all") return text;
  throw badOption("--cases", text, "default or all");
}
