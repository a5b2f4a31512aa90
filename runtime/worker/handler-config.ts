import type { FolderConfig, HandlerConfig } from "../api.ts";
import { HANDLER_SETTINGS, type HandlerSettings } from "../config/handler-settings.ts";
import { QUEUE_EXPECTED, toQueueConfig } from "../config/queue-config.ts";
import { describeValue } from "./describe-value.ts";
import { pickNearest } from "../lib/nearest.ts";
import { parseRate, type Rate, RATE_EXPECTED } from "../lib/rate.ts";
import { SCHEDULE_EXPECTED, toSchedules } from "../lib/schedules.ts";
import { isPoolName, POOL_NAME_EXPECTED } from "../lib/pool-name.ts";

// No schemas of a library: every worker would load it at its boot.

const METHOD_NAME = /^[A-Z][A-Z0-9-]*$/;

/** One key of a `config` export. */
interface Entry {
  isValid: (value: unknown) => boolean;
  /** Ends the sentence "config.x is y, expected ...". */
  expected: string;
}

const onOff: Entry = {
  isValid: (value) => typeof value === "boolean",
  expected: "true or false",
};

const SETTING_ENTRIES = Object.fromEntries(
  HANDLER_SETTINGS.map(({ key, type }): [string, Entry] => [
    key,
    { isValid: (value) => type.parse(value) !== null, expected: type.expected },
  ]),
) as Record<keyof HandlerSettings, Entry>; // Has exactly the keys of the table.

const SHARED_ENTRIES: Record<Exclude<keyof FolderConfig, "files">, Entry> = {
  ...SETTING_ENTRIES,
  reserved: onOff,
  replay: onOff,
  compression: onOff,
  pool: {
    isValid: (value) => typeof value === "string" && isPoolName(value),
    expected: POOL_NAME_EXPECTED,
  },
  rateLimit: {
    isValid: (value) =>
      typeof value === "string"
        ? parseRate(value) !== null
        : hasOnly(value, { requests: isPositive, windowMs: isPositive }),
    expected: `${RATE_EXPECTED}, or { requests, windowMs } in whole numbers above 0`,
  },
};

const FOLDER_ENTRIES: Record<keyof FolderConfig, Entry> = { ...SHARED_ENTRIES, files: onOff };

const HANDLER_ENTRIES: Record<keyof HandlerConfig, Entry> = {
  ...SHARED_ENTRIES,
  methods: {
    isValid: (value) => isListOf(value, (method) => METHOD_NAME.test(method)),
    expected: 'a list of upper-case methods such as ["GET", "POST"]',
  },
  schedule: {
    isValid: (value) => toSchedules(value) !== null,
    expected: SCHEDULE_EXPECTED,
  },
  queue: {
    isValid: (value) => toQueueConfig(value) !== null,
    expected: QUEUE_EXPECTED,
  },
};

const CONFIG_FILE_NAMES: ReadonlyMap<string, keyof HandlerConfig> = new Map(
  HANDLER_SETTINGS.map(({ setting, key }) => [setting, key]),
);

export type ConfigResult<T> =
  | { ok: true; config: T }
  /** One line per key that is wrong. */
  | { ok: false; problems: string[] };

/** Checks the `config` export of a handler; `undefined`, for none, is an empty one. */
export function readHandlerConfig(value: unknown): ConfigResult<HandlerConfig> {
  return read(HANDLER_ENTRIES, value);
}

/** Returns the rate of a checked `config.rateLimit`; `null`: there is none. */
export function toOwnRate(value: HandlerConfig["rateLimit"]): Rate | null {
  if (value === undefined) return null;
  return typeof value === "string" ? parseRate(value) : value;
}

/** Checks the `config` export of a `_middleware` file; `undefined`, for none, is an empty one. */
export function readFolderConfig(value: unknown): ConfigResult<FolderConfig> {
  return read(FOLDER_ENTRIES, value);
}

function read<T>(entries: Readonly<Record<string, Entry>>, value: unknown): ConfigResult<T> {
  const config = value ?? {};
  if (!isRecord(config)) {
    return { ok: false, problems: [`config is ${describeValue(config)}, expected an object`] };
  }
  const problems = Object.keys(config).flatMap((key) => {
    const entry = Object.hasOwn(entries, key) ? entries[key] : undefined;
    if (entry === undefined) return describeUnknown(key, Object.keys(entries));
    if (config[key] === undefined || entry.isValid(config[key])) return [];
    return `config.${key} is ${describeEntry(config[key])}, expected ${entry.expected}`;
  });
  // Each key is known and has a value that its entry takes.
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config: { ...config } as T };
}

function describeUnknown(key: string, knownKeys: readonly string[]): string {
  const nearest = CONFIG_FILE_NAMES.get(key) ?? pickNearest(key, knownKeys);
  const hint =
    nearest === null ? `expected one of ${knownKeys.join(", ")}` : `did you mean "${nearest}"?`;
  return `config has an unknown key "${key}", ${hint}`;
}

function describeEntry(value: unknown): string {
  return Array.isArray(value) ? JSON.stringify(value) : describeValue(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Tells whether a value is an object with these keys and no others, each with a valid value. */
function hasOnly(
  value: unknown,
  keys: Readonly<Record<string, (value: unknown) => boolean>>,
): boolean {
  return (
    isRecord(value) &&
    Object.keys(value).every((key) => Object.hasOwn(keys, key)) &&
    Object.entries(keys).every(([key, isValid]) => isValid(value[key]))
  );
}

function isPositive(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function isListOf(value: unknown, isValid: (item: string) => boolean): boolean {
  const isList = Array.isArray(value) && value.length > 0;
  return isList && value.every((item) => typeof item === "string" && isValid(item));
}
