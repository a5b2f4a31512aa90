import { flagName, placeholderOf, SETTING_NAMES, settingOf } from "../../config/settings.ts";
import { type CommandName, CONTROL_SETTINGS, findsServer } from "../commands.ts";
import { TEMPLATE_NAMES } from "../init/templates.ts";
import { OWN_FLAGS } from "../own-flags.ts";

/** A flag for a shell. */
export interface CompletedFlag {
  /** `--body-limit` */
  readonly flag: string;
  readonly help: string;
  /** `none`: it has no value. `file`: a path. A list: the words that are values, perhaps none. */
  readonly values: "none" | "file" | readonly string[];
}

/** Returns the flags of a command. */
export function listFlags(command: CommandName): CompletedFlag[] {
  if (["prune", "completion", "help", "version"].includes(command)) return [HELP];
  if (command === "init") {
    const help = "template of the project";
    return [{ flag: "--template", help, values: TEMPLATE_NAMES }, HELP];
  }
  const own = (OWN_FLAGS[command] ?? []).map(({ name, value, help }): CompletedFlag => {
    return {
      flag: `--${name}`,
      help,
      values: value === null ? "none" : value === "FILE" ? "file" : [],
    };
  });
  if (command === "import") return [...own, JSON_FLAG, HELP];
  if (findsServer(command)) {
    return [...CONTROL_SETTINGS.map(toFlag), ...SOURCES, JSON_FLAG, ...own, HELP];
  }
  const drill = command === "drill" ? DRILL : [];
  return [...own, ...SETTING_NAMES.map(toFlag), ...SOURCES, ...drill, HELP];
}

function toFlag(name: (typeof SETTING_NAMES)[number]): CompletedFlag {
  const placeholder = placeholderOf(name);
  const parts = placeholder.split("|");
  const words = parts.filter((part) => /^[a-z][\w.-]*$/.test(part));
  const isPath =
    settingOf(name).isPath === true || parts.some((part) => /^(?:FILE|DIR)$/.test(part));
  return {
    flag: `--${flagName(name)}`,
    help: settingOf(name).help,
    values: words.length === 0 && isPath ? "file" : words,
  };
}

const HELP: CompletedFlag = { flag: "--help", help: "show the help text", values: "none" };
const JSON_FLAG: CompletedFlag = {
  flag: "--json",
  help: "print data for programs",
  values: "none",
};

const SOURCES: readonly CompletedFlag[] = [
  { flag: "--config", help: "config file", values: "file" },
  { flag: "--env-file", help: "file of variables", values: "file" },
];

const DRILL: readonly CompletedFlag[] = [
  { flag: "--brief", help: "the short form", values: "none" },
  { flag: "--seconds", help: "length of each exercise", values: [] },
  { flag: "--path", help: "path that clients request", values: [] },
  { flag: "--only", help: "these exercises", values: [] },
  JSON_FLAG,
];
