import { findField } from "../http/find-field.ts";

/** Most names in the `vary` of an answer that is stored. */
const MOST_NAMES = 16;

/**
 * Parses `vary` (RFC 9110 section 12.5.5).
 *
 * @returns The names in lower case, sorted, each once; `null`: no later request can match (`*`, or a name that is no
 *   token).
 */
export function parseVary(value: string | undefined): readonly string[] | null {
  if (value === undefined) return NONE;
  const names = new Set(
    value
      .toLowerCase()
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== ""),
  );
  if (names.size > MOST_NAMES) return null;
  const sorted = [...names].toSorted();
  return sorted.every((name) => TOKEN.test(name) && name !== "*") ? sorted : null;
}

const NONE: readonly string[] = Object.freeze([]);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/**
 * Returns the values of the fields that an answer varies by, as one text: two requests match if their texts are equal
 * (RFC 9111 section 4.1). An absent field matches only an absent one.
 *
 * @param names From `parseVary`.
 * @param fields Field block of a request.
 */
export function varyValues(names: readonly string[], fields: string): string {
  if (names.length === 1 && names[0] === "accept-encoding") return encodingText(fields);
  let text = "";
  for (const name of names) {
    const value = findField(fields, name);
    text += value === undefined ? "-\n" : `=${normalise(name, value)}\n`;
  }
  return text;
}

/** The most frequent case. A text that is known already need not be built, nor hashed for a look-up. */
function encodingText(fields: string): string {
  const value = findField(fields, "accept-encoding");
  if (value === undefined) return "-\n";
  return CANONICAL.get(value)?.text ?? `=${toCanonicalEncodings(value)}\n`;
}

function normalise(name: string, value: string): string {
  if (name === "accept-encoding") return toCanonicalEncodings(value);
  const trimmed = value.trim();
  // Lists in which spaces around commas and semicolons have no meaning, and case neither.
  return LISTS.has(name) ? trimmed.toLowerCase().replaceAll(/[ \t]*([,;])[ \t]*/g, "$1") : trimmed;
}

const LISTS: ReadonlySet<string> = new Set(["accept", "accept-charset", "accept-language"]);

/**
 * Returns `accept-encoding` in one form for all clients that take the same codings: those of `br`, `gzip` and `zstd` that
 * the client takes, in this order. A cache has at most eight variants by coding then.
 *
 * The request that fills the cache must carry this form. Otherwise a responder could choose a coding that another client
 * with the same form does not take.
 *
 * @returns `""`: the client takes no coding.
 */
export function toCanonicalEncodings(value: string): string {
  const known = CANONICAL.get(value);
  if (known !== undefined) return known.codings;
  const taken = new Set<string>();
  const refused = new Set<string>();
  for (const member of value.toLowerCase().split(",")) {
    const [coding = "", ...parameters] = member.split(";").map((part) => part.trim());
    const name = coding === "x-gzip" ? "gzip" : coding;
    const isRefused = parameters.some((parameter) => /^q[ \t]*=[ \t]*0(?:\.0*)?$/.test(parameter));
    (isRefused ? refused : taken).add(name);
  }
  const others = taken.has("*") && !refused.has("*");
  return CODINGS.filter((coding) => !refused.has(coding) && (taken.has(coding) || others)).join(
    ", ",
  );
}

const CODINGS = ["br", "gzip", "zstd"];

/** The forms that browsers and tools send. A look-up costs a tenth of parsing. */
const CANONICAL: ReadonlyMap<string, { codings: string; text: string }> = new Map(
  [
    ["gzip, deflate, br, zstd", "br, gzip, zstd"],
    ["gzip, deflate, br", "br, gzip"],
    ["gzip, deflate", "gzip"],
    ["br, gzip, deflate", "br, gzip"],
    ["gzip", "gzip"],
    ["identity", ""],
  ].map(([value = "", codings = ""]) => [value, { codings, text: `=${codings}\n` }]),
);
