import { TEMPLATE_NAMES } from "./init/templates.ts";
import { EXERCISE_NAMES, wordOf } from "../drill/exercise-names.ts";

/** Commands for a server that runs: they find it by its state folder. */
export const CONTROL_COMMANDS = ["reload", "rollback", "generations", "status", "stop"] as const;

export type ControlCommandName = (typeof CONTROL_COMMANDS)[number];

/** Settings whose flags such a command takes, besides `--config`. */
export const CONTROL_SETTINGS = ["stateDir"] as const;

export type CommandName =
  | "init"
  | "start"
  | "dev"
  | "check"
  | "drill"
  | "prune"
  | "help"
  | "version"
  | ControlCommandName;

/** What is told of a command. */
export interface CommandText {
  name: CommandName;
  /** In the list of all. */
  help: string;
  /** What may follow it. */
  usage: string;
  /** More, for who asks for this one: lines that fit a terminal. */
  details: readonly string[];
}

/** One entry per command that is offered: the parser and the help text read them from here. */
export const COMMANDS: readonly CommandText[] = [
  {
    name: "init",
    help: "make this folder a project: a handler, a config file, scripts",
    usage: `[--template ${TEMPLATE_NAMES.join("|")}]`,
    details: [
      "Writes a handler, edgicorn.config.ts, types and scripts, and says of each file",
      "whether it is new, changed or kept. Asks nothing and replaces nothing: run it",
      "again at any time.",
      "",
      "Templates: hello (one handler, the default), api (JSON), hono (a Hono app),",
      "react (pages that React renders on the server), static (files, no program).",
    ],
  },
  {
    name: "start",
    help: "serve the folder (what happens without a command)",
    usage: "[flags]",
    details: [
      "Builds the handlers, starts the workers and serves until it is told to stop:",
      "SIGTERM or Ctrl+C finish what is under way. Exits with 78 when settings are",
      "wrong, with 70 when handlers, certificates or ports cannot be used.",
    ],
  },
  {
    name: "dev",
    help: "the same, with reloads on every change and detailed error pages",
    usage: "[flags]",
    details: [
      "As start, for who works on handlers: saving a file reloads it, and what does not",
      "compile or throws is shown in the browser and in the terminal.",
    ],
  },
  {
    name: "check",
    help: "load settings, certificates and handlers; say what is wrong",
    usage: "[flags]",
    details: [
      "Does what a start with the same flags does, without opening a port, and leaves a",
      "server that runs alone. Exits with 0, with 78 when settings are wrong, with 70",
      "when handlers or certificates cannot be used.",
    ],
  },
  {
    name: "drill",
    help: "break things on spare ports; tell what clients see of it",
    usage: "[--brief] [--only A,B] [--seconds N] [--path PATH] [flags]",
    details: [
      "Starts what a start with the same flags would serve once more, on free ports of",
      "127.0.0.1, kills and freezes workers, breaks deployments, and tells what clients",
      "saw. Exits with 0 when all expectations held, with 1 when not, with 78 when",
      "flags are wrong, with 70 when the handlers cannot be loaded.",
      "",
      "Exercises, for --only:",
      `  ${EXERCISE_NAMES.slice(0, 5).map(wordOf).join(", ")},`,
      `  ${EXERCISE_NAMES.slice(5).map(wordOf).join(", ")}`,
    ],
  },
  {
    name: "reload",
    help: "load settings and handlers anew, without losing a request",
    usage: "[--state-dir DIR] [--config FILE] [--json]",
    details: [
      "Waits until the server that runs has moved over, and tells what has changed; or",
      "why it has refused, with file and line: all is as before then. As SIGHUP.",
    ],
  },
  {
    name: "rollback",
    help: "move back to the handlers before, or to those of an id",
    usage: "[ID] [--state-dir DIR] [--config FILE] [--json]",
    details: [
      "Moves as a reload does: without ID to the last that served with other code, also",
      'before a restart. "edgicorn generations" lists the ids. The next reload or start',
      "builds from the folder again: mend that, too.",
    ],
  },
  {
    name: "generations",
    help: "list what can be moved back to",
    usage: "[--state-dir DIR] [--config FILE] [--json]",
    details: [
      "The builds on disk, newest first: which one serves, where a rollback goes, what",
      "each has answered since this server started.",
    ],
  },
  {
    name: "status",
    help: "tell how the server is",
    usage: "[--state-dir DIR] [--config FILE] [--json]",
    details: ["Who serves what, where, and with which workers."],
  },
  {
    name: "stop",
    help: "finish what is under way, then end",
    usage: "[--state-dir DIR] [--config FILE] [--json]",
    details: ["As SIGTERM, and returns when the process of the server is gone."],
  },
  {
    name: "prune",
    help: "remove binaries of other systems from node_modules",
    usage: "",
    details: [
      "For images: removes the binaries of uWebSockets.js that are not for this system",
      "and this Node, more than 200 MB. Another Node needs an npm ci afterwards.",
    ],
  },
  {
    name: "help",
    help: "show this text, or that of a command",
    usage: "[COMMAND]",
    details: ["The same as edgicorn COMMAND --help."],
  },
  { name: "version", help: "show the version", usage: "", details: [] },
];

/** The command of a name; `null`: there is none. */
export function findCommand(word: string): CommandName | null {
  return COMMANDS.find(({ name }) => name === word)?.name ?? null;
}

/** `Usage: edgicorn rollback [ID] ...` */
export function formatUsage(command: CommandName): string {
  const { usage } = textOf(command);
  return `Usage: edgicorn ${command} ${usage}`.trimEnd();
}

/** Every command has an entry. */
export function textOf(command: CommandName): CommandText {
  const text = COMMANDS.find(({ name }) => name === command);
  if (text === undefined) throw new TypeError(`no text for ${command}`);
  return text;
}

/** Whether it is for a server that runs. */
export function isControlCommand(command: CommandName): command is ControlCommandName {
  return CONTROL_COMMANDS.some((name) => name === command);
}
