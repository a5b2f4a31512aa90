import type { EffectiveSetting } from "../config/effective.ts";
import type { EffectiveConfig } from "../config/list-effective.ts";
import { formatTable } from "./format-table.ts";

/** Longest value in the table. The JSON of `--json` has all of it. */
const MOST_CHARACTERS = 60;

/** Formats the settings that hold, first those that an operator has set. Ends with a line feed. */
export function formatConfig(config: EffectiveConfig): string {
  const { configFile, envFiles, variables, settings, sites, others } = config;
  const own = settings.filter((setting) => !isDefault(setting));
  const lines = [
    `config file: ${configFile ?? "none"}`,
    ...(envFiles.length === 0
      ? []
      : [`variables from ${envFiles.join(", ")}: ${variables.join(", ")}`]),
    "",
    "set",
    ...(own.length === 0 ? ["  none"] : formatSettings(own)),
    ...sites.flatMap(({ name, hosts, settings: ofSite }) => [
      "",
      `site ${name}${hosts.length > 1 ? ` (${hosts.slice(1).join(", ")})` : ""}`,
      ...(ofSite.length === 0 ? ["  no settings of its own"] : formatSettings(ofSite)),
    ]),
    ...(others.length === 0 ? [] : ["", "more keys", ...formatSettings(others)]),
    "",
    "defaults",
    ...formatTable(settings.filter(isDefault).map(({ name, value }) => [`  ${name}`, cut(value)])),
  ];
  return `${lines.join("\n")}\n`;
}

function isDefault({ from }: EffectiveSetting): boolean {
  return from === "default";
}

function formatSettings(settings: readonly EffectiveSetting[]): string[] {
  return formatTable(settings.map(({ name, value, from }) => [`  ${name}`, cut(value), from]));
}

function cut(value: string): string {
  return value.length > MOST_CHARACTERS ? `${value.slice(0, MOST_CHARACTERS - 3)}...` : value;
}
