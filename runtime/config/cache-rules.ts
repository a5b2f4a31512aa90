import { type CacheRules, IMMUTABLE } from "../lib/cache-rules.ts";
import { FILE_GLOB_EXPECTED, parseFileGlob } from "../lib/file-glob.ts";
import type { Parsed, SettingType } from "./setting-types.ts";

export type CacheRulesInput = "auto" | "off" | false | Record<string, string | false>;

/** `Cache-Control` fields of files: "auto", "off", or values by pattern. */
export function cacheRules(): SettingType<CacheRulesInput, CacheRules> {
  return {
    placeholder: "auto|off",
    expected: `"auto", "off", or in the config file an object: { "/assets/**": "immutable", "*.pdf": "1d" }`,
    parse,
    explain,
    inHandler: null,
  };
}

function parse(value: unknown): Parsed<CacheRules> {
  if (value === "auto") return { value: AUTOMATIC };
  if (value === "off" || value === false) return { value: OFF };
  if (!isRecord(value) || explain(value) !== null) return null;
  const rules = Object.entries(value).map(
    ([pattern, text]) => [pattern, toValue(text) ?? null] as const,
  );
  return { value: Object.freeze({ isAutomatic: true, rules: Object.freeze(rules) }) };
}

function explain(value: unknown): { key: string; value: unknown; expected: string } | null {
  if (!isRecord(value)) return null;
  for (const [pattern, text] of Object.entries(value)) {
    const key = `[${JSON.stringify(pattern)}]`;
    if (parseFileGlob(pattern) === null)
      return { key, value: pattern, expected: FILE_GLOB_EXPECTED };
    if (toValue(text) === undefined) return { key, value: text, expected: VALUE_EXPECTED };
  }
  return null;
}

const AUTOMATIC: CacheRules = Object.freeze({ isAutomatic: true, rules: Object.freeze([]) });
const OFF: CacheRules = Object.freeze({ isAutomatic: false, rules: Object.freeze([]) });

const VALUE_EXPECTED =
  'a value of Cache-Control such as "no-store" or "public, max-age=3600", "immutable", a time such as "1h", or "off"';

/** A list of directives (RFC 9111 section 5.2). */
const DIRECTIVES =
  /^[a-z][\w-]*(?:=(?:[\w-]+|"[^"\\]*"))?(?:, ?[a-z][\w-]*(?:=(?:[\w-]+|"[^"\\]*"))?)*$/i;

/** Returns the value of the field; `null`: no field; `undefined`: the text is no value. */
function toValue(text: unknown): string | null | undefined {
  if (text === false || text === "off") return null;
  if (typeof text !== "string") return undefined;
  if (text === "immutable") return IMMUTABLE;
  const [, count, unit] = TIME.exec(text) ?? [];
  if (count !== undefined) return `public, max-age=${Number(count) * (SECONDS[unit ?? ""] ?? 1)}`;
  return DIRECTIVES.test(text) ? text : undefined;
}

const TIME = /^(\d{1,6})([smhd])$/;
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
