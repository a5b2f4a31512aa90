import type { Config } from "./config.ts";
import { type EffectiveSetting, inConfigFile, toEffective } from "./effective.ts";
import { maskSecrets } from "./mask-secrets.ts";
import { SETTING_NAMES, SETTINGS } from "./settings.ts";
import { listNamedSites, listSites, toSiteSettings } from "./sites.ts";

/** The settings that hold, without secrets. Plain data. */
export interface EffectiveConfig {
  /** Absolute path; `null`: there is none. */
  configFile: string | null;
  /** Absolute paths of the files of variables that were read. */
  envFiles: readonly string[];
  /** Names of the variables that these files add. Their values may be secrets. */
  variables: readonly string[];
  /** All settings of the default site and of the server. */
  settings: EffectiveSetting[];
  /** The sites beside the default one, with the settings that they have for themselves. */
  sites: { name: string; hosts: readonly string[]; settings: EffectiveSetting[] }[];
  /** Keys of the config file that are neither flags nor variables: rules, pools, upstreams ... Values in JSON. */
  others: EffectiveSetting[];
}

/** Lists all settings of a config, and the place where each was set. Secrets are masked. */
export function listEffective(config: Config): EffectiveConfig {
  const { configFile, envFiles, variables } = config;
  const [byDefault] = listSites(config);
  if (byDefault === undefined) throw new TypeError("there is always a default site");
  const settings = toSiteSettings(config, byDefault);
  return {
    configFile,
    envFiles,
    variables: Object.keys(variables).toSorted(),
    settings: SETTING_NAMES.map((name) => toEffective(name, { settings, site: byDefault })),
    sites: listNamedSites(config).map((site) => {
      const own = SETTING_NAMES.filter((name) => Object.hasOwn(site.own, SETTINGS[name].field));
      const values = toSiteSettings(config, site);
      return {
        name: site.name,
        hosts: site.hosts,
        settings: own.map((name) => toEffective(name, { settings: values, site })),
      };
    }),
    others: listOthers(config),
  };
}

function listOthers(config: Config): EffectiveSetting[] {
  const { rules, pools, upstreams, warmup, apps, acme, sites, bindings, envVariables } = config;
  const stores = config.stores.filter(
    ({ name }) =>
      name === config.relayStore ||
      name === config.cronStore ||
      config.bindings.some(({ value }) => "store" in value && value.store === name),
  );
  const ofRules = [...rules, ...sites.flatMap((site) => site.rules)].map(
    ({ key, ...rule }): [string, unknown] => [key, rule],
  );
  const named: [string, unknown][] = [
    ...Object.entries(pools).map(([name, pool]): [string, unknown] => [`pools.${name}`, pool]),
    ...upstreams.map((group): [string, unknown] => [`upstreams.${group.name}`, group]),
    ...bindings.map(({ name, value, pools: ofPools, sites: ofSites }): [string, unknown] => [
      `bindings.${name}`,
      {
        ...value,
        ...(ofPools !== null && { pools: ofPools }),
        ...(ofSites !== null && { sites: ofSites }),
      },
    ]),
    ...stores.map(({ name, ...store }): [string, unknown] => [`stores.${name}`, store]),
    ...(envVariables === null ? [] : [["envVariables", envVariables] satisfies [string, unknown]]),
    ...(warmup.length > 0 ? [["warmup", warmup] satisfies [string, unknown]] : []),
    ...(acme === null ? [] : [["acme", acme] satisfies [string, unknown]]),
    ...ofRules,
  ];
  const ofApps = apps.map(({ site, ...app }): EffectiveSetting => {
    const value = JSON.stringify(maskSecrets(app, ""));
    return { name: "app", value, from: site === undefined ? "app, mounts" : `site ${site}` };
  });
  const others = named.map(([key, value]) => ({
    name: key,
    value: JSON.stringify(maskSecrets(value, "")),
    from: inConfigFile(key, config),
  }));
  return [...others, ...ofApps];
}
