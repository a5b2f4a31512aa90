import type { PathMatch } from "./nginx-expressions.ts";

/** The target of a redirect or a rewrite in a rule. */
export interface Target {
  /** `path` of the rule; `null`: that of the location. */
  path: string | null;
  to: string;
}

/** The variables that end a target and stand for path and query of the request. */
const REQUEST_URI =
  /\$(?:request_uri|uri(?:\$is_args\$args|\?\$(?:args|query_string))?|document_uri)$/;

const QUERY = /(?:\$is_args\$args|\?\$(?:args|query_string)|\$is_args\$query_string)$/;

/**
 * Returns the target of `return 301 URL` in a rule.
 *
 * @param match The paths of the location; `null`: all.
 * @returns `null`: the URL has a variable that no rule knows.
 */
export function toTarget(url: string, match: PathMatch | null): Target | null {
  // The same scheme and host need no origin.
  let text = url.replace(/^\$scheme:\/\/\$(?:host|http_host|server_name)/, "");
  let path: string | null = null;
  if (REQUEST_URI.test(text)) {
    // The part of a segment has no name.
    path = (match?.path ?? "/**").replace(/\*\/\*\*$/, "/**");
    const own = path.replace(/\/\*\*$/, "/:splat");
    // A path with other wildcards has no whole text of its own.
    if (/[*]|:p\d/.test(own)) return null;
    text = text.replace(REQUEST_URI, own);
  } else if (QUERY.test(text)) {
    text = text.replace(QUERY, "");
  } else if (!text.endsWith("?")) {
    // `return` drops the query of the request; a rule keeps it.
    text = `${text}?`;
  }
  text = fill(text, match?.groups ?? new Map());
  return text.includes("$") || !/^(?:https?:\/\/|\/)/.test(text) ? null : { path, to: text };
}

/** Returns the target of `rewrite EXPRESSION TARGET`; `null`: no rule says the same. */
export function toRewriteTarget(target: string, { groups }: PathMatch): string | null {
  const text = fill(
    target.replace(/^\$scheme:\/\/\$(?:host|http_host)/, "").replace(QUERY, ""),
    groups,
  );
  return text.includes("$") || !/^(?:https?:\/\/|\/)/.test(text) ? null : text;
}

function fill(text: string, groups: ReadonlyMap<string, string>): string {
  const filled = text.replaceAll(/\$(\w+)/g, (whole, name: string) => groups.get(name) ?? whole);
  // A target such as `/$1` of a group with its slash.
  return filled.replace(/(?<!:)\/\/:splat/, "/:splat");
}

/** How a server or a condition sends clients to another scheme or host. */
export type HostRedirect =
  /** To HTTPS at the host of the client, or at this one. */
  { readonly scheme: "https" | "http" | null; readonly host: string | null };

/** Returns the meaning of a URL that keeps path and query: `https://www.example.com$request_uri`. `null`: it is another. */
export function toHostRedirect(url: string, names: readonly string[]): HostRedirect | null {
  const [, scheme, host] =
    /^(https?|\$scheme):\/\/(\$host|\$http_host|\$server_name|[\w.-]+)(?:\$request_uri|\$uri|\/?\$1)(?:\$is_args\$args)?\??$/.exec(
      url,
    ) ?? [];
  if (scheme === undefined || host === undefined) return null;
  const [first = ""] = names;
  const named = host === "$server_name" ? first : host.startsWith("$") ? null : host.toLowerCase();
  return {
    scheme: scheme === "$scheme" ? null : scheme === "https" ? "https" : "http",
    host: named,
  };
}
