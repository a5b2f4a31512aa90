import { type ActionPlace, isRecord, readTexts, refuseUnknown, TOKEN } from "./rule-reader.ts";
import { duration } from "./setting-types.ts";

/** Answers to requests of pages of other origins (Fetch standard, section 3.3). */
export interface CorsSetting {
  /** Origins, perhaps with `*.` before the host name; `"*"`: any. */
  readonly origins: "*" | readonly string[];
  /** Value of `access-control-allow-methods`. */
  readonly methods: string;
  /** Value of `access-control-allow-headers`; `null`: those that the page asks for. */
  readonly headers: string | null;
  readonly credentials: boolean;
  /** `null`: as browsers do without the field, which is 5 s. */
  readonly maxAgeSeconds: number | null;
  /** Value of `access-control-expose-headers`; `null`: none. */
  readonly expose: string | null;
}

const KEYS = ["origins", "methods", "headers", "credentials", "maxAge", "expose"];

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

const MAX_AGE = duration(0, 24 * 3_600_000);

const ORIGIN_EXPECTED = 'an origin such as "https://example.com" or "https://*.example.com"';

export function readCors(value: unknown, { key, when, refuse }: ActionPlace): CorsSetting | null {
  if (value === false) return null;
  const own = value === true ? {} : value;
  if (!isRecord(own)) {
    refuse(key, value, 'true (every origin), or an object: { origins: ["https://example.com"] }');
    return null;
  }
  refuseUnknown(own, KEYS, { key, refuse });
  if (when.methods !== null && !when.methods.includes("OPTIONS")) {
    const expected = "no condition on the method, since a preflight has the method OPTIONS";
    refuse(key.replace(/\.cors$/, ".method"), when.methods.join(", "), expected);
  }
  const { origins: given = "*", credentials = false, maxAge } = own;
  const origins =
    given === "*"
      ? given
      : readTexts(given, {
          key: `${key}.origins`,
          refuse,
          expected: ORIGIN_EXPECTED,
          parse: toOrigin,
        });
  if (typeof credentials !== "boolean") refuse(`${key}.credentials`, credentials, "true or false");
  else if (credentials && origins === "*") {
    // Browsers refuse this, and reflecting every origin would let each page act as the user.
    refuse(`${key}.origins`, given, "a list of origins, since credentials are allowed");
  }
  const list = (name: "methods" | "headers" | "expose"): string | null => {
    const texts = own[name];
    if (texts === undefined) return null;
    const expected = name === "methods" ? "names of methods" : "names of header fields";
    const parse = (text: string): string | null =>
      TOKEN.test(text) ? (name === "methods" ? text.toUpperCase() : text.toLowerCase()) : null;
    return readTexts(texts, { key: `${key}.${name}`, refuse, expected, parse }).join(", ");
  };
  const maxAgeMs = maxAge === undefined ? null : MAX_AGE.parse(maxAge)?.value;
  if (maxAgeMs === undefined) refuse(`${key}.maxAge`, maxAge, MAX_AGE.expected);
  return {
    origins,
    methods: list("methods") ?? METHODS.join(", "),
    headers: list("headers"),
    credentials: credentials === true,
    maxAgeSeconds: typeof maxAgeMs === "number" ? Math.floor(maxAgeMs / 1000) : null,
    expose: list("expose"),
  };
}

function toOrigin(text: string): string | null {
  const [, scheme = "", wild = "", host = ""] = /^(https?:\/\/)(\*\.)?([^*]+)$/i.exec(text) ?? [];
  try {
    const { origin } = new URL(scheme + host);
    if (!/^https?:\/\/[^/?#@]+\/?$/i.test(scheme + host) || origin === "null") return null;
    return origin.replace("://", `://${wild}`);
  } catch {
    return null;
  }
}
