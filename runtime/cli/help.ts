import { SETTING_NAMES, flagName, placeholderOf, settingOf } from "../config/settings.ts";
import { TEMPLATE_NAMES } from "./init/templates.ts";
import { OWN_FLAGS } from "./own-flags.ts";
import { COMMANDS, type CommandName, findsServer, formatUsage, textOf } from "./commands.ts";

/** Returns the help text: plain ASCII, at most 80 columns, ends with a line feed. */
export function formatHelp({ version }: { version: string }): string {
  const lines = [
    `Edgicorn ${version}: serves a folder of handlers and static files over HTTP and HTTPS`,
    "",
    "Usage: edgicorn [command] [flags]",
    "       edgicorn start|dev|check|drill MODULE:NAME [flags]",
    "",
    "Commands",
    ...COMMANDS.map(({ name, help }) => `  ${name.padEnd(13)}${help}`),
    "",
    "Flags of start, dev, check and drill (and their defaults)",
    ...settingRows({ common: true }),
    CONFIG_ROW,
    ENV_FILE_ROW,
    row("--json", "print data for programs (reload, status ...)"),
    row("-h, --help", "show this text, or that of the command"),
    row("-v, --version", "show the version"),
    "",
    "More flags",
    ...settingRows({ common: false }),
    "",
    ...SOURCES,
    "",
    "Examples",
    "  edgicorn init                    make this folder a project",
    "  edgicorn                         serve ./handlers and ./public",
    "  edgicorn start app:app           serve a Flask, Django or FastAPI application",
    "  edgicorn dev --http 3000         work on the handlers, on port 3000",
    "  edgicorn --http 80 --https 443   serve the Internet, with the keys in ./certs",
    "  EDGICORN_WORKERS=8 edgicorn      the same as --workers 8",
    "  edgicorn reload                  put changed handlers to work",
    "",
    "A first handler: handlers/hello.ts",
    '  export default { fetch(request) { return new Response("Hello") } }',
  ];
  return `${lines.join("\n")}\n`;
}

/** Returns the help text of one command, in the same form. */
export function formatCommandHelp(command: CommandName): string {
  const { help, details } = textOf(command);
  const lines = [
    formatUsage(command),
    "",
    `${help.charAt(0).toUpperCase()}${help.slice(1)}.`,
    ...(details.length === 0 ? [] : ["", ...details]),
    "",
    ...flagsOf(command),
  ];
  return `${lines.join("\n")}\n`;
}

function flagsOf(command: CommandName): string[] {
  if (command === "prune")
    return ["No flags. Exits with 0, or with 78 when the packages are not the project's."];
  if (command === "help" || command === "version") return ['All flags: "edgicorn help"'];
  if (command === "init") return ["Flags", TEMPLATE_ROW];
  if (command === "completion") return ["No flags."];
  if (command === "import") {
    return ["Flags", ...ownRows(command), row("--json", "print the result, and write nothing")];
  }
  if (findsServer(command)) {
    return [
      "Flags",
      row("--state-dir DIR", "state folder of the server (.edgicorn)"),
      row("--config FILE", "config file that may name it (edgicorn.config.ts)"),
      ENV_FILE_ROW,
      row("--json", "print data for programs"),
      ...ownRows(command),
      "",
      "Exits with 0 when it is done, with 69 when no server runs with this state",
      "folder, with 70 or 78 when the server refuses.",
    ];
  }
  if (command === "drill") {
    return [
      "Flags (and their defaults)",
      ...DRILL_ROWS.map(([left, right]) => row(left, right)),
      row("--json", "print data for programs"),
      "",
      ...FLAGS_OF_START,
    ];
  }
  const own = ownRows(command);
  if (own.length > 0) return ["Flags", ...own, "", ...FLAGS_OF_START];
  if (command !== "start") return FLAGS_OF_START;
  return [
    "Flags (and their defaults)",
    ...settingRows({ common: true }),
    CONFIG_ROW,
    ENV_FILE_ROW,
    ...settingRows({ common: false }),
    "",
    ...SOURCES,
  ];
}

function ownRows(command: CommandName): string[] {
  return (OWN_FLAGS[command] ?? []).map(({ name, short, value, help }) => {
    const left = `${short === undefined ? "" : `-${short}, `}--${name} ${value ?? ""}`;
    return row(left.trimEnd(), help);
  });
}

const FLAGS_OF_START = [
  'Takes all flags of start, such as --http PORT: "edgicorn help start" lists them.',
];

const SOURCES = [
  "Each setting is also an environment variable (EDGICORN_HTTP for --http,",
  "EDGICORN_BODY_LIMIT for --body-limit) and, except --config and --env-file, a key",
  "of the config file (http, bodyLimit). The first of these that has it wins: flag,",
  "environment, .env.local, .env, config file.",
];

const DRILL_ROWS = [
  ["--brief", "the short form, for every change"],
  ["--seconds N", "length of each exercise, about (5)"],
  ["--path PATH", "path that clients request (/, or a route)"],
  ["--only A,B", "these exercises (all)"],
] as const;

const TEMPLATE_ROW = row("--template NAME", `one of ${TEMPLATE_NAMES.join(", ")}`);

const ENV_FILE_ROW = row("--env-file FILE", "file of variables, once or more (.env, .env.local)");

const CONFIG_ROW = row("--config FILE", "config file (edgicorn.config.ts, if there is one)");

function settingRows({ common }: { common: boolean }): string[] {
  return SETTING_NAMES.filter((name) => (settingOf(name).common === true) === common).map(
    (name) => {
      const { help, default: fallback } = settingOf(name);
      const shown = fallback.length <= MOST_DEFAULT ? fallback : "see docs";
      return row(`--${flagName(name)} ${placeholderOf(name)}`, `${help} (${shown})`);
    },
  );
}

/** Longest default that fits beside its text. */
const MOST_DEFAULT = 30;

function row(left: string, right: string): string {
  // A text that is too long for the column has a line of its own.
  const gap = left.length < 28 ? " ".repeat(28 - left.length) : `\n${" ".repeat(30)}`;
  return `  ${left}${gap}${right}`;
}
