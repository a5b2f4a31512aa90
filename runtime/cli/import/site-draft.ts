import { Section, type Value } from "./section.ts";

/** Actions that all rules which hold add to: where two rules have one, the later one wins. */
const MERGED = new Set([
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

const CONDITIONS = ["path", "method", "host", "header", "query", "address", "scheme"];

interface RuleDraft {
  rule: Section;
  /** Lower ones are chosen first. */
  rank: number;
}

/** A site under construction. Its rules get their order when it is complete. */
export class SiteDraft {
  readonly section: Section;
  /** Host names, the first one as the name of the site. */
  readonly names: readonly string[];
  /** The rule for all paths. */
  readonly base: Section = new Section();
  readonly #rules: RuleDraft[] = [];
  /** Commands that make links to further folders of files. */
  readonly links: string[] = [];

  constructor(names: readonly string[], section: Section) {
    this.names = names;
    this.section = section;
  }

  /** Adds the rule of a location. */
  add(rule: Section, rank: number): void {
    this.#rules.push({ rule, rank });
  }

  /**
   * Puts the rules into the section. Where only one rule can answer, the first wins: paths that Nginx chooses first come
   * first. Of rules that add up, the last wins: they are split off where two of them have one key.
   */
  finish(): void {
    const drafts = this.#rules
      .filter(({ rule }) => hasActions(rule) || rule.notes.length > 0)
      .toSorted((a, b) => a.rank - b.rank)
      .map(({ rule }) => rule);
    const all = [
      ...drafts,
      ...(hasActions(this.base) || this.base.notes.length > 0 ? [this.base] : []),
    ];
    const split = all.map((rule) =>
      clashes(rule, all) ? splitRule(rule) : { merged: null, rest: rule },
    );
    // The most general ones first.
    const merged = split.map((parts) => parts.merged).filter((rule) => rule !== null);
    const rest = split.map((parts) => parts.rest).filter((rule) => hasActions(rule));
    const notes = all.filter((rule) => !hasActions(rule)).flatMap((rule) => rule.notes);
    this.section.notes.push(...notes);
    const rules: Value[] = [...merged.toReversed(), ...rest];
    if (rules.length > 0) this.section.set("rules", rules);
  }
}

/** Tells whether a rule does something. */
function hasActions(rule: Section): boolean {
  return [...rule.members.keys()].some((key) => !CONDITIONS.includes(key));
}

/** Tells whether another rule sets the same field, or has the same action. */
function clashes(rule: Section, all: readonly Section[]): boolean {
  const own = keysOf(rule);
  return all.some((other) => other !== rule && keysOf(other).some((key) => own.includes(key)));
}

function keysOf(rule: Section): string[] {
  return [...rule.members].flatMap(([key, value]) => {
    if (!MERGED.has(key)) return [];
    return value instanceof Section
      ? [...value.members.keys()].map((name) => `${key} ${name}`)
      : [key];
  });
}

function splitRule(rule: Section): { merged: Section | null; rest: Section } {
  const merged = new Section();
  const rest = new Section();
  for (const [key, value] of rule.members) {
    if (CONDITIONS.includes(key) || MERGED.has(key)) merged.set(key, value);
    if (CONDITIONS.includes(key) || !MERGED.has(key)) rest.set(key, value);
  }
  (hasActions(rest) ? rest : merged).notes.push(...rule.notes);
  return { merged, rest };
}
