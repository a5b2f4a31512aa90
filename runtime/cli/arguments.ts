import { parseArgs } from "node:util";
import type { Config, FlagName, Flags } from "../config/config.ts";
import { flagName, SETTING_NAMES } from "../config/settings.ts";
import type { Question } from "../control/explanation.ts";
import type { ProfileRequest } from "../control/profiling.ts";
import { assertNever, RuntimeError } from "../lib/errors.ts";
import { type CommandName, type ControlCommandName, findCommand, formatUsage } from "./commands.ts";
import {
  DRILL_VALUES,
  type DrillFlags,
  type DrillRequest,
  parseDrillFlags,
} from "./drill-flags.ts";
import {
  describeUnknownCommand,
  describeUnknownFlag,
  findDrillProblems,
  findForeignFlags,
  findTemplate,
  findTemplateProblems,
  FLAGS,
  type UnknownFlag,
} from "./flag-problems.ts";
import { findShell, type Shell, SHELLS } from "./completion/shells.ts";
import { findOwners, findOwnFlag, OWN_OPTIONS, type OwnValues } from "./own-flags.ts";
import { parseQuestion } from "./parse-question.ts";
import { type FetchWish, parseFetch } from "./fetch/parse-fetch.ts";
import { parseShadow, type ShadowWish } from "./shadow/parse-shadow.ts";
import { parseProfile } from "./profile/parse-profile.ts";
import type { TemplateName } from "./init/templates.ts";

/** The parsed command line. */
export type Invocation =
  | { command: "start" | "dev" | "check"; mode: Config["mode"]; flags: Flags }
  | ControlInvocation
  | DrillInvocation
  | { command: "init"; template: TemplateName | null }
  | LookInvocation
  | ProfileInvocation
  | { command: "types"; flags: Flags; check: boolean; output: string | null }
  | { command: "fetch"; flags: Flags; wish: FetchWish }
  | { command: "shadow"; flags: Flags; json: boolean; wish: ShadowWish }
  | { command: "completion"; shell: Shell }
  | { command: "import"; words: readonly string[]; environment: string | null; json: boolean }
  | { command: "help"; about: CommandName | null }
  | { command: "version" | "prune" };

/** A command for a server that runs. */
export interface ControlInvocation {
  command: ControlCommandName;
  /** Flags that such a command takes. */
  flags: Flags;
  /** For programs: print the server's answer unchanged. */
  json: boolean;
  /** The argument of the command: a generation, answers to purge, a worker, or `off`. */
  id: string | null;
  /** The request to explain. Only `explain` has it. */
  question?: Question;
  /** The handler to run now. Only `cron run` has it. */
  run?: { route: string; cron: string | null };
}

/** A look into the access log of a running server, or at the server itself. */
export interface LookInvocation {
  command: "logs" | "top";
  flags: Flags;
  json: boolean;
  own: OwnValues;
}

/** A profile of a process of the running server. */
export interface ProfileInvocation {
  command: "profile";
  flags: Flags;
  json: boolean;
  request: ProfileRequest;
  /** `null`: a name is made. */
  output: string | null;
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
  const line = readTokens(argv);
  const { words, instead } = line;
  if (instead === "version") return { command: instead };
  const [word = "start"] = words;
  const command = findCommand(word);
  // Without a command, the help is about all of them.
  if (instead === "help" && words.length === 0) return { command: "help", about: null };
  if (instead === "help" && command !== null) return { command: "help", about: command };

  const problems = findProblems(line, word);
  if (command !== null && problems.length > 0) {
    const more = command === "help" ? "" : ` ("edgicorn help ${command}" tells more)`;
    problems.push(formatUsage(command) + more);
  }
  if (command === null || problems.length > 0) {
    throw new RuntimeError("ERR_CONFIG", problems.join("\n"));
  }
  return toInvocation(command, line);
}

/** The words and flags of a command line. */
interface CommandLine {
  /** The command and its argument. */
  words: string[];
  flags: Partial<Record<FlagName, string>>;
  json: boolean;
  drill: DrillFlags;
  /** Values of the flags that only this command has, by name. */
  own: Record<string, string[]>;
  template: string | null;
  /** The flag that asks for another command. */
  instead: "help" | "version" | null;
  unknownFlags: UnknownFlag[];
  /** Flags without their value, or with one too many. */
  problems: string[];
}

function readTokens(argv: readonly string[]): CommandLine {
  const { tokens } = parseArgs({
    args: [...argv],
    options: OPTIONS,
    allowPositionals: true,
    // The refusals of Node are several lines long and have no "did you mean".
    strict: false,
    tokens: true,
  });
  const line: CommandLine = {
    words: [],
    flags: {},
    json: false,
    drill: {},
    own: {},
    template: null,
    instead: null,
    unknownFlags: [],
    problems: [],
  };
  const word = tokens.find((token) => token.kind === "positional")?.value;
  const command = word === undefined ? "start" : findCommand(word);
  /** Index of the value of a refused flag: it is no word of its own. */
  let valueIndex = -1;
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      if (token.index !== valueIndex) line.words.push(token.value);
      continue;
    }
    const { rawName, value, inlineValue } = token;
    if (token.name === "help" || token.name === "version") {
      line.instead ??= token.name;
      continue;
    }
    const ownFlag = findOwnFlag(command, token.name);
    if (ownFlag !== null && (ownFlag.value === null) === (value === undefined)) {
      (line.own[token.name] ??= []).push(value ?? "");
      continue;
    }
    if (ownFlag !== null) {
      const expected =
        ownFlag.value === null ? "it without a value" : `${rawName} ${ownFlag.value}`;
      const found = value === undefined ? "no value" : `"${value}"`;
      line.problems.push(`Cannot use ${rawName}: found ${found}, expected ${expected}`);
      continue;
    }
    const isDrills =
      command === "drill" && DRILL_VALUES.some((candidate) => candidate === token.name);
    const owners = FLAGS.has(rawName) || isDrills ? [] : findOwners(token.name);
    if (owners.length > 0) {
      const have = owners.length === 1 ? "has" : "have";
      line.problems.push(`Cannot use ${rawName}: only ${owners.join(" and ")} ${have} it`);
      continue;
    }
    if (token.name === "json" || token.name === "brief") {
      if (value !== undefined) {
        line.problems.push(`Cannot use ${rawName}: found "${value}", expected it without a value`);
      } else if (token.name === "json") {
        line.json = true;
      } else {
        line.drill.brief = true;
      }
      continue;
    }
    const drillValue = DRILL_VALUES.find((candidate) => candidate === token.name);
    const hasValue = value !== undefined && (inlineValue || !value.startsWith("--"));
    if (drillValue !== undefined && hasValue) {
      // Given twice it adds up: a user would take an exercise that is left out for one that held.
      const before = drillValue === "only" ? line.drill.only : undefined;
      line.drill[drillValue] = addValue(before, value);
      continue;
    }
    if (token.name === "template" && hasValue) {
      line.template = value;
      continue;
    }
    const name = FLAGS.get(rawName);
    if (name === undefined && token.name !== "template" && drillValue === undefined) {
      // Node reads `-p3000` as five flags at one index: the user meant the first one.
      if (line.unknownFlags.at(-1)?.index !== token.index) {
        const next = inlineValue ? value : argv[token.index + 1];
        line.unknownFlags.push({ rawName, index: token.index, value: next ?? null });
      }
      if (!inlineValue) valueIndex = token.index + 1;
    } else if (name === undefined || !hasValue) {
      line.problems.push(`Cannot use ${rawName}: found no value, expected ${rawName} VALUE`);
      valueIndex = token.index + 2;
    } else {
      // Files of variables add up, as with Node: a later one wins.
      line.flags[name] = addValue(name === "envFile" ? line.flags[name] : undefined, value);
    }
  }
  return line;
}

function addValue(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before},${value}`;
}

function findProblems(line: CommandLine, word: string): string[] {
  const { words, flags, json, drill, template, unknownFlags, own } = line;
  const [, extra] = words;
  const command = findCommand(word);
  const problems = [...line.problems];
  if (command === null) problems.unshift(describeUnknownCommand(word));
  if (command === "help" && extra !== undefined && findCommand(extra) === null) {
    problems.push(describeUnknownCommand(extra));
  }
  problems.push(...unknownFlags.map((flag) => describeUnknownFlag(flag, command)));
  if (command === null) return problems;
  if (command === "profile") problems.push(...parseProfile(words.slice(1), own).problems);
  if (command === "explain") problems.push(...parseQuestion(words.slice(1), own).problems);
  if (command === "shadow") problems.push(...parseShadow(words.slice(1), own).problems);
  if (command === "fetch") problems.push(...parseFetch(words.slice(1), own).problems);
  if (command === "types" && own["output"]?.at(-1) === "") {
    problems.push("Cannot use --output: found no name, expected a file");
  }
  const app = findApp(command, words);
  const mayHaveWord = WITH_WORD.has(command) || app !== null;
  if (command === "completion" && findShell(extra) === null) {
    const found = extra === undefined ? "nothing" : `"${extra}"`;
    problems.push(`Cannot run completion: found ${found}, expected ${SHELLS.join(", ")}`);
  }
  if (command === "purge" && extra === undefined) {
    problems.push(`Cannot run purge: found nothing, expected ${describeExpected("purge", "")}`);
  }
  if (command === "recycle" && !/^\d{1,15}$/.test(extra ?? "")) {
    const found = extra === undefined ? "nothing" : `"${extra}"`;
    problems.push(`Cannot run recycle: found ${found}, expected the number of a worker`);
  }
  if (command === "drain" && extra !== undefined && extra !== "off") {
    problems.push(`Cannot run drain: found "${extra}", expected nothing or off`);
  }
  if (command === "cron" && extra !== undefined && (extra !== "run" || words.length < 3)) {
    const found = extra === "run" ? "no route" : `"${extra}"`;
    problems.push(`Cannot run cron: found ${found}, expected nothing, or run and a route`);
    return problems;
  }
  if (command === "import" && extra === undefined) {
    problems.push(`Cannot run import: found nothing, expected ${describeExpected("import", "")}`);
  }
  const unexpected = words[mostWords(command, mayHaveWord)];
  if (unexpected !== undefined) {
    const expected = describeExpected(command, unexpected);
    const found = `found "${unexpected}", expected ${expected} after the command`;
    problems.push(`Cannot run ${word}: ${found}`);
  }
  return [
    ...problems,
    ...findForeignFlags(command, { flags, json }),
    ...findDrillProblems(command, drill),
    ...findTemplateProblems(command, template),
  ];
}

/** Commands that may have one word behind them. */
const WITH_WORD: ReadonlySet<CommandName> = new Set([
  "rollback",
  "purge",
  "profile",
  "recycle",
  "drain",
  "help",
  "completion",
  "fetch",
  "shadow",
]);

/** Returns how many words a command line may have, the command included. */
function mostWords(command: CommandName, mayHaveWord: boolean): number {
  if (command === "explain") return Infinity;
  if (command === "import" || command === "cron") return 4;
  return mayHaveWord ? 2 : 1;
}

function describeExpected(command: CommandName, word: string): string {
  if (command === "init") return `--template ${word}`;
  if (command === "rollback") return "one id";
  if (command === "profile") return "one worker, or primary,";
  if (command === "purge") return "one URL, URL*, tag:NAME or all";
  if (command === "recycle") return "one number of a worker";
  if (command === "drain") return "nothing or off";
  if (command === "help") return "one command";
  if (command === "fetch") return "one path or URL";
  if (command === "shadow") return "one URL";
  if (command === "cron") return "run, a route and perhaps one of its times";
  if (command === "import") {
    return "nginx.conf, gunicorn.conf.py or both, and perhaps MODULE:NAME, or else wrangler.toml or wrangler.jsonc,";
  }
  return takesApp(command) ? "only flags, or a Python application such as app:app," : "only flags";
}

/** @param line Has no problems. */
function toInvocation(command: CommandName, line: CommandLine): Invocation {
  const { words, json, drill, template } = line;
  const [, extra] = words;
  const app = findApp(command, words);
  const flags = app === null ? line.flags : { app, ...line.flags };
  switch (command) {
    case "logs":
    case "top":
      return { command, flags, json, own: line.own };
    case "profile":
      return { command, flags, json, ...parseProfile(words.slice(1), line.own).wish };
    case "completion":
      return { command, shell: findShell(extra) ?? "bash" };
    case "shadow":
      return { command, flags, json, wish: parseShadow(words.slice(1), line.own).wish };
    case "fetch":
      return { command, flags, wish: parseFetch(words.slice(1), line.own).wish };
    case "types": {
      const { check, output } = line.own;
      return { command, flags, check: check !== undefined, output: output?.at(-1) ?? null };
    }
    case "init":
      return { command, template: findTemplate(template) };
    case "start":
    case "check":
      return { command, mode: "production", flags };
    case "dev":
      return { command, mode: "development", flags };
    case "drill":
      return { command, flags, json, ...parseDrillFlags(drill).request };
    case "explain": {
      const { question } = parseQuestion(words.slice(1), line.own);
      return { command, flags, json, id: null, question };
    }
    case "cron": {
      const [, , route, cron = null] = words;
      const own = { command, flags, json, id: null } as const;
      return route === undefined ? own : { ...own, run: { route, cron } };
    }
    case "reload":
    case "rollback":
    case "generations":
    case "status":
    case "purge":
    case "config":
    case "routes":
    case "recycle":
    case "drain":
    case "stop":
      return { command, flags, json, id: extra ?? null };
    case "import":
      return { command, words: words.slice(1), environment: line.own["env"]?.at(-1) ?? null, json };
    case "help":
      return { command, about: extra === undefined ? null : findCommand(extra) };
    case "version":
    case "prune":
      return { command };
    default:
      return assertNever(command);
  }
}

/** Returns the Python application after a command, as with Gunicorn: `edgicorn start myproject.wsgi:application`. */
function findApp(command: CommandName, [, word]: readonly string[]): string | null {
  return word !== undefined && takesApp(command) && APP.test(word) ? word : null;
}

/** A module and a name, or a module in a package. One word alone is rather a mistyped command. */
const APP = /^[\w.]+:.|^\w+(?:\.\w+)+$/;

function takesApp(command: CommandName | null): boolean {
  return command === "start" || command === "dev" || command === "check" || command === "drill";
}

const OPTIONS = {
  ...OWN_OPTIONS,
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
