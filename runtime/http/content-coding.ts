export type ContentCoding = "br" | "zstd" | "gzip";

/** Suffixes of ready-made siblings of a file. Their order decides between codings that a client likes equally. */
export const CODED_SIBLINGS: readonly { coding: ContentCoding; suffix: string }[] = [
  { coding: "br", suffix: ".br" },
  { coding: "zstd", suffix: ".zst" },
  { coding: "gzip", suffix: ".gz" },
];

/**
 * Picks the content coding that a client prefers (RFC 9110 section 12.5.3).
 *
 * The highest weight wins. Among equals, the order of `available` decides, and any coding goes before none. An
 * `identity` that is not named is acceptable but least wanted. If nothing is acceptable the result is `null` too: plain
 * content is useful where a 406 would not be.
 *
 * @param acceptEncoding The field's value; `undefined` when absent, which asks for plain content.
 * @param available The available codings, in order of preference.
 * @returns A member of `available`, or `null` for no coding.
 */
export function pickCoding(
  acceptEncoding: string | undefined,
  available: readonly ContentCoding[],
): ContentCoding | null {
  if (acceptEncoding === undefined) return null;
  // Every browser sends this form: names only, all wanted equally. It costs a fifth of the weights below.
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

/** A malformed member is skipped; of a coding that is named twice the last weight counts. */
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
