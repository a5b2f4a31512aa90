import type { Config } from "./config.ts";
import { RuntimeError } from "../lib/errors.ts";
import { type ReloadEffectKind, SETTING_NAMES, type SettingFields, SETTINGS } from "./settings.ts";

/** A setting's name in the config file, and the effect of a reload on it. */
export interface ReloadEffect {
  name: string;
  effect: ReloadEffectKind;
}

/** By field of `Config`. */
export const RELOAD_EFFECT: Readonly<Record<SettingField, ReloadEffect>> = {
  ...ofSettings(),
  mode: { name: "mode", effect: "restart" },
  configFile: { name: "config", effect: "source" },
  envFiles: { name: "envFile", effect: "source" },
  variables: { name: "envFile", effect: "pools" },
  // Each pool has its own: see `planPools`.
  pools: { name: "pools", effect: "switch" },
  apps: { name: "app", effect: "switch" },
  sites: { name: "sites", effect: "switch" },
  acme: { name: "acme", effect: "switch" },
  rules: { name: "rules", effect: "switch" },
  upstreams: { name: "upstreams", effect: "switch" },
  // Workers of the pools that have them are replaced: see `planPools`.
  bindings: { name: "bindings", effect: "switch" },
  stores: { name: "stores", effect: "switch" },
  envVariables: { name: "envVariables", effect: "pools" },
  // Follows from `appDir`, `python` and `appKind`.
  fileApps: { name: "python", effect: "source" },
  // Workers that were not asked for these paths have not shown that they can answer them.
  warmup: { name: "warmup", effect: "pools" },
};

function ofSettings(): Record<keyof SettingFields, ReloadEffect> {
  const entries = SETTING_NAMES.map((name) => {
    const { field, reload } = SETTINGS[name];
    return [field, { name, effect: reload }];
  });
  return Object.fromEntries(entries) as Record<keyof SettingFields, ReloadEffect>; // One for each entry of the table.
}

type SettingField = Exclude<keyof Config, "automatic" | "origins">;

/** A setting whose value differs. */
export interface ChangedSetting extends ReloadEffect {
  before: unknown;
  after: unknown;
}

/** Returns the settings that an operator has changed between two configs, without those that are automatic in both. */
export function findChangedSettings(before: Config, after: Config): ChangedSetting[] {
  const automatic: readonly string[] = after.automatic.filter((key) =>
    before.automatic.includes(key),
  );
  return Object.entries(RELOAD_EFFECT).flatMap(([key, effect]) => {
    // The table has no other keys.
    const [old, now] = [before[key as SettingField], after[key as SettingField]];
    const isSame = JSON.stringify(old) === JSON.stringify(now);
    return isSame || effect.effect === "source" || automatic.includes(key)
      ? []
      : [{ ...effect, before: old, after: now }];
  });
}

/** Returns the changed settings that need a restart of the server. */
export function findRestarts(changed: readonly ChangedSetting[]): ChangedSetting[] {
  return changed.filter(({ effect }) => effect === "restart");
}

/** @throws RuntimeError `ERR_CONFIG`, with a line for each changed setting that needs a restart. */
export function refuseRestarts(changed: readonly ChangedSetting[]): void {
  const lines = findRestarts(changed).map(
    ({ name, before, after }) =>
      `Cannot change ${name} while the server runs: found ${JSON.stringify(after)}, expected ${JSON.stringify(before)} until it is restarted`,
  );
  if (lines.length > 0) throw new RuntimeError("ERR_CONFIG", lines.join("\n"));
}
