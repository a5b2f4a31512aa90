import { parseArgs } from "node:util";
import type { Config, Flags } from "../config.ts";
import { pickNearest } from "../nearest.ts";
import { SETTING_NAMES, type SettingName, flagName } from "../config/settings.ts";
import { RuntimeError, assertNever } from "../errors.ts";
import { COMMANDS, type CommandName } from "./commands.ts";

/** What the command line asks for. */
export type Invocation =
  | { command: "start" | "dev"; mode: Config["mode"]; flags: Flags }
  | { command: "help" }
  | { command: "version" };

/**
 * Parses the command line.
 *
 * `--flag value` and `--flag=value` are the same; of a flag given twice the last one counts. The values are checked
 * later, together with those from other sources.
 *
 * @param argv Without the program: `process.argv.slice(2)`.
 * @throws ERR_CONFIG whose message has one line per unknown command, unknown flag or flag without its value.
 */
export function parseArguments(argv: readonly string[]): Invocation {
  const { tokens } = parseArgs({
    args: [...argv],
    options: OPTIONS,
    allowPositionals: true,
    // Its own refusals are several lines long and know no "did you mean".
    strict: false,
    tokens: true,
  });
  const problems: string[] = [];
  const words: string[] = [];
  const flags: Partial<Record<SettingName | "config", string>> = {};
  let instead: "help" | "version" | null = null;

  /** Where the value of a refused flag stands: no word of its own. */
  let valueIndex = -1;
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      if (token.index !== valueIndex) words.push(token.value);
      continue;
    }
    if (token.name === "help" || token.name === "version") {
      instead ??= token.name;
      continue;
    }
    const { rawName, value, inlineValue } = token;
    const name = FLAGS.get(rawName);
    if (name === undefined) {
      problems.push(describeUnknownFlag(rawName));
      if (!inlineValue) valueIndex = token.index + 1;
    } else if (value === undefined || (!inlineValue && value.startsWith("--"))) {
      problems.push(`Cannot use ${rawName}: found no value, expected ${rawName} VALUE`);
      valueIndex = token.index + 2;
    } else {
      flags[name] = value;
    }
  }
  if (instead !== null) return { command: instead };

  const [word = "start", extra] = words;
  const command = findCommand(word);
  if (command === null) problems.unshift(describeUnknownCommand(word));
  if (extra !== undefined && command !== null && command !== "help") {
    problems.push(`Cannot run ${word}: found "${extra}", expected only flags after the command`);
  }
  if (command === null || problems.length > 0) {
    throw new RuntimeError("ERR_CONFIG", problems.join("\n"));
  }
  switch (command) {
    case "start":
      return { command, mode: "production", flags };
    case "dev":
      return { command, mode: "development", flags };
    case "help":
    case "version":
      return { command };
    default:
      return assertNever(command);
  }
}

const OPTIONS = {
  ...Object.fromEntries(
    [...SETTING_NAMES.map(flagName), "config"].map((name) => [name, { type: "string" as const }]),
  ),
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "v" },
} as const;

/** `--body-limit` -> `bodyLimit`. */
const FLAGS: ReadonlyMap<string, SettingName | "config"> = new Map([
  ...SETTING_NAMES.map((name): [string, SettingName] => [`--${flagName(name)}`, name]),
  ["--config", "config"] as const,
]);

function findCommand(word: string): CommandName | null {
  return COMMANDS.find(({ name }) => name === word)?.name ?? null;
}

function describeUnknownFlag(rawName: string): string {
  const nearest = pickNearest(rawName, [...FLAGS.keys(), "--help", "--version"]);
  return `Cannot use ${rawName}: found an unknown flag, ${didYouMean(nearest)}`;
}

function describeUnknownCommand(word: string): string {
  const names = COMMANDS.map(({ name }) => name);
  return `Cannot run ${word}: found an unknown command, ${didYouMean(pickNearest(word, names))}`;
}

function didYouMean(nearest: string | null): string {
  return nearest === null
    ? 'expected one that "edgicorn help" lists'
    : `did you mean "${nearest}"?`;
}
