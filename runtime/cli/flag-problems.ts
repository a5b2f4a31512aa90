import type { FlagName } from "../config/config.ts";
import { findByOtherName } from "../config/other-names.ts";
import { flagName, SETTING_NAMES, type SettingName } from "../config/settings.ts";
import { pickNearest } from "../lib/nearest.ts";
import { COMMANDS, type CommandName, CONTROL_SETTINGS, findsServer } from "./commands.ts";
import { DRILL_VALUES, type DrillFlags, parseDrillFlags } from "./drill-flags.ts";
import { OWN_FLAGS } from "./own-flags.ts";
import { TEMPLATE_NAMES, type TemplateName } from "./init/templates.ts";
import { explainOtherCommand, findCommandOfFlag, findLongFlag } from "./other-words.ts";

/** The settings and files behind flags that all commands share: `--body-limit` -> `bodyLimit`. */
export const FLAGS: ReadonlyMap<string, FlagName> = new Map<string, FlagName>([
  ...SETTING_NAMES.map((name): [string, SettingName] => [`--${flagName(name)}`, name]),
  ["--config", "config"],
  ["--env-file", "envFile"],
]);

/** A flag that the program does not know. */
export interface UnknownFlag {
  /** As the user typed it: `-p`, `--htp`. */
  rawName: string;
  /** Place on the command line. */
  index: number;
  /** The word after it, which may be its value. */
  value: string | null;
}

/** Returns a problem for each flag that the command does not use: the user expects an effect of it. */
export function findForeignFlags(
  command: CommandName,
  { flags, json }: { flags: Partial<Record<FlagName, string>>; json: boolean },
): string[] {
  if (
    command === "init" ||
    command === "prune" ||
    command === "completion" ||
    command === "import"
  ) {
    const expected = {
      completion: "it has no flags",
      init: "expected only --template",
      prune: "it has no flags",
      import: "expected only --env and --json",
    };
    const hasJson = json && command !== "import";
    return [...Object.keys(flags), ...(hasJson ? ["json"] : [])].map(
      // Other names are spelt as those of settings are.
      (name) =>
        `Cannot use --${flagName(name as SettingName)} with ${command}: ${expected[command]}`,
    );
  }
  if (!findsServer(command)) {
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

/** Returns the problems of flags that only a drill has. */
export function findDrillProblems(command: CommandName, flags: DrillFlags): string[] {
  if (command === "help" || command === "version") return [];
  if (command === "drill") return parseDrillFlags(flags).problems;
  return Object.keys(flags).map(
    (name) => `Cannot use --${name} with ${command}: only drill has it`,
  );
}

/** Returns the problem of a `--template`, if it has one. */
export function findTemplateProblems(command: CommandName, template: string | null): string[] {
  if (template === null || command === "help" || command === "version") return [];
  if (command !== "init") return [`Cannot use --template with ${command}: only init has it`];
  if (findTemplate(template) !== null) return [];
  const nearest = pickNearest(template, TEMPLATE_NAMES);
  const hint = nearest === null ? "" : ` (did you mean "${nearest}"?)`;
  return [
    `Cannot use --template: found "${template}", expected one of ${TEMPLATE_NAMES.join(", ")}${hint}`,
  ];
}

/** Returns the template of a name; `null`: there is none. */
export function findTemplate(name: string | null): TemplateName | null {
  return TEMPLATE_NAMES.find((candidate) => candidate === name) ?? null;
}

/**
 * Returns a problem that names the flag or command which the user may have meant.
 *
 * @param command The command that got the flag; `null`: an unknown one.
 */
export function describeUnknownFlag(
  { rawName, value }: UnknownFlag,
  command: CommandName | null,
): string {
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
  if (command === "prune" || command === "completion") return general;
  if (command !== null && findsServer(command)) {
    const own = (OWN_FLAGS[command] ?? []).map(({ name }) => name);
    return [...CONTROL_SETTINGS.map(flagName), "config", "env-file", "json", ...own]
      .map((name) => `--${name}`)
      .concat(general);
  }
  if (command === "init") return ["--template", ...general];
  if (command === "import") return ["--json", ...general];
  const drill = command === "drill" || command === null;
  const own = drill ? ["--json", "--brief", ...DRILL_VALUES.map((name) => `--${name}`)] : [];
  const ofCommand = command === null ? [] : (OWN_FLAGS[command] ?? []);
  return [...FLAGS.keys(), ...own, ...ofCommand.map(({ name }) => `--${name}`), ...general];
}

/** Returns a problem that names the command which the user may have meant. */
export function describeUnknownCommand(word: string): string {
  const names = COMMANDS.map(({ name }) => name);
  const hint = explainOtherCommand(word) ?? didYouMean(pickNearest(word, names));
  return `Cannot run ${word}: found an unknown command, ${hint}`;
}

function didYouMean(nearest: string | null): string {
  return nearest === null
    ? 'expected one that "edgicorn help" lists'
    : `did you mean "${nearest}"?`;
}
