import { createSecretNames, decode, DEFAULT_SECRET_NAMES } from "../lib/secret-names.ts";

/** Keeps secrets out of logs. JSON access lines use `query` only: they have no fields with credentials, and the user agent as the client sent it. */
export interface Redactor {
  /** Replaces the values of secret parameters in a query. */
  readonly query: (query: string) => string;
  /** Replaces secrets in a text: parameters of addresses, fields with credentials, and bearer tokens. */
  readonly text: (text: string) => string;
  /** Replaces secrets in a line of JSON, at any depth. */
  readonly line: (json: string) => string;
}

const REDACTED = "[redacted]";

/** Names of fields and of members of objects whose values are replaced. */
const SECRET_MEMBERS: ReadonlySet<string> = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "password",
]);

/** Lines without any of these have no secret. */
const SUSPICIOUS = /authorization|cookie|password|bearer|basic|[?&;#][^=&\s"]{1,200}=/i;

/** A parameter in an address. A `;` or `?` that begins no parameter belongs to the value. */
const PARAMETER =
  /([?&;#])([^=&;?#\s"'<>]{1,200})=([^&;?#\s"'<>]*(?:[;?](?![^=&;?#\s"'<>]*=)[^&;?#\s"'<>]*)*)/g;

/** A field with its value up to the end of the line or of a quote: `Cookie: a=b`, `"authorization": "Basic x"`. */
const FIELD =
  /(?<![A-Za-z])((?:proxy-)?authorization|(?:set-)?cookie)(["']?\s*[:=]\s*["']?|\n)([^\r\n"']+)/gi;

/** A token of a scheme. A word without digit, upper case or punctuation is none. */
const SCHEME = /\b([Bb]earer|[Bb]asic)\s+(?=[\w.~+/-]*[\dA-Z=.])[\w.~+/=-]{6,}/g;

/** @param names Setting `redactQuery`. */
export function createRedactor(names: readonly string[] = DEFAULT_SECRET_NAMES): Redactor {
  const isSecret = createSecretNames(names);

  function query(given: string): string {
    if (!given.includes("=")) return given;
    return given
      .split("&")
      .map((pair) => {
        const equals = pair.indexOf("=");
        if (equals === -1) return pair;
        const name = pair.slice(0, equals);
        if (isSecret(name) || hidesSecret(pair)) return `${name}=${REDACTED}`;
        return pair.includes("?") ? text(pair) : pair;
      })
      .join("&");
  }

  function text(given: string): string {
    if (!SUSPICIOUS.test(given)) return given;
    return given
      .replace(PARAMETER, (all, before: string, name: string, held: string) =>
        isSecret(name) || hidesSecret(held) ? `${before}${name}=${REDACTED}` : all,
      )
      .replace(FIELD, (_, name: string, between: string) => `${name}${between}${REDACTED}`)
      .replace(SCHEME, (_, scheme: string) => `${scheme} ${REDACTED}`);
  }

  /** Tells whether a value is an encoded address with a secret parameter: `next=%2Fa%3Ftoken%3Db`. */
  function hidesSecret(encoded: string): boolean {
    if (!/%3d/i.test(encoded)) return false;
    const decoded = decode(encoded);
    return text(decoded) !== decoded;
  }

  function value(given: unknown): unknown {
    if (typeof given === "string") return text(given);
    if (typeof given !== "object" || given === null) return given;
    if (Array.isArray(given)) {
      // Lists of fields have names and values in turn.
      return given.map((item: unknown, at) => (isMember(given[at - 1]) ? REDACTED : value(item)));
    }
    return Object.fromEntries(
      Object.entries(given).map(([name, member]) => [
        name,
        isMember(name) ? REDACTED : value(member),
      ]),
    );
  }

  function line(json: string): string {
    if (!SUSPICIOUS.test(json)) return json;
    try {
      return `${JSON.stringify(value(JSON.parse(json)))}\n`;
    } catch {
      // Not JSON: no logger of this program writes such a line.
      return text(json);
    }
  }

  return { query, text, line };
}

function isMember(name: unknown): boolean {
  return typeof name === "string" && SECRET_MEMBERS.has(name.toLowerCase());
}
