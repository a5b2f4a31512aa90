import { HANDLER_SETTINGS } from "./handler-settings.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "./settings.ts";

const SETTINGS: ReadonlyMap<string, SettingName> = new Map([
  ...SETTING_NAMES.flatMap((name) =>
    (settingOf(name).elsewhere ?? []).map((other) => [other, name] as const),
  ),
  ...HANDLER_SETTINGS.filter(({ key, setting }) => key !== setting).map(
    ({ key, setting }) => [key.toLowerCase(), setting] as const,
  ),
]);

/** Finds the setting that has this name in another server, or in a handler's own `config`; `null`: none is known. */
export function findByOtherName(word: string): SettingName | null {
  return SETTINGS.get(word.replaceAll(/[-_]/g, "").toLowerCase()) ?? null;
}
