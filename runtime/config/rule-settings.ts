import { ADDRESS_RANGE_EXPECTED, isAddressRange } from "../lib/address-ranges.ts";
import { pickNearest } from "../lib/nearest.ts";
import { parsePathPattern } from "../lib/path-pattern.ts";
import { describeFieldProblem } from "./field-syntax.ts";

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

/** The actions of a rule. A missing member: the rule has no such action. */
export interface RuleActions {
  readonly respond?: RespondSetting;
}

export interface RespondSetting {
  readonly status: number;
  /** Field block. */
  readonly fields: string;
  readonly body: string;
}

/** Reports a wrong value. `expected` ends the sentence "found x, expected ...". */
export type Refuse = (key: string, value: unknown, expected: string) => void;

/** Checks one action. Reports a problem and returns `null`, or returns the checked value. */
type ActionReader<Setting> = (value: unknown, key: string, refuse: Refuse) => Setting | null;

/** One reader for each action. A new action has an entry here, and one in `rules/kinds.ts`. */
const ACTIONS: {
  readonly [Name in keyof RuleActions]-?: ActionReader<Required<RuleActions>[Name]>;
} = { respond: readRespond };

const ACTION_NAMES = Object.keys(ACTIONS);

const CONDITION_NAMES = ["path", "method", "host", "header", "query", "address", "scheme"];

/** Checks the key `rules`, of the server or of a site. */
export function readRules(value: unknown, key: string, refuse: Refuse): RuleSetting[] {
  if (!Array.isArray(value)) {
    refuse(key, value, 'a list of rules: [{ path: "/old", redirect: "/new" }]');
    return [];
  }
  return value.flatMap((rule: unknown, index) => {
    const setting = readRule(rule, `${key}[${index}]`, refuse);
    return setting === null ? [] : [setting];
  });
}

function readRule(rule: unknown, key: string, refuse: Refuse): RuleSetting | null {
  if (!isRecord(rule)) {
    refuse(key, rule, 'an object: { path: "/old", redirect: "/new" }');
    return null;
  }
  const known = [...CONDITION_NAMES, ...ACTION_NAMES];
  for (const name of Object.keys(rule)) {
    if (known.includes(name)) continue;
    const nearest = pickNearest(name, known);
    refuse(`${key}.${name}`, rule[name], nearest === null ? known.join(", ") : `"${nearest}"`);
  }
  const given = ACTION_NAMES.filter((name) => rule[name] !== undefined);
  if (given.length === 0) refuse(key, rule, `an action: ${ACTION_NAMES.join(", ")}`);
  const actions = given.map((name) => {
    // The names are the keys of the table.
    const read: ActionReader<unknown> = ACTIONS[name as keyof RuleActions];
    return [name, read(rule[name], `${key}.${name}`, refuse)] as const;
  });
  return {
    key,
    when: readConditions(rule, key, refuse),
    // Each reader returns the type of its action, or has reported a problem.
    ...(Object.fromEntries(actions.filter(([, action]) => action !== null)) as RuleActions),
  };
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
    if (value === undefined) return null;
    const isList = Array.isArray(value);
    const items: readonly unknown[] = isList ? value : [value];
    if (items.length === 0) refuse(`${key}.${name}`, value, expected);
    return items.flatMap((item, at) => {
      const parsed = typeof item === "string" ? parse(item) : null;
      if (typeof parsed === "string") return [parsed];
      const itemKey = isList ? `${key}.${name}[${at}]` : `${key}.${name}`;
      refuse(itemKey, item, parsed?.expected ?? expected);
      return [];
    });
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
    hosts: list("host", 'a host name such as "example.com" or "*.example.com"', (text) =>
      HOST.test(text) ? text.toLowerCase() : null,
    ),
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

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HOST = /^(?:\*\.)?[\w-]+(?:\.[\w-]+)*$|^\[[0-9a-f:.]+\]$/i;

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

const RESPOND_EXPECTED = 'an object: { status: 410, body: "Gone" }';

function readRespond(value: unknown, key: string, refuse: Refuse): RespondSetting | null {
  if (!isRecord(value)) {
    refuse(key, value, RESPOND_EXPECTED);
    return null;
  }
  refuseUnknown(value, ["status", "body", "fields"], { key, refuse });
  const { status = 200, body = "", fields = {} } = value;
  const isStatus = typeof status === "number" && Number.isInteger(status);
  if (!isStatus || status < 200 || status > 599) {
    refuse(`${key}.status`, status, "a whole number from 200 to 599");
    return null;
  }
  if (typeof body !== "string") {
    refuse(`${key}.body`, body, "a text");
    return null;
  }
  const named = { ...(body === "" ? {} : TEXT), ...readFields(fields, `${key}.fields`, refuse) };
  return { status, body, fields: Object.entries(named).flat().join("\n") };
}

const TEXT = { "content-type": "text/plain;charset=UTF-8" };

/** Checks names and values of fields. Returns them by their names in lower case. */
export function readFields(value: unknown, key: string, refuse: Refuse): Record<string, string> {
  if (!isRecord(value)) {
    refuse(key, value, 'an object: { "x-frame-options": "DENY" }');
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

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
