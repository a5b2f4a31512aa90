import type { Directive } from "./parse-nginx.ts";
import type { LocationMatch, Rank } from "./nginx-patterns.ts";
import { compareRanks, isWithin } from "./nginx-patterns.ts";
import { switchOffAccess } from "./nginx-access.ts";
import type { Report } from "./report.ts";
import { findOne, type Scope } from "./scope.ts";
import { Section, type Value } from "./section.ts";
import { orderRules } from "./order-rules.ts";

/** A location, or another block that becomes a rule. */
export interface RuleDraft {
  readonly rule: Section;
  readonly rank: Rank;
  /** The location; `undefined`: the rule comes from a line in one. */
  readonly location?: { directive: Directive; scope: Scope; match: LocationMatch };
}

export interface SiteDraftOptions {
  /** Host names, the first one as the name of the site. */
  names: readonly string[];
  section: Section;
  /** The folder of its files; `null`: the server names none. */
  publicFolder: string | null;
  /** Its proxies have fields `Cache-Control`, so rules have all of these fields. */
  hasControlOfProxies: boolean;
  /** Paths of error pages. */
  errorPaths: readonly string[];
}

/** A site under construction. Its rules get their order when it is complete. */
export class SiteDraft {
  readonly names: readonly string[];
  readonly section: Section;
  readonly publicFolder: string | null;
  readonly hasControlOfProxies: boolean;
  readonly errorPaths: readonly string[];
  /** The rule for all paths. */
  readonly base: Section = new Section();
  readonly #rules: RuleDraft[] = [];
  readonly #controls: { pattern: string; value: string; rank: Rank }[] = [];
  #httpsLine: Directive | null = null;
  #refusesScripts = false;

  constructor(options: SiteDraftOptions) {
    this.names = options.names;
    this.section = options.section;
    this.publicFolder = options.publicFolder;
    this.hasControlOfProxies = options.hasControlOfProxies;
    this.errorPaths = options.errorPaths;
  }

  /** Line that sends clients to HTTPS; `null`: none does. */
  get httpsLine(): Directive | null {
    return this.#httpsLine;
  }

  add(draft: RuleDraft): void {
    this.#rules.push(draft);
  }

  /** Sets `cacheControl` of files. Patterns that Nginx chooses first come first. */
  addCacheControl(pattern: string, value: string, rank: Rank): void {
    this.#controls.push({ pattern, value, rank });
  }

  redirectToHttps(line: Directive): void {
    this.#httpsLine ??= line;
    this.section.set("httpsRedirect", true);
  }

  /** Keeps clients from scripts of PHP, which would be files here. */
  refuseScripts(): void {
    this.#refusesScripts = true;
  }

  /**
   * Puts the rules into the section, in their order.
   *
   * @param outer The rule of the block around the server; `null`: it is not among the rules of this site.
   */
  finish(outer: Section | null, report: Report): void {
    for (const { pattern, value } of this.#controls.toSorted((a, b) =>
      compareRanks(a.rank, b.rank),
    )) {
      const controls = this.section.child("cacheControl");
      if (controls.get(pattern) === undefined) controls.set(pattern, value);
    }
    const drafts = this.#rules.toSorted((a, b) => compareRanks(a.rank, b.rank));
    for (const draft of drafts) this.#separate(draft, { drafts, report });
    const own = drafts.map(({ rule }) => rule);
    const scripts = this.#refusesScripts ? [toScriptRule()] : [];
    const { rules, notes } = orderRules([
      ...own,
      ...scripts,
      this.base,
      ...(outer === null ? [] : [outer]),
    ]);
    this.section.notes.push(...notes);
    const all: Value[] = rules;
    if (all.length > 0) this.section.set("rules", all);
  }

  /** Keeps the actions of a location from other locations within its paths, which Nginx chooses instead. */
  #separate(
    outer: RuleDraft,
    { drafts, report }: { drafts: readonly RuleDraft[]; report: Report },
  ): void {
    const { location, rule } = outer;
    if (location === undefined) return;
    const others = drafts.flatMap((draft) =>
      draft.location !== undefined && isWithin(draft.location.match, location.match)
        ? [{ ...draft, location: draft.location }]
        : [],
    );
    for (const other of others) switchOff(rule, other, report);
    const siblings = others.filter((other) => !isInside(other.location.scope, location.scope));
    const limits = LIMITS.filter((name) =>
      location.scope.directives.some((one) => one.name === name),
    );
    const [line] = location.scope.directives.filter(({ name }) => limits.includes(name));
    if (line !== undefined && siblings.length > 0) {
      report.changed(line, `it also holds for ${listPlaces(siblings)}`);
    }
    const dead = others.filter((other) => isHidden(other.rule, other.location.scope));
    const answers = ["respond", "redirect"].filter((key) => rule.get(key) !== undefined);
    if (answers.length === 0 || dead.length === 0) return;
    for (const key of answers) rule.delete(key);
    report.into(rule, () =>
      report.lost(
        location.directive,
        `its answer would come before ${listPlaces(dead)}: write a rule for each path that it is for`,
      ),
    );
  }
}

const LIMITS = ["allow", "deny", "limit_req", "limit_conn"];

/** Actions of a location that a rule for other paths switches off, by their directives. */
const SWITCHES = { basicAuth: "auth_basic", forwardAuth: "auth_request", cache: "proxy_cache" };

function switchOff(
  outer: Section,
  { rule, location }: RuleDraft & { location: NonNullable<RuleDraft["location"]> },
  report: Report,
): void {
  const { match, directive: line } = location;
  for (const [key, directive] of Object.entries(SWITCHES)) {
    if (outer.get(key) === undefined || rule.get(key) !== undefined) continue;
    if (findOne(location.scope, directive) !== null) continue;
    if (key === "basicAuth" || key === "forwardAuth")
      switchOffAccess(rule, key, { match, line, report });
    else rule.set(key, "off");
  }
}

function isInside(scope: Scope, outer: Scope): boolean {
  for (let at = scope.parent; at !== null; at = at.parent) if (at === outer) return true;
  return false;
}

/** Tells whether an answer for more paths would take the place of this location. */
function isHidden(rule: Section, { directives }: Scope): boolean {
  if (rule.get("respond") !== undefined || rule.get("redirect") !== undefined) return false;
  return directives.some(({ name }) => SERVES.has(name));
}

const SERVES: ReadonlySet<string> = new Set([
  "proxy_pass",
  "root",
  "alias",
  "try_files",
  "autoindex",
  "uwsgi_pass",
]);

function listPlaces(drafts: readonly RuleDraft[]): string {
  const places = drafts.map(({ location }) => location?.directive.text ?? "");
  const [first = "", second] = places;
  return places.length === 1
    ? first
    : places.length === 2
      ? `${first} and ${second}`
      : `${first} and others`;
}

function toScriptRule(): Section {
  return new Section({ path: ["/**/*.php", "/*.php/**"], respond: new Section({ status: 501 }) });
}
