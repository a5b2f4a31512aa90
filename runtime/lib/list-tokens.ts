/** Returns the elements of a comma-separated list (RFC 9110 section 5.6.1), without empty ones. */
export function listTokens(list: string): string[] {
  return list
    .split(",")
    .map((token) => token.trim())
    .filter((token) => token !== "");
}
