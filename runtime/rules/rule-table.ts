import type { RuleConditions, ValueCondition } from "../config/rule-settings.ts";
import { findField } from "../http/find-field.ts";
import type { Client } from "../http/client.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { createAddressRanges } from "../lib/address-ranges.ts";
import {
  matchesPattern,
  parsePathPattern,
  parseSplatPattern,
  type PathPattern,
} from "../lib/path-pattern.ts";

/**
 * Finds the rules that hold for a request.
 *
 * @param key Of `toRuleKey`.
 * @param found Empty. Gets the numbers of the rules.
 */
export type RuleTable = (
  key: string,
  request: { client: Client; target: ParsedTarget },
  found: number[],
) => void;

/**
 * Compiles the conditions of rules, in their order.
 *
 * Most rules are found without looking at the others: those with one path of their own by that path, those whose paths
 * have a static first segment by that segment.
 */
export function createRuleTable(rules: readonly RuleConditions[]): RuleTable {
  const compiled = rules.map((rule, number) => compileRule(rule, number));
  const anywhere = compiled.filter(({ firsts }) => firsts.includes(null));
  const wild = compiled.filter(({ isExact }) => !isExact);
  const bySegment = new Map<string, readonly CompiledRule[]>();
  const byPath = new Map<string, CompiledRule[]>();
  for (const rule of compiled) {
    for (const { kind, prefix, first } of rule.patterns ?? []) {
      if (kind === "exact") {
        const key = prefix === "" ? "/" : prefix;
        const own = byPath.get(key) ?? wild.filter((other) => matchesPath(other, key));
        if (!own.includes(rule)) own.push(rule);
        byPath.set(key, own);
      }
      if (first === null || bySegment.has(first)) continue;
      // Rules for exact paths are found by the path.
      const near = wild.filter(({ firsts }) => firsts.includes(null) || firsts.includes(first));
      bySegment.set(first, near);
    }
  }
  for (const own of byPath.values()) own.sort((a, b) => a.number - b.number);
  return (key, request, found) => {
    const own = byPath.get(key);
    if (own !== undefined) {
      for (const rule of own) if (holds(rule, request)) found.push(rule.number);
      return;
    }
    const near = bySegment.get(firstSegmentOf(key)) ?? anywhere;
    for (const rule of near) {
      if (matchesPath(rule, key) && holds(rule, request)) found.push(rule.number);
    }
  };
}

interface CompiledRule {
  number: number;
  /** `null`: every path. */
  patterns: readonly PathPattern[] | null;
  /** The first segments of its paths; `null`: any. */
  firsts: readonly (string | null)[];
  /** All its paths are without wildcards. */
  isExact: boolean;
  conditions: readonly Condition[];
}

type Condition = (client: Client, target: ParsedTarget) => boolean;

function compileRule(rule: RuleConditions, number: number): CompiledRule {
  const patterns = toPatterns(rule);
  return {
    number,
    patterns,
    firsts: patterns?.map(({ first, kind }) => (kind === "exact" ? (first ?? "") : first)) ?? [
      null,
    ],
    isExact: patterns?.every(({ kind }) => kind === "exact") ?? false,
    conditions: toConditions(rule),
  };
}

/**
 * Returns the patterns of a rule; `null`: it is for every path.
 *
 * @throws TypeError for text that the check of the config refuses.
 */
export function toPatterns({ paths, isFromFile }: RuleConditions): PathPattern[] | null {
  const parse = isFromFile === true ? parseSplatPattern : parsePathPattern;
  return (
    paths?.map((text) => {
      const pattern = parse(text);
      if ("expected" in pattern) throw new TypeError(`no pattern: ${text}`);
      return pattern;
    }) ?? null
  );
}

function firstSegmentOf(key: string): string {
  const end = key.indexOf("/", 1);
  return end === -1 ? key.slice(1) : key.slice(1, end);
}

function matchesPath({ patterns }: CompiledRule, key: string): boolean {
  if (patterns === null) return true;
  for (const pattern of patterns) if (matchesPattern(pattern, key)) return true;
  return false;
}

function holds(
  { conditions }: CompiledRule,
  { client, target }: { client: Client; target: ParsedTarget },
): boolean {
  for (const condition of conditions) if (!condition(client, target)) return false;
  return true;
}

/** Returns the conditions beside the path, the cheap ones first. */
function toConditions(rule: RuleConditions): Condition[] {
  const { methods, scheme, hosts, addresses, fields, query } = rule;
  const conditions: Condition[] = [];
  if (methods !== null) {
    const all = new Set(methods.includes("GET") ? [...methods, "HEAD"] : methods);
    conditions.push(({ head }) => all.has(head.method));
  }
  if (scheme !== null) conditions.push(({ head }) => schemeOf(head.origin) === scheme);
  if (hosts !== null) {
    const isHost = toHostTest(hosts);
    conditions.push(({ head }) => isHost(hostnameOf(head.origin)));
  }
  if (addresses !== null) {
    const ranges = createAddressRanges(addresses);
    conditions.push(({ head }) => ranges.has(head.clientAddress));
  }
  for (const condition of fields) {
    const isValue = toValueTest(condition);
    conditions.push(({ head }) => isValue(findField(head.fields, condition.name)));
  }
  for (const condition of query) {
    const isValue = toValueTest(condition);
    conditions.push((_, { search }) => {
      const values = new URLSearchParams(search).getAll(condition.name);
      return values.length === 0 ? isValue(undefined) : values.some(isValue);
    });
  }
  return conditions;
}

/** Returns the scheme of an origin. */
export function schemeOf(origin: string): "http" | "https" {
  return origin.startsWith("https:") ? "https" : "http";
}

/** Returns the host name of an origin, without the port: `example.com`, `[::1]`. */
export function hostnameOf(origin: string): string {
  const host = origin.slice(origin.indexOf("/") + 2);
  const port = host.lastIndexOf(":");
  return port === -1 || host.endsWith("]") ? host : host.slice(0, port);
}

function toHostTest(hosts: readonly string[]): (hostname: string) => boolean {
  const exact = new Set(hosts.filter((host) => !host.startsWith("*")));
  const suffixes = hosts.filter((host) => host.startsWith("*")).map((host) => host.slice(1));
  return (written) => {
    const hostname = written.endsWith(".") ? written.slice(0, -1) : written;
    if (exact.has(hostname)) return true;
    // A wildcard is exactly one label, as in certificates.
    const label = hostname.indexOf(".");
    return label > 0 && suffixes.includes(hostname.slice(label));
  };
}

function toValueTest({ value }: ValueCondition): (found: string | undefined) => boolean {
  if (typeof value === "boolean") return (found) => (found !== undefined) === value;
  if (!value.includes("*")) return (found) => found === value;
  const parts = value.split("*");
  return (found) => found !== undefined && matchesParts(found, parts);
}

/** Tells whether a text has these parts in their order, the first at its start and the last at its end. */
function matchesParts(text: string, parts: readonly string[]): boolean {
  const [start = ""] = parts;
  const end = parts.at(-1) ?? "";
  if (!text.startsWith(start) || !text.endsWith(end)) return false;
  let at = start.length;
  const last = text.length - end.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= last;
}
