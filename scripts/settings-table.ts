// Writes the table of settings in docs/configuration.md from the table in runtime/config/settings.ts: `npm run docs`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  environmentName,
  flagName,
  SETTING_NAMES,
  type SettingName,
  settingOf,
} from "../runtime/config/settings.ts";
import { withTable } from "./docs-table.ts";

const PAGE = join(import.meta.dirname, "../docs/configuration.md");

/** Returns the page with a table of the settings in the code. */
export function withSettingsTable(page: string): string {
  return withTable(page, "settings", [
    ["flag", "variable", "key", "without it", "effect"],
    ...SETTING_NAMES.map(toCells),
    ["`--config`", "`EDGICORN_CONFIG`", "", "see below", "the config file"],
    ["`--env-file`", "`EDGICORN_ENV_FILE`", "", "see below", "files of environment variables"],
  ]);
}

/** Reads the page. */
export function readPage(): string {
  return readFileSync(PAGE, "utf8");
}

function toCells(name: SettingName): string[] {
  const { default: value, docs } = settingOf(name);
  return [
    `\`--${flagName(name)}\``,
    `\`${environmentName(name)}\``,
    `\`${name}\``,
    `\`${value}\``,
    docs,
  ];
}

if (process.argv[1] === import.meta.filename) writeFileSync(PAGE, withSettingsTable(readPage()));
