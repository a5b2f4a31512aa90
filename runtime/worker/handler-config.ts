import * as z from "zod/mini";
import type { FolderConfig, HandlerConfig } from "../api.ts";
import { HANDLER_SETTINGS, type HandlerSettings } from "../config/handler-settings.ts";
import { describeValue } from "./describe-value.ts";
import { pickNearest } from "../lib/nearest.ts";
import { POOL_NAME, POOL_NAME_EXPECTED } from "../lib/pool-name.ts";

// zod/mini, not zod: the same checks for 14 KB instead of 85 KB of code that every worker parses at its boot.

const METHOD_NAME = /^[A-Z][A-Z0-9-]*$/;
const CRON = /^\S+(\s+\S+){4}$/;

const duration = z.int().check(z.nonnegative());
const cron = z.string().check(z.regex(CRON));

const settingFields = Object.fromEntries(
  HANDLER_SETTINGS.map(({ key, type }): [string, z.ZodMiniType] => [
    key,
    z.optional(z.custom((value) => type.parse(value) !== null)),
  ]),
);

const folderFields = {
  ...settingFields,
  reserved: z.optional(z.boolean()),
  replay: z.optional(z.boolean()),
  pool: z.optional(z.string().check(z.regex(POOL_NAME))),
  cache: z.optional(
    z.union([
      z.literal(false),
      z.strictObject({ maxAgeMs: duration, staleMs: z.optional(duration) }),
    ]),
  ),
  rateLimit: z.optional(
    z.strictObject({
      requests: z.int().check(z.positive()),
      windowMs: z.int().check(z.positive()),
    }),
  ),
};

const handlerFields = {
  ...folderFields,
  methods: z.optional(z.array(z.string().check(z.regex(METHOD_NAME))).check(z.minLength(1))),
  schedule: z.optional(z.union([cron, z.array(cron).check(z.minLength(1))])),
};

/** The expectation for each key, as in an error message. */
const EXPECTED: Record<Exclude<keyof HandlerConfig, keyof HandlerSettings>, string> = {
  methods: 'a list of upper-case methods such as ["GET", "POST"]',
  reserved: "true or false",
  replay: "true or false",
  pool: POOL_NAME_EXPECTED,
  cache: "false or { maxAgeMs, staleMs? } in whole milliseconds",
  rateLimit: "{ requests, windowMs } in whole numbers above 0",
  schedule: 'a cron expression of five fields such as "0 3 * * *", or a list of them',
};

const CONFIG_FILE_NAMES: ReadonlyMap<string, keyof HandlerConfig> = new Map(
  HANDLER_SETTINGS.map(({ setting, key }) => [setting, key]),
);

const handlerSchema: z.ZodMiniType<HandlerConfig> = z.strictObject(
  handlerFields,
) as z.ZodMiniType<HandlerConfig>; // The table gives the settings their types.
const folderSchema: z.ZodMiniType<FolderConfig> = z.strictObject(
  folderFields,
) as z.ZodMiniType<FolderConfig>;

export type ConfigResult<T> =
  | { ok: true; config: T }
  /** One line per key that is wrong. */
  | { ok: false; problems: string[] };

/** Checks the `config` export of a handler; `undefined`, for none, is an empty one. */
export function readHandlerConfig(value: unknown): ConfigResult<HandlerConfig> {
  return read(handlerSchema, Object.keys(handlerFields), value);
}

/** Checks the `config` export of a `_middleware` file; `undefined`, for none, is an empty one. */
export function readFolderConfig(value: unknown): ConfigResult<FolderConfig> {
  return read(folderSchema, Object.keys(folderFields), value);
}

function read<T>(
  schema: z.ZodMiniType<T>,
  knownKeys: readonly string[],
  value: unknown,
): ConfigResult<T> {
  const result = schema.safeParse(value ?? {});
  if (result.success) return { ok: true, config: result.data };
  const lines = result.error.issues.flatMap((issue) => toLines(issue, knownKeys, value));
  return { ok: false, problems: [...new Set(lines)] };
}

function toLines(issue: z.core.$ZodIssue, knownKeys: readonly string[], value: unknown): string[] {
  const key = issue.path[0];
  if (key !== undefined) {
    const name = String(key);
    return [`config.${name} is ${describeEntry(value, name)}, expected ${expected(name)}`];
  }
  if (issue.code !== "unrecognized_keys") {
    return [`config is ${describeValue(value)}, expected an object`];
  }
  return issue.keys.map((unknown) => {
    const nearest = CONFIG_FILE_NAMES.get(unknown) ?? pickNearest(unknown, knownKeys);
    const hint =
      nearest === null ? `expected one of ${knownKeys.join(", ")}` : `did you mean "${nearest}"?`;
    return `config has an unknown key "${unknown}", ${hint}`;
  });
}

function describeEntry(config: unknown, key: string): string {
  const value = (config as Record<string, unknown>)[key];
  return Array.isArray(value) ? JSON.stringify(value) : describeValue(value);
}

function expected(key: string): string {
  const setting = HANDLER_SETTINGS.find((each) => each.key === key);
  // A key that is known and no setting is one of these.
  return setting?.type.expected ?? EXPECTED[key as keyof typeof EXPECTED];
}
