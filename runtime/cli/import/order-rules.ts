import type { Remark } from "./report.ts";
import { Section, type Value } from "./section.ts";

/** Actions that all rules which hold add to: where two rules have one, the later one wins. */
const MERGED: ReadonlySet<string> = new Set([
  "setFields",
  "appendFields",
  "removeFields",
  "accessLog",
  "security",
  "errorPages",
  "setRequestFields",
  "removeRequestFields",
  "bodyLimit",
  "bodyTimeout",
  "sendTimeout",
  "requestTimeout",
  "cache",
]);

const CONDITIONS: ReadonlySet<string> = new Set(
  "path method host header query address scheme".split(" "),
);

/**
 * Orders the rules of a site. Where only one rule can answer, the first wins: paths that Nginx chooses first come first.
 * Of rules that add up, the last wins: they are split off where two of them differ in one key.
 *
 * @param given Those that Nginx chooses first come first.
 * @returns The rules, and the notes of blocks that have no rule.
 */
export function orderRules(given: readonly Section[]): { rules: Section[]; notes: Remark[] } {
  const acting = joinEqual(given.filter(hasActions));
  const split = acting.map((rule) =>
    clashes(rule, acting) ? splitRule(rule) : { merged: null, rest: rule },
  );
  const merged = split.map((parts) => parts.merged).filter((rule) => rule !== null);
  const rest = split.map((parts) => parts.rest).filter(hasActions);
  const notes = given.filter((rule) => !hasActions(rule)).flatMap((rule) => rule.notes);
  // The most general ones first.
  return { rules: [...merged.toReversed(), ...rest], notes };
}

/** Leaves out rules that are the same as an earlier one. */
function joinEqual(rules: readonly Section[]): Section[] {
  const known = new Map<string, Section>();
  for (const rule of rules) {
    const key = JSON.stringify(rule);
    const other = known.get(key);
    if (other === undefined) known.set(key, rule);
    else other.notes.push(...rule.notes);
  }
  return [...known.values()];
}

/** Tells whether a rule does something. */
function hasActions(rule: Section): boolean {
  return [...rule.members.keys()].some((key) => !CONDITIONS.has(key));
}

/** Tells whether another rule sets one of the same fields or settings to another value. */
function clashes(rule: Section, all: readonly Section[]): boolean {
  const own = membersOf(rule);
  return all.some(
    (other) =>
      other !== rule &&
      [...membersOf(other)].some(([key, value]) => own.has(key) && own.get(key) !== value),
  );
}

/** Returns the values of a rule that other rules may overrule, as texts. */
function membersOf(rule: Section): Map<string, string> {
  const members = new Map<string, string>();
  const note = (key: string, value: Value): void => void members.set(key, JSON.stringify(value));
  for (const [key, value] of rule.members) {
    if (!MERGED.has(key)) continue;
    if (value instanceof Section && key !== "cache") {
      for (const [name, inner] of value.members) note(`${key} ${name}`, inner);
    } else note(key, value);
  }
  return members;
}

function splitRule(rule: Section): { merged: Section | null; rest: Section } {
  const merged = new Section();
  const rest = new Section();
  for (const [key, value] of rule.members) {
    if (CONDITIONS.has(key) || MERGED.has(key)) merged.set(key, value);
    if (CONDITIONS.has(key) || !MERGED.has(key)) rest.set(key, value);
  }
  (hasActions(rest) ? rest : merged).notes.push(...rule.notes);
  return { merged: hasActions(merged) ? merged : null, rest };
}
