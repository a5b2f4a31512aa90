import { showPath } from "./config-file.ts";
import type { AutomaticField, Config } from "./config.ts";
import { maskSecrets } from "./mask-secrets.ts";
import { type SettingName, SETTINGS } from "./settings.ts";
import { showValue } from "./show-value.ts";
import type { SiteConfig } from "./sites.ts";

/** The value of a setting that holds, and the place where it was set. */
export interface EffectiveSetting {
  /** Name in the config file. */
  readonly name: string;
  /** In the words of the config file, without secrets. */
  readonly value: string;
  /** `default`, `automatic`, `--http`, `EDGICORN_HTTP in .env`, `http in edgicorn.config.ts`, `sites["x"].cache in ...`. */
  readonly from: string;
}

/** Returns the effective value of a setting for the requests of a site. @param settings Of `toSiteSettings`. */
export function toEffective(
  name: SettingName,
  { settings, site }: { settings: Config; site: SiteConfig },
): EffectiveSetting {
  const { field } = SETTINGS[name];
  const own = settings[field];
  const value = own === null ? wordForNone(name) : showValue(field, maskSecrets(own, name));
  return { name, value, from: originOf(name, { settings, site }) };
}

/** The word that stands for no value: "off", or the default of a setting that is never off, such as "all" or "*". */
function wordForNone(name: SettingName): string {
  const { type, default: byDefault } = SETTINGS[name];
  const isDefault = type.parse(byDefault)?.value === null || type.parse("off") === null;
  return isDefault ? byDefault : "off";
}

function originOf(
  name: SettingName,
  { settings, site }: { settings: Config; site: SiteConfig },
): string {
  const { field } = SETTINGS[name];
  if (Object.hasOwn(site.own, field)) {
    return inConfigFile(`sites[${JSON.stringify(site.name)}].${name}`, settings);
  }
  const automatic: readonly string[] = settings.automatic satisfies readonly AutomaticField[];
  const set = settings.origins[name];
  if (automatic.includes(field)) return set === undefined ? "automatic" : `automatic (${set})`;
  return set ?? "default";
}

/** Names a key of the config file with the file: `rules[3] in edgicorn.config.ts`. */
export function inConfigFile(key: string, { configFile }: Pick<Config, "configFile">): string {
  return configFile === null ? key : `${key} in ${showPath(configFile, process.cwd())}`;
}
