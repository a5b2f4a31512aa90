import type { CachePolicy, CacheReload } from "../lib/cache-policy.ts";
import type { Duration } from "./quantities.ts";
import { duration, type HandlerType, type Parsed, type SettingType } from "./setting-types.ts";

/** Form of a cache policy in the config file: `"on"`, `"off"`, a time, or an object. */
export type CacheInput =
  | boolean
  | Duration
  | {
      /** Time for answers that do not say how long they are fresh. Default: such answers are not stored. */
      maxAge?: Duration;
      /** Time after that, in which they may be served while a newer one is fetched, and after a failure. */
      stale?: Duration;
      /** The only parameters of the query that tell answers apart, or `"all"`. Others do not reach the handler. Default: all. */
      query?: "all" | readonly string[];
      /** Parameters of the query that tell no answers apart, such as `"utm_source"`. They do not reach the handler. */
      ignoreQuery?: readonly string[];
      /** Cookies that tell answers apart. Default: none. */
      cookies?: readonly string[];
    };

/** Form of a cache policy in a handler's own `config`. */
export type HandlerCache =
  | boolean
  | {
      /** Milliseconds for answers that do not say how long they are fresh. Default: such answers are not stored. */
      maxAgeMs?: number | undefined;
      /** Milliseconds after that, in which they may be served while a newer one is fetched, and after a failure. */
      staleMs?: number | undefined;
      /** The only parameters of the query that tell answers apart. Others do not reach the handler. Default: all. */
      query?: readonly string[] | undefined;
      /** Parameters of the query that tell no answers apart, such as `"utm_source"`. They do not reach the handler. */
      ignoreQuery?: readonly string[] | undefined;
      /** Cookies that tell answers apart. Default: none. */
      cookies?: readonly string[] | undefined;
    };

const TIME = duration(0, 365 * 24 * 3_600_000);

/** Whether answers are stored, and which: `on`, `off`, a time for answers without one, or an object. */
export function cachePolicy(): SettingType<CacheInput, CachePolicy | "off"> {
  return {
    placeholder: "on|off|TIME",
    expected:
      '"on", "off", a time such as "1m", or in the config file an object: { maxAge: "1m", stale: "1h", query: ["page"], cookies: ["lang"] }',
    parse,
    explain: (value) => (isRecord(value) ? findProblem(value, FILE_MEMBERS) : null),
    inHandler: HANDLER_TYPE,
  };
}

const NONE: readonly string[] = Object.freeze([]);

const PLAIN: CachePolicy = Object.freeze({
  maxAgeMs: null,
  staleMs: null,
  query: null,
  ignoreQuery: NONE,
  cookies: NONE,
});

const ON: readonly unknown[] = [true, "on"];
const OFF: readonly unknown[] = [false, "off"];

function parse(value: unknown): Parsed<CachePolicy | "off"> {
  if (ON.includes(value)) return { value: PLAIN };
  if (OFF.includes(value)) return { value: "off" };
  if (!isRecord(value)) {
    const time = TIME.parse(value);
    return time === null ? null : { value: Object.freeze({ ...PLAIN, maxAgeMs: time.value }) };
  }
  if (findProblem(value, FILE_MEMBERS) !== null) return null;
  const maxAgeMs = TIME.parse(value["maxAge"])?.value ?? null;
  const staleMs = TIME.parse(value["stale"])?.value ?? null;
  return { value: Object.freeze({ maxAgeMs, staleMs, ...readNames(value) }) };
}

function readNames(
  value: Readonly<Record<string, unknown>>,
): Pick<CachePolicy, "query" | "ignoreQuery" | "cookies"> {
  const { query, ignoreQuery, cookies } = value;
  return {
    query: toNames(query),
    ignoreQuery: toNames(ignoreQuery) ?? NONE,
    cookies: toNames(cookies) ?? NONE,
  };
}

function toNames(names: unknown): readonly string[] | null {
  return isNames(names) ? Object.freeze([...names]) : null;
}

const HANDLER_TYPE: HandlerType<CachePolicy | "off"> = {
  expected:
    "true, false or { maxAgeMs?, staleMs?, query?, ignoreQuery?, cookies? }: whole milliseconds, and lists of names",
  parse: (value) => {
    if (ON.includes(value)) return { value: PLAIN };
    if (OFF.includes(value)) return { value: "off" };
    if (!isRecord(value) || findProblem(value, HANDLER_MEMBERS) !== null) return null;
    const { maxAgeMs, staleMs } = value;
    return {
      value: Object.freeze({
        maxAgeMs: typeof maxAgeMs === "number" ? maxAgeMs : null,
        staleMs: typeof staleMs === "number" ? staleMs : null,
        ...readNames(value),
      }),
    };
  },
};

interface Member {
  readonly isValid: (value: unknown) => boolean;
  /** Ends the sentence "found x, expected ...". */
  readonly expected: string;
}

const TIME_MEMBER: Member = {
  isValid: (value) => TIME.parse(value) !== null,
  expected: TIME.expected,
};
const NAMES_MEMBER: Member = { isValid: isNames, expected: 'a list of names: ["page", "lang"]' };

const FILE_MEMBERS: Readonly<Record<string, Member>> = {
  maxAge: TIME_MEMBER,
  stale: TIME_MEMBER,
  query: {
    isValid: (value) => value === "all" || isNames(value),
    expected: `"all", or ${NAMES_MEMBER.expected}`,
  },
  ignoreQuery: NAMES_MEMBER,
  cookies: NAMES_MEMBER,
};

// The report of a worker has the policy itself, in which `null` stands for members that the handler left out.
const MS_MEMBER: Member = {
  isValid: (value) => value === null || (Number.isSafeInteger(value) && Number(value) >= 0),
  expected: "whole milliseconds",
};

const HANDLER_MEMBERS: Readonly<Record<string, Member>> = {
  maxAgeMs: MS_MEMBER,
  staleMs: MS_MEMBER,
  query: { ...NAMES_MEMBER, isValid: (value) => value === null || isNames(value) },
  ignoreQuery: NAMES_MEMBER,
  cookies: NAMES_MEMBER,
};

function findProblem(
  value: Readonly<Record<string, unknown>>,
  members: Readonly<Record<string, Member>>,
): { key: string; value: unknown; expected: string } | null {
  for (const [name, each] of Object.entries(value)) {
    const member = Object.hasOwn(members, name) ? members[name] : undefined;
    const key = `.${name}`;
    if (member === undefined) {
      return { key, value: each, expected: `one of ${Object.keys(members).join(", ")}` };
    }
    if (each !== undefined && !member.isValid(each)) {
      return { key, value: each, expected: member.expected };
    }
  }
  return null;
}

/** Names of parameters and cookies. Text with `&`, `=`, `;` or spaces matches none. */
function isNames(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.every((name) => typeof name === "string" && /^[^\s&=;,#]+$/.test(name))
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The effect of a reload on stored answers: "drop", "keep", or a list of tags, also as one text with commas. */
export function cacheReload(): SettingType<string | readonly string[], CacheReload> {
  return {
    placeholder: "drop|keep|TAGS",
    expected: '"drop", "keep", or tags such as "pages,menu"',
    parse: (value) => {
      if (value === "drop" || value === "keep") return { value };
      const tags = typeof value === "string" ? value.split(",").map((tag) => tag.trim()) : value;
      return isTags(tags) ? { value: Object.freeze([...tags]) } : null;
    },
    inHandler: null,
  };
}

function isTags(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isTag);
}

function isTag(tag: unknown): boolean {
  return typeof tag === "string" && /^[!-~]+$/.test(tag);
}
