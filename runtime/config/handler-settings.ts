import {
  SETTING_NAMES,
  type SettingName,
  settingOf,
  type SETTINGS,
  type SettingValue,
} from "./settings.ts";
import type { HandlerCache } from "./cache-setting.ts";
import type { HandlerType } from "./setting-types.ts";

type Settings = typeof SETTINGS;

/** Names of the settings that a handler may set for itself. */
export type HandlerSettingName = {
  [Name in SettingName]: Settings[Name] extends { handler: string } ? Name : never;
}[SettingName];

type Handled = Pick<Settings, HandlerSettingName>;

/** Settings in a handler's own `config`: plain numbers in the unit that the key names, words, and the object of `cache`. */
export type HandlerSettings = {
  -readonly [Name in keyof Handled as Handled[Name]["handler"]]?:
    | (Name extends "cache" ? HandlerCache : SettingValue<Name>)
    | undefined;
};

/** All of these settings; `null`: the server's own. */
export type HandlerLimits = {
  -readonly [Name in keyof Handled as Handled[Name]["handler"]]: SettingValue<Name> | null;
};

/** The values of a route, by their names in `Config`. */
export type RouteSettings = {
  readonly [Name in keyof Handled as Handled[Name]["field"]]: SettingValue<Name>;
};

/** A setting that a handler may set for itself. */
export interface HandlerSetting {
  /** Name in the config file. */
  readonly setting: HandlerSettingName;
  /** Key in a handler's `config`. */
  readonly key: keyof HandlerLimits;
  /** Name in `Config`. */
  readonly field: keyof RouteSettings;
  readonly type: HandlerType<unknown>;
}

/** All settings that a handler may set for itself. */
export const HANDLER_SETTINGS: readonly HandlerSetting[] = SETTING_NAMES.flatMap((name) => {
  const { field, handler, type } = settingOf(name);
  if (handler === undefined) return [];
  if (type.inHandler === null) {
    throw new TypeError(`the type of the setting ${name} has no form for handlers`);
  }
  const setting = { setting: name, key: handler, field, type: type.inHandler };
  return [setting as HandlerSetting]; // The entry has a handler key, so the types above have its names.
});

/** Takes a handler's checked settings, with `null` for each that it leaves to the server. */
export function toHandlerLimits(settings: HandlerSettings): HandlerLimits {
  const entries = HANDLER_SETTINGS.map(({ key, type }) => {
    const value = settings[key];
    return [key, value === undefined ? null : (type.parse(value)?.value ?? null)];
  });
  return Object.fromEntries(entries) as HandlerLimits; // Has exactly the keys of the table.
}

/** Merges a handler's limits with the server's settings. */
export function toRouteSettings(
  limits: HandlerLimits | null,
  defaults: RouteSettings,
): RouteSettings {
  const entries = HANDLER_SETTINGS.map(({ key, field }) => [
    field,
    limits?.[key] ?? defaults[field],
  ]);
  return Object.fromEntries(entries) as RouteSettings; // Has exactly the fields of the table.
}
