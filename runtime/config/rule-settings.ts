import { ADDRESS_RANGE_EXPECTED, isAddressRange } from "../lib/address-ranges.ts";
import { parsePathPattern } from "../lib/path-pattern.ts";
import { toHostName, HOST_NAME_EXPECTED } from "./host-name.ts";
import { ACTION_NAMES, readActions, type RuleActions } from "./rule-actions.ts";
import { isRecord, readTexts, type Refuse, refuseUnknown, TOKEN } from "./rule-reader.ts";

/** A rule after its check. Plain data: the primary compiles it (`rules/compile-rules.ts`). */
export interface RuleSetting extends RuleActions {
  /** Key path for messages: `rules[3]`. */
  readonly key: string;
  readonly when: RuleConditions;
}

/** The requests for which a rule holds. All conditions must be true; `null`: any. */
export interface RuleConditions {
  /** Patterns of `lib/path-pattern.ts`, at least one. */
  readonly paths: readonly string[] | null;
  /** The patterns are those of `_headers` and `_redirects`. */
  readonly isFromFile?: true;
  /** In upper case. A rule for GET is also for HEAD. */
  readonly methods: readonly string[] | null;
  /** Names in lower case without a port; `*.example.com`: any name with one label more. */
  readonly hosts: readonly string[] | null;
  /** By field name in lower case. */
  readonly fields: readonly ValueCondition[];
  readonly query: readonly ValueCondition[];
  /** Addresses and CIDR ranges. */
  readonly addresses: readonly string[] | null;
  readonly scheme: "http" | "https" | null;
}

/** `true`: the name must be there. `false`: it must not. Otherwise its value, in which `*` stands for any characters. */
export interface ValueCondition {
  readonly name: string;
  readonly value: string | boolean;
}

const CONDITION_NAMES = ["path", "method", "host", "header", "query", "address", "scheme"];

/** The place of a list of rules in the config. */
export interface RulesPlace {
  /** `rules`, or `sites["example.com"].rules`. */
  readonly key: string;
  /** Folder of the config file: paths of files are relative to it. */
  readonly folder: string;
  readonly refuse: Refuse;
}

/** Checks the key `rules`, of the server or of a site. */
export function readRules(value: unknown, { key, folder, refuse }: RulesPlace): RuleSetting[] {
  if (!Array.isArray(value)) {
    refuse(key, value, 'a list of rules: [{ path: "/old", redirect: "/new" }]');
    return [];
  }
  return value.flatMap((rule: unknown, index) => {
    const setting = readRule(rule, { key: `${key}[${index}]`, folder, refuse });
    return setting === null ? [] : [setting];
  });
}

function readRule(rule: unknown, place: RulesPlace): RuleSetting | null {
  const { key, refuse } = place;
  if (!isRecord(rule)) {
    refuse(key, rule, 'an object: { path: "/old", redirect: "/new" }');
    return null;
  }
  refuseUnknown(rule, [...CONDITION_NAMES, ...ACTION_NAMES], { key, refuse });
  const hasAction = ACTION_NAMES.some((name) => rule[name] !== undefined);
  if (!hasAction) refuse(key, rule, `an action: ${ACTION_NAMES.join(", ")}`);
  const when = readConditions(rule, key, refuse);
  return { key, when, ...readActions(rule, { ...place, when }) };
}

function readConditions(
  rule: Readonly<Record<string, unknown>>,
  key: string,
  refuse: Refuse,
): RuleConditions {
  const list = (
    name: string,
    expected: string,
    parse: (text: string) => string | { expected: string } | null,
  ): string[] | null => {
    const value = rule[name];
    const place = { key: `${key}.${name}`, refuse, expected, parse };
    return value === undefined ? null : readTexts(value, place);
  };
  const scheme = rule["scheme"] ?? null;
  const isScheme = scheme === null || scheme === "http" || scheme === "https";
  if (!isScheme) refuse(`${key}.scheme`, scheme, '"http" or "https"');
  return {
    paths: list("path", 'a path such as "/about"', (text) => {
      const pattern = parsePathPattern(text);
      return "expected" in pattern ? pattern : text;
    }),
    methods: list("method", 'a method such as "POST"', (text) =>
      TOKEN.test(text) ? text.toUpperCase() : null,
    ),
    hosts: list("host", HOST_NAME_EXPECTED, toHostName),
    fields: readValues(rule["header"], `${key}.header`, refuse).map(({ name, value }) => {
      if (!TOKEN.test(name)) refuse(`${key}.header`, name, "names of header fields");
      return { name: name.toLowerCase(), value };
    }),
    query: readValues(rule["query"], `${key}.query`, refuse),
    addresses: list("address", ADDRESS_RANGE_EXPECTED, (text) =>
      isAddressRange(text) ? text : null,
    ),
    scheme: isScheme ? scheme : null,
  };
}

function readValues(value: unknown, key: string, refuse: Refuse): ValueCondition[] {
  if (value === undefined) return [];
  if (!isRecord(value)) {
    refuse(key, value, 'an object: { "x-api-version": "2" }');
    return [];
  }
  return Object.entries(value).flatMap(([name, each]) => {
    if (typeof each === "string" || typeof each === "boolean") return [{ name, value: each }];
    refuse(`${key}[${JSON.stringify(name)}]`, each, "a text, or true (present) or false (absent)");
    return [];
  });
}
