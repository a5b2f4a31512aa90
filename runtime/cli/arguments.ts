import { parseArgs } from "node:util";
import type { Config, FlagName, Flags } from "../config/config.ts";
import { TEMPLATE_NAMES, type TemplateName } from "./init/templates.ts";
import { pickNearest } from "../lib/nearest.ts";
import { findByOtherName } from "../config/other-names.ts";
import { SETTING_NAMES, type SettingName, flagName } from "../config/settings.ts";
import { explainOtherCommand, findCommandOfFlag, findLongFlag } from "./other-words.ts";
import { RuntimeError, assertNever } from "../lib/errors.ts";
import {
  DRILL_VALUES,
  type DrillFlags,
  type DrillRequest,
  parseDrillFlags,
} from "./drill-flags.ts";
import {
  COMMANDS,
  type CommandName,
  CONTROL_SETTINGS,
  type ControlCommandName,
  findCommand,
  formatUsage,
  isControlCommand,
} from "./commands.ts";

/** The parsed command line. */
export type Invocation =
  | { command: "start" | "dev" | "check"; mode: Config["mode"]; flags: Flags }
  | ControlInvocation
  | DrillInvocation
  | { command: "init"; template: TemplateName | null }
  | { command: "help"; about: CommandName | null }
  | { command: "version" | "prune" };

/** A command for a server that runs. */
export interface ControlInvocation {
  command: ControlCommandName;
  /** Of those that such a command takes. */
  flags: Flags;
  /** For programs: print the server's answer unchanged. */
  json: boolean;
  /** The argument of the command: the generation to roll back to. */
  id: string | null;
}

/** A drill of the server that a start would run. */
export interface DrillInvocation extends DrillRequest {
  command: "drill";
  flags: Flags;
  json: boolean;
}

/**
 * Parses the command line.
 *
 * `--flag value` and `--flag=value` are the same; of a flag given twice the last one counts (`--env-file`, and `--only`
 * of a drill, add up). The values are checked later, together with those from other sources.
 *
 * @param argv Without the program: `process.argv.slice(2)`.
 * @throws ERR_CONFIG whose message has one line per unknown command, unknown flag or flag without its value, and one
 *   that lists the command's arguments.
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
  const unknownFlags: UnknownFlag[] = [];
  const flags: Partial<Record<FlagName, string>> = {};
  let instead: "help" | "version" | null = null;
  let json = false;
  const drill: DrillFlags = {};
  let template: string | null = null;

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
    if (token.name === "json" && token.value === undefined) {
      json = true;
      continue;
    }
    const { rawName, value, inlineValue } = token;
    if (token.name === "brief" && value === undefined) {
      drill.brief = true;
      continue;
    }
    if (token.name === "json" || token.name === "brief") {
      problems.push(`Cannot use ${rawName}: found "${value}", expected it without a value`);
      continue;
    }
    const drillValue = DRILL_VALUES.find((candidate) => candidate === token.name);
    const hasValue = value !== undefined && (inlineValue || !value.startsWith("--"));
    if (drillValue !== undefined && hasValue) {
      const before = drillValue === "only" ? drill.only : undefined;
      // Given twice it adds up: an exercise that is left out silently would look as if it had held.
      drill[drillValue] = before === undefined ? value : `${before},${value}`;
      continue;
    }
    if (token.name === "template" && hasValue) {
      template = value;
      continue;
    }
    const name = FLAGS.get(rawName);
    if (name === undefined && token.name !== "template" && drillValue === undefined) {
      // `-p3000` is read as five flags at one place: the first one was meant.
      if (unknownFlags.at(-1)?.index !== token.index) {
        const next = inlineValue ? value : argv[token.index + 1];
        unknownFlags.push({ rawName, index: token.index, value: next ?? null });
      }
      if (!inlineValue) valueIndex = token.index + 1;
    } else if (name === undefined || !hasValue) {
      problems.push(`Cannot use ${rawName}: found no value, expected ${rawName} VALUE`);
      valueIndex = token.index + 2;
    } else {
      // Files of variables add up, as with Node: a later one wins.
      const before = name === "envFile" ? flags[name] : undefined;
      flags[name] = before === undefined ? value : `${before},${value}`;
    }
  }
  if (instead === "version") return { command: instead };
  const [word = "start", extra] = words;
  const command = findCommand(word);
  // Without a command, it is about all of them.
  if (instead === "help" && words.length === 0) return { command: "help", about: null };
  if (instead === "help" && command !== null) return { command: "help", about: command };

  if (command === null) problems.unshift(describeUnknownCommand(word));
  const about = extra === undefined ? null : findCommand(extra);
  if (command === "help" && extra !== undefined && about === null) {
    problems.push(describeUnknownCommand(extra));
  }
  problems.push(...unknownFlags.map((flag) => describeUnknownFlag(flag, command)));
  const mayHaveWord = command === "rollback" || command === "help";
  const unexpected = mayHaveWord ? words[2] : extra;
  if (unexpected !== undefined && command !== null) {
    const expected =
      command === "init"
        ? `--template ${unexpected}`
        : command === "rollback"
          ? "one id"
          : command === "help"
            ? "one command"
            : "only flags";
    problems.push(
      `Cannot run ${word}: found "${unexpected}", expected ${expected} after the command`,
    );
  }
  if (command !== null) {
    problems.push(
      ...findForeignFlags(command, { flags, json }),
      ...findDrillProblems(command, drill),
      ...findTemplateProblems(command, template),
    );
  }
  if (command !== null && problems.length > 0) {
    const more = command === "help" ? "" : ` ("edgicorn help ${command}" tells more)`;
    problems.push(formatUsage(command) + more);
  }
  if (command === null || problems.length > 0) {
    throw new RuntimeError("ERR_CONFIG", problems.join("\n"));
  }
  switch (command) {
    case "init":
      return { command, template: findTemplate(template) };
    case "start":
    case "check":
      return { command, mode: "production", flags };
    case "dev":
      return { command, mode: "development", flags };
    case "drill":
      return { command, flags, json, ...parseDrillFlags(drill).request };
    case "reload":
    case "rollback":
    case "generations":
    case "status":
    case "stop":
      return { command, flags, json, id: extra ?? null };
    case "help":
      return { command, about };
    case "version":
    case "prune":
      return { command };
    default:
      return assertNever(command);
  }
}

const OPTIONS = {
  ...Object.fromEntries(
    [...SETTING_NAMES.map(flagName), "config", "env-file"].map((name) => [
      name,
      { type: "string" as const },
    ]),
  ),
  json: { type: "boolean" },
  brief: { type: "boolean" },
  template: { type: "string" },
  seconds: { type: "string" },
  path: { type: "string" },
  only: { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "v" },
} as const;

/** `--body-limit` -> `bodyLimit`. */
const FLAGS: ReadonlyMap<string, FlagName> = new Map<string, FlagName>([
  ...SETTING_NAMES.map((name): [string, SettingName] => [`--${flagName(name)}`, name]),
  ["--config", "config"],
  ["--env-file", "envFile"],
]);

interface UnknownFlag {
  /** As it was typed: `-p`, `--htp`. */
  rawName: string;
  /** Place on the command line. */
  index: number;
  /** The word after it, which may be its value. */
  value: string | null;
}

/** Returns flags that the command does not use: the user expects something of them. */
function findForeignFlags(
  command: CommandName,
  { flags, json }: { flags: Partial<Record<FlagName, string>>; json: boolean },
): string[] {
  if (command === "init" || command === "prune") {
    const expected = command === "init" ? "expected only --template" : "it has no flags";
    return [...Object.keys(flags), ...(json ? ["json"] : [])].map(
      // Other names are spelt as those of settings are.
      (name) => `Cannot use --${flagName(name as SettingName)} with ${command}: ${expected}`,
    );
  }
  if (!isControlCommand(command)) {
    const mayPrint = command === "help" || command === "version" || command === "drill";
    return json && !mayPrint ? [`Cannot use --json with ${command}: it prints no data`] : [];
  }
  const known: readonly string[] = [...CONTROL_SETTINGS, "config", "envFile"];
  return Object.keys(flags)
    .filter((name) => !known.includes(name))
    .map((name) => {
      // Other names are spelt as those of settings are.
      const flag = flagName(name as SettingName);
      return `Cannot use --${flag} with ${command}: expected only --state-dir, --config, --env-file or --json`;
    });
}

function findDrillProblems(command: CommandName, flags: DrillFlags): string[] {
  if (command === "help" || command === "version") return [];
  if (command === "drill") return parseDrillFlags(flags).problems;
  return Object.keys(flags).map(
    (name) => `Cannot use --${name} with ${command}: only drill has it`,
  );
}

function findTemplateProblems(command: CommandName, template: string | null): string[] {
  if (template === null || command === "help" || command === "version") return [];
  if (command !== "init") return [`Cannot use --template with ${command}: only init has it`];
  if (findTemplate(template) !== null) return [];
  const nearest = pickNearest(template, TEMPLATE_NAMES);
  const hint = nearest === null ? "" : ` (did you mean "${nearest}"?)`;
  return [
    `Cannot use --template: found "${template}", expected one of ${TEMPLATE_NAMES.join(", ")}${hint}`,
  ];
}

function findTemplate(name: string | null): TemplateName | null {
  return TEMPLATE_NAMES.find((candidate) => candidate === name) ?? null;
}

/** @param command That it was given to; `null`: to one that there is not. */
function describeUnknownFlag({ rawName, value }: UnknownFlag, command: CommandName | null): string {
  const instead = findCommandOfFlag(rawName, value);
  if (instead !== null) {
    return `Cannot use ${rawName}: found an unknown flag, did you mean the command "edgicorn ${instead}"?`;
  }
  const flags = flagsOf(command);
  const meant = findByOtherName(rawName);
  const other = meant === null ? findLongFlag(rawName) : `--${flagName(meant)}`;
  const nearest = other !== null && flags.includes(other) ? other : pickNearest(rawName, flags);
  return `Cannot use ${rawName}: found an unknown flag, ${didYouMean(nearest)}`;
}

/** Returns the flags that the user may have meant. */
function flagsOf(command: CommandName | null): string[] {
  const general = ["--help", "--version"];
  if (command === "prune") return general;
  if (command !== null && isControlCommand(command)) {
    return [...CONTROL_SETTINGS.map(flagName), "config", "env-file", "json"]
      .map((name) => `--${name}`)
      .concat(general);
  }
  if (command === "init") return ["--template", ...general];
  const drill = command === "drill" || command === null;
  const own = drill ? ["--json", "--brief", ...DRILL_VALUES.map((name) => `--${name}`)] : [];
  return [...FLAGS.keys(), ...own, ...general];
}

function describeUnknownCommand(word: string): string {
  const names = COMMANDS.map(({ name }) => name);
  const hint = explainOtherCommand(word) ?? didYouMean(pickNearest(word, names));
  return `Cannot run ${word}: found an unknown command, ${hint}`;
}

function didYouMean(nearest: string | null): string {
  return nearest === null
    ? 'expected one that "edgicorn help" lists'
    : `did you mean "${nearest}"?`;
}
