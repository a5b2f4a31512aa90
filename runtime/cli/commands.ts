/** Commands for a server that runs: they find it by its state folder. */
export const CONTROL_COMMANDS = ["reload", "rollback", "generations", "status", "stop"] as const;

export type ControlCommandName = (typeof CONTROL_COMMANDS)[number];

export type CommandName =
  | "start"
  | "dev"
  | "check"
  | "drill"
  | "help"
  | "version"
  | ControlCommandName;

/** One entry per command that is offered: the parser and the help text read them from here. */
export const COMMANDS: readonly { name: CommandName; help: string }[] = [
  { name: "start", help: "serve the folder (what happens without a command)" },
  { name: "dev", help: "the same, with reloads on every change and detailed error pages" },
  { name: "check", help: "load settings, certificates and handlers; say what is wrong" },
  { name: "drill", help: "break things on spare ports; tell what clients see of it" },
  { name: "reload", help: "load settings and handlers anew, without losing a request" },
  { name: "rollback", help: "move back to the handlers before, or to those of an id" },
  { name: "generations", help: "list what can be moved back to" },
  { name: "status", help: "tell how the server is" },
  { name: "stop", help: "finish what is under way, then end" },
  { name: "help", help: "show this text" },
  { name: "version", help: "show the version" },
];

/** Settings whose flags such a command takes, besides `--config`. */
export const CONTROL_SETTINGS = ["stateDir"] as const;

export function isControlCommand(name: CommandName): name is ControlCommandName {
  const names: readonly CommandName[] = CONTROL_COMMANDS;
  return names.includes(name);
}
