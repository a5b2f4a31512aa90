/** A piece of a format of access lines: text, or a variable. */
export type FormatPart = { readonly text: string } | { readonly variable: AccessVariable };

/** A variable: one of the table, or a field of the request. */
export type AccessVariable =
  | { readonly kind: "fact"; readonly name: AccessFact }
  /** Name of the field, in lower case. */
  | { readonly kind: "field"; readonly name: string };

/** The variables that are no fields of the request. Nginx's names, where Nginx has them. */
export const ACCESS_FACTS = [
  "remote_addr",
  "remote_user",
  "time_local",
  "time_iso8601",
  "msec",
  "request",
  "request_method",
  "request_uri",
  "uri",
  "args",
  "server_protocol",
  "scheme",
  "host",
  "status",
  "body_bytes_sent",
  "request_time",
  "request_id",
  "traceparent",
  "worker",
  "upstream_addr",
  "upstream_status",
  "upstream_header_time",
  "upstream_cache_status",
  "limit",
  "pid",
] as const;

export type AccessFact = (typeof ACCESS_FACTS)[number];

/** Nginx's format of the same name, which Apache has, too. */
export const COMBINED_FORMAT =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';

const MOST_CHARACTERS = 1_000;

/** A variable, also in braces, or a dollar sign that begins none. */
const VARIABLE = /\$(?:\{(\w+)\}|(\w+))|\$/g;

/** Control characters, which could end a line. */
// oxlint-disable-next-line no-control-regex -- they are refused
const CONTROL = /[\0-\x1f\x7f-\x9f\u2028\u2029]/;

/** Parses a format. Returns its parts, or the reason for a refusal. */
export function parseAccessFormat(format: string): readonly FormatPart[] | string {
  if (format.length > MOST_CHARACTERS) return `more than ${MOST_CHARACTERS} characters`;
  if (CONTROL.test(format)) return "a control character";
  const parts: FormatPart[] = [];
  let at = 0;
  for (const match of format.matchAll(VARIABLE)) {
    if (match.index > at) parts.push({ text: format.slice(at, match.index) });
    at = match.index + match[0].length;
    const name = match[1] ?? match[2];
    if (name === undefined) return 'a "$" without the name of a variable';
    const variable = toVariable(name);
    if (typeof variable === "string") return variable;
    parts.push({ variable });
  }
  if (at < format.length) parts.push({ text: format.slice(at) });
  return parts.some((part) => "variable" in part) ? parts : "no variable";
}

/** Fields with credentials, which no log has. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
]);

function toVariable(name: string): AccessVariable | string {
  const fact = ACCESS_FACTS.find((each) => each === name);
  if (fact !== undefined) return { kind: "fact", name: fact };
  const [, field] = /^http_([a-z0-9_]+)$/.exec(name) ?? [];
  if (field === undefined) return `$${name}, which is no variable`;
  const dashed = field.replaceAll("_", "-");
  if (SECRET_FIELDS.has(dashed)) return `$${name}, which holds credentials`;
  return { kind: "field", name: dashed };
}
