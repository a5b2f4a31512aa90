export type ContentCoding = "br" | "zstd" | "gzip";

/**
 * Suffixes of compressed siblings of a file. The order decides between codings to which a client gives the same weight.
 */
export const CODED_SIBLINGS: readonly { coding: ContentCoding; suffix: string }[] = [
  { coding: "br", suffix: ".br" },
  { coding: "zstd", suffix: ".zst" },
  { coding: "gzip", suffix: ".gz" },
];

/**
 * Picks the content coding that a client prefers (RFC 9110 section 12.5.3).
 *
 * The highest weight wins. Between equal weights, the order of `available` decides, and any coding wins over none. An
 * `identity` that the field does not name is acceptable with the lowest weight. If nothing is acceptable, the result is
 * `null`, too: plain content is more useful than a 406.
 *
 * @param acceptEncoding The field's value; `undefined`: absent, which asks for plain content.
 * @param available The available codings, the preferred one first.
 * @returns A member of `available`, or `null` for no coding.
 */
export function pickCoding(
  acceptEncoding: string | undefined,
  available: readonly ContentCoding[],
): ContentCoding | null {
  if (acceptEncoding === undefined) return null;
  // Every browser sends this form: names without weights. This check costs a fifth of the loop below.
  if (!/[;*]/.test(acceptEncoding)) {
    return available.find((coding) => NAMED[coding].test(acceptEncoding)) ?? null;
  }
  const weights = parseWeights(acceptEncoding);
  const others = weights.get("*") ?? 0;
  let best: ContentCoding | null = null;
  let bestWeight = 0;
  for (const coding of available) {
    const weight = weights.get(coding) ?? others;
    if (weight > bestWeight) {
      best = coding;
      bestWeight = weight;
    }
  }
  return (weights.get("identity") ?? 0) > bestWeight ? null : best;
}

const NAMED: Record<ContentCoding, RegExp> = {
  br: /(?:^|,)[ \t]*br[ \t]*(?:,|$)/i,
  zstd: /(?:^|,)[ \t]*zstd[ \t]*(?:,|$)/i,
  gzip: /(?:^|,)[ \t]*(?:x-)?gzip[ \t]*(?:,|$)/i,
};

const ALIASES: Record<string, string | undefined> = { "x-gzip": "gzip" };
const CODING_AND_WEIGHT = /^([!#$%&'*+\-.^_`|~0-9a-z]+)(?:[ \t]*;[ \t]*q=([01](?:\.\d{0,3})?))?$/;

/** Parses the weight of each coding. Skips malformed members. If a coding is named twice, the last weight counts. */
function parseWeights(value: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const member of value.toLowerCase().split(",")) {
    const match = CODING_AND_WEIGHT.exec(member.trim());
    if (match === null) continue;
    const [, coding = "", weight = "1"] = match;
    weights.set(ALIASES[coding] ?? coding, Math.min(1, Number(weight)));
  }
  return weights;
}
