import { findField } from "./find-field.ts";

/**
 * Returns the value of a cookie in a field block (RFC 6265 section 5.4), without the quotes around it.
 *
 * @returns `undefined` when there is no such cookie. The first of several counts: it has the longest path.
 */
export function findCookie(block: string, name: string): string | undefined {
  const cookies = findField(block, "cookie");
  if (cookies === undefined) return undefined;
  for (const pair of cookies.split(";")) {
    const at = pair.indexOf("=");
    if (at === -1 || pair.slice(0, at).trim() !== name) continue;
    const value = pair.slice(at + 1).trim();
    return /^".*"$/.test(value) ? value.slice(1, -1) : value;
  }
  return undefined;
}
