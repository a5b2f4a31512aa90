/** The target of a redirect or of a rewrite, with parameters of a path pattern. */
export interface PathTemplate {
  /** Texts and names of parameters by turns, text first. */
  readonly path: readonly string[];
  /** The query without its `?`, likewise; `null`: none. */
  readonly query: readonly string[] | null;
  /** With its `#`, or empty. */
  readonly fragment: string;
}

export const TEMPLATE_EXPECTED =
  'a path such as "/new/:id", or a URL such as "https://example.com/"';

/**
 * Parses the target of a redirect.
 *
 * `:name` stands for the parameter of this name, `:splat` for that of `**`. A query at its end that is only `?` drops the
 * query of the request.
 *
 * @param names Parameters of the pattern.
 * @returns The end of a sentence "found x, expected ..." for text that is no target.
 */
export function parsePathTemplate(
  text: string,
  names: readonly string[],
): PathTemplate | { expected: string } {
  const [, start = "", path = "", query, fragment = ""] =
    /^(https?:\/\/[^/?#:@]+(?::\d+)?)?([^?#]*)(\?[^#]*)?(#.*)?$/.exec(text) ?? [];
  const isPath = start === "" ? path.startsWith("/") : path === "" || path.startsWith("/");
  // Browsers take "//" at the start, and "/\", for another host.
  const isOther = start === "" && /^\/[/\\]/.test(path);
  if (!isPath || isOther || !/^[!-[\]-~]*$/.test(text) || !isOrigin(start)) {
    return { expected: TEMPLATE_EXPECTED };
  }
  const unknown = [...text.slice(start.length).matchAll(/\/:([A-Za-z_]\w*)/g)].find(
    ([, name = ""]) => !names.includes(name),
  );
  if (unknown !== undefined) {
    const known = names.map((name) => `:${name}`).join(", ");
    return {
      expected: `${known === "" ? "none" : known} as parameters, since its path has no other`,
    };
  }
  const [first = "", ...others] = split(path === "" ? "/" : path, names);
  return {
    path: [start + first, ...others],
    query: query === undefined ? null : split(query.slice(1), names),
    fragment,
  };
}

/**
 * Fills a template.
 *
 * @param values Encoded as in a path, by name.
 * @param search The query of the request with its `?`, or empty.
 * @returns A target of the same site begins with exactly one slash.
 */
export function fillTemplate(
  { path, query, fragment }: PathTemplate,
  values: Readonly<Record<string, string>>,
  search: string,
): string {
  const filled = fill(path, (name) => values[name] ?? "");
  // A parameter may begin with a slash: `/old//evil.example`.
  const target = filled.startsWith("/") ? filled.replace(/^\/{2,}/, "/") : filled;
  return target + fillQuery(query, values, search) + fragment;
}

function fillQuery(
  query: PathTemplate["query"],
  values: Readonly<Record<string, string>>,
  search: string,
): string {
  if (query === null) return search;
  const own = fill(query, (name) => (values[name] ?? "").replace(/[&=+]/g, encodeURIComponent));
  if (own === "") return "";
  return search.length > 1 ? `?${own}&${search.slice(1)}` : `?${own}`;
}

function fill(parts: readonly string[], valueOf: (name: string) => string): string {
  let filled = "";
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at] ?? "";
    filled += at % 2 === 0 ? part : valueOf(part);
  }
  return filled;
}

/** Splits a text at the parameters that it names: texts and names by turns. */
function split(text: string, names: readonly string[]): string[] {
  const parts: string[] = [""];
  let end = 0;
  for (const { 0: found, 1: name = "", index } of text.matchAll(/:([A-Za-z_]\w*)/g)) {
    if (!names.includes(name)) continue;
    parts[parts.length - 1] += text.slice(end, index);
    parts.push(name, "");
    end = index + found.length;
  }
  parts[parts.length - 1] += text.slice(end);
  return parts;
}

function isOrigin(start: string): boolean {
  if (start === "") return true;
  try {
    return new URL(start).origin !== "null";
  } catch {
    return false;
  }
}
