import type { FieldOf } from "../http/conditional.ts";
import {
  type Directive,
  parseResponseDirectives,
  type ResponseDirectives,
  toResponseDirectives,
} from "./directives.ts";

/** The directives that a cache follows, and the field that they come from. */
export interface FoundDirectives {
  directives: ResponseDirectives;
  /** `true`: `cache-control` and `expires` do not count (RFC 9213 section 2.2). */
  isTargeted: boolean;
}

/**
 * Finds the directives for this cache: those of the first targeted field that is valid and not empty, otherwise those of
 * `cache-control` (RFC 9213 section 2.2).
 *
 * @param targets Names of targeted fields, the strongest first.
 */
export function findDirectives(field: FieldOf, targets: readonly string[]): FoundDirectives {
  for (const name of targets) {
    const value = field(name);
    const isThere = value !== undefined && value.trim() !== "";
    const members = isThere ? parseDictionary(value) : null;
    if (members !== null) {
      return { directives: toResponseDirectives(members), isTargeted: true };
    }
  }
  return { directives: parseResponseDirectives(field("cache-control")), isTargeted: false };
}

const WITH_SECONDS = new Set(["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"]);
const WITH_NAMES = new Set(["private", "no-cache"]);

/**
 * Parses a dictionary of structured fields (RFC 8941 section 4.2.2) into directives. Of two members with one name the last
 * one counts. Ignores members whose value is not of the type of their directive (RFC 9213 section 2.1): an integer for
 * seconds, a string for names of fields, true for all others.
 *
 * @returns `null` for a value that is no dictionary: the whole field is then ignored.
 */
function parseDictionary(value: string): Directive[] | null {
  const found = new Map<string, Directive | null>();
  let rest = value.replace(/^ +/, "").replace(/ +$/, "");
  while (rest !== "") {
    const match = DICTIONARY_MEMBER.exec(rest);
    if (match === null) return null;
    const [whole, key = "", item] = match;
    // The last member keeps its place in the order of a map only if the former one is removed.
    found.delete(key);
    found.set(key, toDirective(key, item));
    rest = rest.slice(whole.length);
    if (rest === "") break;
    const comma = /^[ \t]*,[ \t]*/.exec(rest);
    if (comma === null) return null;
    rest = rest.slice(comma[0].length);
    // A comma at the end is an error.
    if (rest === "") return null;
  }
  return [...found].flatMap(([, directive]) => (directive === null ? [] : [directive]));
}

const KEY = "[a-z*][a-z0-9_\\-.*]*";
const BARE_ITEM = [
  "-?\\d{1,12}\\.\\d{1,3}",
  "-?\\d{1,15}",
  '"(?:[\\x20-\\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\["\\\\])*"',
  "[A-Za-z*][!#$%&'*+\\-.^_`|~0-9A-Za-z:/]*",
  ":[A-Za-z0-9+/=]*:",
  "\\?[01]",
].join("|");
const PARAMETERS = `(?:; *${KEY}(?:=(?:${BARE_ITEM}))?)*`;
const INNER_LIST = `\\( *(?:(?:${BARE_ITEM})${PARAMETERS}(?: +(?:${BARE_ITEM})${PARAMETERS})*)? *\\)`;
const DICTIONARY_MEMBER = new RegExp(`^(${KEY})(?:=(${INNER_LIST}|${BARE_ITEM}))?${PARAMETERS}`);

function toDirective(key: string, item: string | undefined): Directive | null {
  if (WITH_SECONDS.has(key)) return item !== undefined && /^\d+$/.test(item) ? [key, item] : null;
  if (item === undefined || item === "?1") return [key, null];
  if (WITH_NAMES.has(key) && item.startsWith('"')) return [key, item.slice(1, -1)];
  return null;
}
