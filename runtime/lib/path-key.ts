/**
 * Returns a path in the one spelling in which routes, rules and requests are compared: each segment decoded, then
 * encoded again in exactly one way. PLAIN characters need no encoding. The encoded ones include all that have a meaning
 * in patterns. A segment with malformed encoding stays unchanged.
 *
 * @param pathname Normalised and percent-encoded, as `parseTarget` returns it.
 */
export function toPathKey(pathname: string): string {
  if (PLAIN.test(pathname)) return pathname;
  return pathname.split("/").map(toSegmentKey).join("/");
}

const PLAIN = /^[A-Za-z0-9\-._~!$&',;=@/]*$/;
const NOT_PLAIN = /[^A-Za-z0-9\-._~!$&',;=@]+/gu;

function toSegmentKey(segment: string): string {
  try {
    return encodePathText(decodeURIComponent(segment));
  } catch {
    // Kept as it is: a malformed segment cannot equal any encoded text.
    return segment;
  }
}

/** Encodes decoded text in the spelling of `toPathKey`. A slash in it becomes `%2F`. */
export function encodePathText(text: string): string {
  return text.replace(NOT_PLAIN, (found) =>
    encodeURIComponent(found).replace(/[()*]/g, (character) => ENCODED[character] ?? character),
  );
}

/** Characters that `encodeURIComponent` leaves alone and a pattern must not contain. */
const ENCODED: Record<string, string> = { "(": "%28", ")": "%29", "*": "%2A" };
