import type { OwnValues } from "../own-flags.ts";
import { isMethod, isUrlOrPath, parseFields } from "../parse-question.ts";

/** A request for a handler, as the command line has it. */
export interface FetchWish {
  method: string;
  /** A URL, or a path alone. */
  url: string;
  fields: [string, string][];
  /** Texts, and files as `@name`, which are joined with `&`; `null`: no body. */
  data: readonly string[] | null;
  /** The head of the answer is printed, too. */
  include: boolean;
}

/** Parses the words after `fetch` and its flags. `problems` has one line for each mistake. */
export function parseFetch(
  words: readonly string[],
  own: OwnValues,
): { wish: FetchWish; problems: string[] } {
  const { fields, problems } = parseFields(own);
  const [url = ""] = words;
  if (words.length === 0 || !isReadable(url)) {
    const found = words.length === 0 ? "nothing" : `"${url}"`;
    problems.unshift(
      `Cannot run fetch: found ${found}, expected a path or a URL: /users/7, https://example.com/users/7`,
    );
  }
  const data = own["data"] ?? null;
  const method = own["request"]?.at(-1) ?? (data === null ? "GET" : "POST");
  if (!isMethod(method)) {
    problems.push(`Cannot use --request: found "${method}", expected a method such as PUT`);
  }
  return { wish: { method, url, fields, data, include: own["include"] !== undefined }, problems };
}

function isReadable(url: string): boolean {
  return isUrlOrPath(url) && URL.canParse(url.startsWith("/") ? `http://localhost${url}` : url);
}
