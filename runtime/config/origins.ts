import { dirname } from "node:path";
import type { ConfigFile } from "./config-file.ts";
import type { ConfigSources } from "./config.ts";
import {
  environmentName,
  flagName,
  SETTING_NAMES,
  type SettingName,
  SETTINGS,
} from "./settings.ts";

/** The source of a setting's value. */
export interface Origin {
  /** `--http`, `EDGICORN_HTTP`, `http in edgicorn.config.ts`, `the default of http`. */
  label: string;
  value: unknown;
  /** The folder to which a path is relative. */
  baseDir: string;
  isDefault: boolean;
}

/** The source of each setting's value. */
export type Origins = Record<SettingName, Origin>;

/**
 * Returns the labels of the settings that are not defaults.
 *
 * @param places The files of the variables that files have set, by name.
 */
export function toLabels(
  origins: Origins,
  places: Readonly<Record<string, string>>,
): Partial<Record<SettingName, string>> {
  return Object.fromEntries(
    SETTING_NAMES.flatMap((name) => {
      const { label, isDefault } = origins[name];
      const place = places[label];
      return isDefault ? [] : [[name, place === undefined ? label : `${label} in ${place}`]];
    }),
  );
}

/** Finds the source of each setting: a flag, else the environment, else the config file, else the default. */
export function findOrigins({ flags, env, cwd }: ConfigSources, file: ConfigFile | null): Origins {
  const fromFile = file?.values ?? {};
  const pick = (name: SettingName): Origin => {
    const flag = flags[name];
    const variable = environmentName(name);
    const fromEnv = env[variable];
    if (flag !== undefined) {
      return { label: `--${flagName(name)}`, value: flag, baseDir: cwd, isDefault: false };
    }
    if (fromEnv !== undefined && fromEnv !== "") {
      return { label: variable, value: fromEnv, baseDir: cwd, isDefault: false };
    }
    if (file !== null && fromFile[name] !== undefined) {
      const label = `${name} in ${file.shownAs}`;
      return { label, value: fromFile[name], baseDir: dirname(file.path), isDefault: false };
    }
    return {
      label: `the default of ${name}`,
      value: SETTINGS[name].default,
      baseDir: cwd,
      isDefault: true,
    };
  };
  // Every name of SETTING_NAMES, which are exactly the keys of Origins.
  return Object.fromEntries(SETTING_NAMES.map((name) => [name, pick(name)])) as Origins;
}
