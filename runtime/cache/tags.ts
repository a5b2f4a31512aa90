/** Most tags of an entry, and the length of the longest one. Further and longer tags are ignored. */
export const MOST_TAGS = 64;
const LONGEST_TAG = 128;

/**
 * Returns the tags of an answer, for purging: those of `cache-tag`, separated by commas, and those of `surrogate-key`,
 * separated by spaces. Both are the customs of content delivery networks.
 */
export function parseTags(
  cacheTag: string | undefined,
  surrogateKey: string | undefined,
): readonly string[] {
  if (cacheTag === undefined && surrogateKey === undefined) return NONE;
  const named = [...(cacheTag ?? "").split(","), ...(surrogateKey ?? "").split(/[ \t,]+/)]
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "" && tag.length <= LONGEST_TAG);
  return [...new Set(named)].slice(0, MOST_TAGS);
}

const NONE: readonly string[] = Object.freeze([]);
