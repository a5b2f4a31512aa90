import { parseSplatPattern } from "../lib/path-pattern.ts";
import { describeFieldProblem } from "./field-syntax.ts";
import { toHostName } from "./host-name.ts";
import type { ReportLine } from "./rule-files.ts";
import type { RuleConditions, RuleSetting } from "./rule-settings.ts";

/** A rule that changes fields of replies. */
export type HeadersRule = RuleSetting;

/** Bounds of a file. A larger file was hardly written as `_headers`. Cloudflare Pages takes 100 rules. */
const MOST_RULES = 1_000;
const MOST_CHARACTERS = 2_000;

/** Netlify's word for a password. Sent as a field, it would tell every client the password. */
const BASIC_AUTH = "basic-auth";

/** Parses `_headers`: paths at the start of a line, and below each its fields. `! Name` takes a field away. */
export function parseHeadersFile(text: string, report: ReportLine): HeadersRule[] {
  const rules: {
    key: string;
    when: RuleConditions;
    fields: Map<string, string[]>;
    removed: string[];
  }[] = [];
  let isUsable = true;
  text.split(/\r?\n/).forEach((raw, index) => {
    const line = raw.trim();
    const number = index + 1;
    if (line === "" || line.startsWith("#")) return;
    if (line.length > MOST_CHARACTERS) {
      report(number, line, `at most ${MOST_CHARACTERS} characters`);
      return;
    }
    if (/^(?:\/|https?:\/\/)/.test(line)) {
      const when = parsePlace(line);
      isUsable = !("expected" in when);
      if ("expected" in when) report(number, line, when.expected);
      else rules.push({ key: `_headers:${number}`, when, fields: new Map(), removed: [] });
      if (rules.length === MOST_RULES + 1) report(number, line, `at most ${MOST_RULES} rules`);
      return;
    }
    const rule = rules.at(-1);
    // The path above this line was reported already.
    if (!isUsable) return;
    if (rule === undefined) {
      report(number, line, 'a path such as "/*" before the first field');
      return;
    }
    const [, removed] = /^! *(\S+)$/.exec(line) ?? [];
    const colon = line.indexOf(":");
    const name = (removed ?? line.slice(0, colon)).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    const problem = describeFieldProblem(name, value);
    if (removed === undefined && colon < 1)
      report(number, line, 'a field such as "X-Robots-Tag: noindex"');
    else if (name === BASIC_AUTH) report(number, name, "basicAuth of a rule in the config file");
    else if (problem !== null && removed === undefined) report(number, line, problem);
    else if (removed !== undefined) rule.removed.push(name);
    else rule.fields.set(name, [...(rule.fields.get(name) ?? []), value]);
  });
  return rules.map(({ key, when, fields, removed }) => ({
    key,
    when,
    removeFields: removed,
    joinFields: Object.fromEntries(fields),
  }));
}

/** Returns the conditions of a path or of a URL. */
export function parsePlace(text: string): RuleConditions | { expected: string } {
  const [, scheme = null, authority = "", path = ""] =
    /^(?:(https?):\/\/([^/]*))?(\/.*)?$/.exec(text) ?? [];
  const host = scheme === null ? null : toHostName(authority.replace(/:\d+$/, ""));
  if (scheme !== null && (host === null || host.startsWith("*"))) {
    return { expected: "a host name without placeholders" };
  }
  const pattern = parseSplatPattern(path === "" ? "/" : path);
  if ("expected" in pattern) return pattern;
  return {
    paths: [path === "" ? "/" : path],
    isFromFile: true,
    methods: null,
    hosts: host === null ? null : [host],
    fields: [],
    query: [],
    addresses: null,
    scheme: scheme === "http" || scheme === "https" ? scheme : null,
  };
}
