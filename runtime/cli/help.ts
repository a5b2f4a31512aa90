import { SETTINGS, SETTING_NAMES, environmentName, flagName } from "../config/settings.ts";
import { COMMANDS } from "./commands.ts";

/** Returns the help text: plain ASCII, at most 80 columns, ends with a line feed. */
export function formatHelp({ version }: { version: string }): string {
  const settings = SETTING_NAMES.map((name) => ({
    ...SETTINGS[name],
    left: `--${flagName(name)} ${SETTINGS[name].value}`,
    variable: environmentName(name),
  }));
  const rows = (common: boolean): string[] =>
    settings
      .filter((setting) => setting.common === common)
      .map(({ left, help, default: fallback }) => row(left, `${help} (${fallback})`));
  const lines = [
    `Edgicorn ${version}: serves a folder of handlers and static files over HTTP and HTTPS`,
    "",
    "Usage: edgicorn [command] [flags]",
    "",
    "Commands",
    ...COMMANDS.map(({ name, help }) => `  ${name.padEnd(13)}${help}`),
    "",
    "Flags (and what applies without them)",
    ...rows(true),
    row("--config FILE", "config file (edgicorn.config.ts, if there is one)"),
    row("--json", "print data for programs (reload, status ...)"),
    row("--brief", "drill: the short form, for every change"),
    row("--seconds N", "drill: length of each exercise, about (5)"),
    row("--path PATH", "drill: what clients ask for (/, or a route)"),
    row("-h, --help", "show this text"),
    row("-v, --version", "show the version"),
    "",
    "More flags",
    ...rows(false),
    "",
    "Each setting is also an environment variable (EDGICORN_HTTP for --http,",
    "EDGICORN_BODY_LIMIT for --body-limit) and, except --config, a key of the config",
    "file (http, bodyLimit). A flag wins over the environment, that over the file.",
    "",
    "Examples",
    "  edgicorn                         serve ./handlers and ./public",
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

function row(left: string, right: string): string {
  // What is too long for the column has a line of its own.
  const gap = left.length < 28 ? " ".repeat(28 - left.length) : `\n${" ".repeat(30)}`;
  return `  ${left}${gap}${right}`;
}
