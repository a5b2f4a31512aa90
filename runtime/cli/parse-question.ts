import type { Question } from "../control/explanation.ts";
import type { OwnValues } from "./own-flags.ts";

/** A method: RFC 9110 section 9.1. */
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const URL_START = /^(?:https?:\/)?\//i;

/** Parses the arguments of `explain`: `[METHOD] URL`. */
export function parseQuestion(
  words: readonly string[],
  own: OwnValues,
): { question: Question; problems: string[] } {
  const problems: string[] = [];
  const [first = "", second, ...more] = words;
  const [method, url] = second === undefined ? ["GET", first] : [first, second];
  const found = words.length === 0 ? "nothing" : `"${words.join(" ")}"`;
  if (!URL_START.test(url) || !METHOD.test(method) || more.length > 0) {
    problems.push(
      `Cannot run explain: found ${found}, expected a URL, or a method and a URL: GET https://example.com/path`,
    );
  }
  const { fields, problems: ofFields } = parseFields(own);
  problems.push(...ofFields);
  return { question: { method, url, fields, client: own["client"]?.at(-1) ?? null }, problems };
}

/** Tells whether a text may be a method: a token (RFC 9110 section 9.1). */
export function isMethod(text: string): boolean {
  return METHOD.test(text);
}

/** Tells whether a text begins like a URL, or like a path. */
export function isUrlOrPath(text: string): boolean {
  return URL_START.test(text);
}

/** Parses the fields of `-H 'NAME: VALUE'`. */
export function parseFields(own: OwnValues): { fields: [string, string][]; problems: string[] } {
  const problems: string[] = [];
  const fields = (own["header"] ?? []).map((line): [string, string] => {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).trim();
    if (colon === -1 || !METHOD.test(name)) {
      problems.push(`Cannot use --header: found "${line}", expected "NAME: VALUE"`);
    }
    return [name, line.slice(colon + 1).trim()];
  });
  return { fields, problems };
}
