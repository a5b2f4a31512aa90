import { pickNearest } from "../lib/nearest.ts";
import { describeFieldProblem } from "./field-syntax.ts";
import type { RuleConditions } from "./rule-settings.ts";

/** Reports a wrong value. `expected` ends the sentence "found x, expected ...". */
export type Refuse = (key: string, value: unknown, expected: string) => void;

/** The place of an action in the config. */
export interface ActionPlace {
  /** Key path: `rules[3].redirect`. */
  readonly key: string;
  /** The conditions of its rule. */
  readonly when: RuleConditions;
  /** Folder of the config file: paths of files are relative to it. */
  readonly folder: string;
  readonly refuse: Refuse;
}

/** Checks one action. Reports its problems; it may return `null` then, or the valid part. */
export type ActionReader<Setting> = (value: unknown, place: ActionPlace) => Setting | null;

/** The syntax of methods and of field names (RFC 9110 section 5.6.2). */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Reports each key that is not one of these names. */
export function refuseUnknown(
  value: Readonly<Record<string, unknown>>,
  names: readonly string[],
  { key, refuse }: { key: string; refuse: Refuse },
): void {
  for (const name of Object.keys(value)) {
    if (names.includes(name)) continue;
    const nearest = pickNearest(name, names);
    refuse(`${key}.${name}`, value[name], nearest === null ? names.join(", ") : `"${nearest}"`);
  }
}

/** Checks names and values of fields. Returns them by their names in lower case. */
export function readFields(
  value: unknown,
  { key, refuse }: { key: string; refuse: Refuse },
): Record<string, string> {
  if (!isRecord(value)) {
    refuse(key, value, 'an object: { "x-robots-tag": "noindex" }');
    return {};
  }
  const fields = Object.entries(value).flatMap(([name, each]) => {
    const expected = describeFieldProblem(name, each);
    if (expected === null && typeof each === "string") return [[name.toLowerCase(), each]];
    refuse(`${key}[${JSON.stringify(name)}]`, each, expected ?? "a text");
    return [];
  });
  return Object.fromEntries(fields) as Record<string, string>; // Pairs of strings.
}

/** Checks one text, or a list of texts. */
export function readTexts(
  value: unknown,
  {
    key,
    refuse,
    expected,
    parse,
  }: {
    key: string;
    refuse: Refuse;
    expected: string;
    /** Returns the text in its usual form; `null` or the expectation for a wrong one. */
    parse: (text: string) => string | { expected: string } | null;
  },
): string[] {
  const isList = Array.isArray(value);
  const items: readonly unknown[] = isList ? value : [value];
  if (items.length === 0) refuse(key, value, expected);
  return items.flatMap((item, at) => {
    const parsed = typeof item === "string" ? parse(item) : null;
    if (typeof parsed === "string") return [parsed];
    refuse(isList ? `${key}[${at}]` : key, item, parsed?.expected ?? expected);
    return [];
  });
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
