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

/** Settings of other servers that this one does not have, in lower case without dashes and underscores, and the reason. */
const MISSING: Readonly<Record<string, string>> = {
  proxyprotocol:
    "found a setting that this server does not have, expected a proxy that sends X-Forwarded-For, and trustedProxies " +
    "(docs/http.md says why)",
};

/** Returns why there is no setting of this name; `null`: the name is not known. */
export function whyMissing(word: string): string | null {
  const name = toPlainName(word);
  return Object.hasOwn(MISSING, name) ? (MISSING[name] ?? null) : null;
}

/** Finds the setting that has this name in another server, or in a handler's own `config`; `null`: none is known. */
export function findByOtherName(word: string): SettingName | null {
  return SETTINGS.get(toPlainName(word)) ?? null;
}

function toPlainName(word: string): string {
  return word.replaceAll(/[-_]/g, "").toLowerCase();
}
