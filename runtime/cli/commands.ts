/** One entry per command: the parser and the help text read them from here. */
export const COMMANDS = [
  { name: "start", help: "serve the folder (what happens without a command)" },
  { name: "dev", help: "the same, with reloads on every change and detailed error pages" },
  { name: "help", help: "show this text" },
  { name: "version", help: "show the version" },
] as const satisfies readonly { name: string; help: string }[];

export type CommandName = (typeof COMMANDS)[number]["name"];
